"""yfinance against the local Yahoo: the market of the last Saturday, and one at noon of a trading day in Singapore."""

import os
import sys
import tempfile
import warnings
from urllib.parse import urlsplit

# Its other way out is libcurl made to look like a browser, which nothing here asks for.
os.environ["YF_DISABLE_CURL_CFFI"] = "1"

import pandas as pd
import requests
import yfinance as yf
from yfinance.data import YfData
from yfinance.exceptions import YFDataException, YFPricesMissingError, YFRateLimitError
from yfinance.scrapers.history import PriceHistory

# What pandas says to yfinance.
warnings.simplefilter("ignore")


class Here(requests.Session):
    """Whatever is asked of Yahoo's hosts is asked of this one."""

    def __init__(self, url):
        super().__init__()
        self.here = url
        self.trust_env = False
        self.headers["User-Agent"] = "Mozilla/5.0"

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        assert parts.hostname.endswith("yahoo.com"), url
        query = f"?{parts.query}" if parts.query else ""
        return super().request(method, self.here + parts.path + query, *args, **kwargs)


today, noon = Here(sys.argv[1]), Here(sys.argv[2])
cache = tempfile.TemporaryDirectory()
yf.set_tz_cache_location(cache.name)
yf.config.debug.hide_exceptions = False


def year(symbol, session=today, **options):
    ticker = yf.Ticker(symbol, session=session)
    return ticker, ticker.history(period="1y", **options)


for symbol, currency, zone, decimals in [
    ("D05.SI", "SGD", "Asia/Singapore", 2),
    ("PTT.BK", "THB", "Asia/Bangkok", 2),
    ("0700.HK", "HKD", "Asia/Hong_Kong", 3),
    ("7203.T", "JPY", "Asia/Tokyo", 1),
    ("AAPL", "USD", "America/New_York", 2),
    ("VOD.L", "GBp", "Europe/London", 2),
    ("Y92.SI", "SGD", "Asia/Singapore", 4),
    ("^GSPC", "USD", "America/New_York", 2),
    ("THB=X", "THB", "Europe/London", 4),
]:
    ticker, rows = year(symbol, auto_adjust=False)
    meta = ticker.history_metadata
    told = meta["currency"], meta["exchangeTimezoneName"], meta["priceHint"]
    assert told == (currency, zone, decimals), dict(meta)
    assert 255 <= len(rows) <= 263, (symbol, len(rows))
    assert str(rows.index.tz) == zone and rows.index.is_monotonic_increasing and rows.index.is_unique, symbol
    # Each date is the exchange's own midnight, in summer and in winter.
    assert (rows.index == rows.index.normalize()).all() and (rows.index.dayofweek < 5).all(), symbol
    assert not rows[["Open", "High", "Low", "Close"]].isna().any().any(), symbol
    assert (rows["High"] >= rows[["Open", "Close"]].max(axis=1)).all(), symbol
    assert (rows["Low"] <= rows[["Open", "Close"]].min(axis=1)).all(), symbol
    assert (rows["Volume"].iloc[:-1] > 0).all() == (symbol != "THB=X"), symbol
    assert abs(rows["Close"].iloc[-1] - meta["regularMarketPrice"]) < 0.001, symbol
    assert meta["regularMarketTime"] <= pd.Timestamp.now("UTC") and meta["shortName"], dict(meta)
    opens = meta["currentTradingPeriod"]["regular"]
    assert opens["start"].date() == rows.index[-1].date() and opens["start"] < opens["end"], dict(meta)

# What was paid is taken from what came before, and from nothing after.
ticker, rows = year("D05.SI", auto_adjust=False)
paid = rows["Dividends"][rows["Dividends"] > 0]
assert set(paid) == {0.6, 0.75} and len(ticker.dividends) > len(paid), paid
first, last = paid.index[-2:]
factor = rows["Adj Close"] / rows["Close"]
assert (factor[rows.index >= last].round(6) == 1).all()
before = rows["Close"][rows.index < last].iloc[-1]
between = factor[(rows.index >= first) & (rows.index < last)]
assert (abs(between - (1 - paid.iloc[-1] / before)) < 1e-6).all(), between
assert (factor[rows.index < first] < between.min()).all()

# A split is told of, and its prices do not jump.
ticker, rows = year("AAPL", auto_adjust=False)
assert set(rows["Stock Splits"]) == {0.0, 4.0} and (rows["Dividends"] > 0).sum() >= 3
assert rows["Close"].pct_change().abs().max() < 0.15

# What has no past, and what has gaps.
ticker, rows = year("NEW.SI")
assert len(rows) == 12, len(rows)
kept, dropped = (year("NULL.SI", keepna=keep, auto_adjust=False)[1] for keep in (True, False))
assert kept["Close"].isna().sum() >= 7 and kept["Open"].isna().sum() < kept["Close"].isna().sum()
assert not dropped[["Open", "Close"]].isna().all(axis=1).any() and len(dropped) < len(kept)

# A session that is on: of today, once, and with a part of its trade.
for symbol in ["D05.SI", "TWICE.SI"]:
    ticker, rows = year(symbol, noon)
    assert [str(day.date()) for day in rows.index[-2:]] == ["2026-11-19", "2026-11-20"], rows.index
    assert str(ticker.history_metadata["regularMarketTime"]) == "2026-11-20 11:00:00+08:00", ticker.history_metadata
    assert rows["Volume"].iloc[-1] < rows["Volume"].mean(), rows["Volume"]
raw = noon.get("https://query1.finance.yahoo.com/v8/finance/chart/TWICE.SI?range=1y&interval=1d").json()
assert len(raw["chart"]["result"][0]["timestamp"]) == len(rows) + 1


def failure(symbol):
    """As told by the part that asks for prices: a whole Ticker asks others why."""
    prices = PriceHistory(YfData(session=noon), symbol, "Asia/Singapore", session=noon)
    try:
        prices.history(period="1y")
    except Exception as error:
        return error
    return None


# The test has the prices of three of these go wrong at noon.
for symbol, kind in [
    ("LIMITED.SI", YFRateLimitError),
    ("DOWN.SI", YFDataException),
    ("VOD.L", YFPricesMissingError),
    ("GONE.SI", YFPricesMissingError),
]:
    error = failure(symbol)
    assert type(error) is kind, (symbol, repr(error))
assert "No data found, symbol may be delisted" in str(error), error

for symbol in ["D05.SI", "PTT.BK", "AAPL"]:
    news = yf.Ticker(symbol, session=noon).get_news(count=8)
    assert len(news) == 8, news
    for item in news:
        content = item["content"]
        assert content["title"] and content["provider"]["displayName"] and content["canonicalUrl"]["url"], item
        assert pd.Timestamp(content["pubDate"]) <= pd.Timestamp("2026-11-20T03:00:00Z"), item
assert len(yf.Ticker("PTT.BK", session=noon).get_news(count=3)) == 3
assert yf.Ticker("GONE.SI", session=noon).get_news() == []
print("ok")
