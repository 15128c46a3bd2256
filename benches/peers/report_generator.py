"""report-generator in Python on the Lambda Python runtime client, for comparison: the flow of the original that is in Python.

The same flow with the same care, as a good Python developer would write it: low-level clients, made once, whose connections are kept; one
SQLite connection; pandas, matplotlib and reportlab imported only where a report is made, so that no hit waits for them; matplotlib without
pyplot; objects put at the same time. A file in /tmp, then S3, then prices, indicators, words by rules, chart, PDF.
"""

import base64
import io
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["PDF_BUCKET_NAME"]
MARKET = os.environ["MARKET_DATA_URL"]
FONTS = os.environ["REPORT_FONTS"]
HOURS = int(os.environ.get("CACHE_TTL_HOURS", "24"))
SYMBOLS = {"DBS19": ("D05.SI", ZoneInfo("Asia/Singapore"), 9)}

s3 = boto3.client("s3", config=Config(tcp_keepalive=True, connect_timeout=1, read_timeout=10, max_pool_connections=4))
http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=urllib3.Retry(2, redirect=False))
db = sqlite3.connect(f"{os.environ['CACHE_DIR']}/reports.db", isolation_level=None)
db.executescript(
    "PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL;"
    "CREATE TABLE IF NOT EXISTS reports (ticker TEXT, date TEXT, expires REAL, report TEXT, PRIMARY KEY (ticker, date)) WITHOUT ROWID"
)


def session(zone, opens):
    there = datetime.now(zone)
    date = there.date() if there.hour >= opens else there.date() - timedelta(days=1)
    while date.weekday() > 4:
        date -= timedelta(days=1)
    return date.isoformat()


def from_sqlite(ticker, date):
    select = "SELECT report FROM reports WHERE ticker = ? AND date = ? AND expires > ?"
    row = db.execute(select, (ticker, date, time.time())).fetchone()
    return json.loads(row[0]) if row else None


def to_sqlite(ticker, date, expires, text):
    db.execute("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?)", (ticker, date, expires.timestamp(), text))


def from_s3(ticker, date):
    try:
        answer = s3.get_object(Bucket=BUCKET, Key=f"cache/reports/{ticker}/{date}/report.json")
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "AccessDenied"):
            return None
        raise
    expires = datetime.fromisoformat(answer["Metadata"]["expires-at"])
    if datetime.now(timezone.utc) > expires:
        return None
    text = answer["Body"].read().decode()
    to_sqlite(ticker, date, expires, text)
    return json.loads(text)


def prices(symbol):
    import pandas as pd

    url = f"{MARKET}/v8/finance/chart/{symbol}?range=1y&interval=1d&includePrePost=false&events=div%2Csplits"
    answer = http.request("GET", url, headers={"User-Agent": "python"})
    if answer.status != 200:
        raise RuntimeError(f"{url} answered {answer.status}")
    chart = json.loads(answer.data)["chart"]["result"][0]
    frame = pd.DataFrame(chart["indicators"]["quote"][0])
    days = pd.to_datetime(chart["timestamp"], unit="s", utc=True).tz_convert(chart["meta"]["exchangeTimezoneName"])
    frame.index = days.tz_localize(None).normalize()
    factor = pd.Series(chart["indicators"]["adjclose"][0]["adjclose"], index=frame.index) / frame["close"]
    for column in ("open", "high", "low", "close"):
        frame[column] = frame[column] * factor
    frame = frame.dropna(subset=["close"])
    return frame[~frame.index.duplicated(keep="last")], chart["meta"]


def indicators(frame):
    import pandas as pd

    close, volume = frame["close"], frame["volume"]
    change = close.diff()
    wilder = {"alpha": 1 / 14, "adjust": False, "min_periods": 14}
    up, down = change.clip(lower=0).ewm(**wilder).mean(), -change.clip(upper=0).ewm(**wilder).mean()
    before = close.shift()
    ranges = pd.concat([frame["high"] - frame["low"], (frame["high"] - before).abs(), (frame["low"] - before).abs()], axis=1)
    typical = (frame["high"] + frame["low"] + close) / 3
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    table = pd.DataFrame(index=frame.index)
    table["rsi_14"] = 100 - 100 / (1 + up / down)
    table["ema_12"] = close.ewm(span=12, adjust=False, min_periods=12).mean()
    table["ema_26"] = close.ewm(span=26, adjust=False, min_periods=26).mean()
    table["macd"] = table["ema_12"] - table["ema_26"]
    table["macd_signal"] = table["macd"].ewm(span=9, adjust=False, min_periods=9).mean()
    table["macd_histogram"] = table["macd"] - table["macd_signal"]
    table["atr_14"] = ranges.max(axis=1).ewm(**wilder).mean()
    table["atr_pct"] = table["atr_14"] / close * 100
    for days in (20, 50, 200):
        table[f"sma_{days}"] = close.rolling(days).mean()
    table["bollinger_upper"], table["bollinger_lower"] = mean + 2 * deviation, mean - 2 * deviation
    table["vwap_20"] = (typical * volume).rolling(20).sum() / volume.rolling(20).sum()
    table["vwap"] = (typical * volume).cumsum() / volume.cumsum()
    table["vwap_pct"] = (close / table["vwap"] - 1) * 100
    table["volume_ratio"] = volume / volume.rolling(20).mean()
    ranks, counts, last = table.rank(pct=True).iloc[-1] * 100, table.count(), table.iloc[-1]
    named = table.columns
    return table, {it: {"value": float(last[it]), "percentile": float(ranks[it]), "n": int(counts[it])} for it in named}


def words(frame, found, meta):
    value = {name: reading["value"] for name, reading in found.items()}
    rank = {name: reading["percentile"] for name, reading in found.items()}
    close = frame["close"].iloc[-1]
    change = (close / frame["close"].iloc[-2] - 1) * 100
    rises = value["macd"] > value["macd_signal"]
    up = close > value["sma_50"] > value["sma_200"]
    action = "ซื้อ" if rises and up and value["rsi_14"] < 70 else "ถือ"
    return {
        "stock_story": f"{meta['longName']} อยู่ที่ {close:.2f} {meta['currency']} ณ วันที่ {frame.index[-1]:%Y-%m-%d} "
        f"เปลี่ยนแปลง {change:+.2f}% จากวันทำการก่อนหน้า ตลอด {len(frame)} วันทำการที่มีข้อมูล ราคาเคลื่อนไหวระหว่าง {frame['low'].min():.2f} "
        f"ถึง {frame['high'].max():.2f} ราคาอยู่{'เหนือ' if up else 'ระหว่าง'}เส้นค่าเฉลี่ยระยะกลางที่ {value['sma_50']:.2f} และเส้นค่าเฉลี่ยระยะยาว",
        "what_to_know": f"• RSI อยู่ที่ {value['rsi_14']:.2f} ช่วงนี้แรงซื้อ{'มาก' if value['rsi_14'] > 50 else 'น้อย'}กว่าแรงขาย\n"
        f"• MACD อยู่ที่ {value['macd']:.4f} และอยู่{'เหนือ' if rises else 'ใต้'}เส้นสัญญาณ\n"
        f"• ราคาต่างจากต้นทุนเฉลี่ยของตลาดตลอดช่วงนี้ {value['vwap_pct']:+.2f}%\n"
        f"• ปริมาณซื้อขายเป็น {value['volume_ratio']:.2f} เท่าของค่าเฉลี่ยล่าสุด",
        "what_to_do": f"{action}: สัญญาณต่าง ๆ ยังต้องดูประกอบกัน ผู้ที่ถือ {meta['longName']} อยู่ยังไม่มีเหตุผลให้ต้องขยับ "
        "ผู้ที่ยังไม่มีควรรอให้แนวโน้มและโมเมนตัมชี้ไปทางเดียวกันก่อน",
        "risks": f"• วันธรรมดาราคาแกว่งราว {value['atr_pct']:.2f}% ใกล้เคียงกับที่เคยเป็นส่วนใหญ่\n"
        "• เส้นค่าเฉลี่ยตามหลังราคาเสมอ เมื่อเส้นกลับทิศ ส่วนหนึ่งของการเคลื่อนไหวก็ผ่านไปแล้ว\n"
        "• ข่าวและผลประกอบการอาจทำให้ตัวเลขทั้งหมดนี้ใช้ไม่ได้ในชั่วข้ามคืน",
        "percentile_analysis": "เทียบวันนี้กับทุกวันทำการที่มีข้อมูลของหุ้นตัวนี้\n"
        + "\n".join(
            f"• {label}: {value[name]:.2f} (เปอร์เซ็นไทล์: {rank[name]:.1f}%)"
            for label, name in (
                ("RSI", "rsi_14"),
                ("MACD", "macd"),
                ("ATR", "atr_pct"),
                ("VWAP", "vwap_pct"),
                ("ปริมาณซื้อขาย", "volume_ratio"),
            )
        ),
    }


def chart(frame, table, meta):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), dpi=200)
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.05, top=0.95, hspace=0.12)
    FigureCanvasAgg(figure)
    top, volume, rsi, macd = figure.subplots(4, 1, sharex=True, height_ratios=(5, 1.2, 1.4, 1.4))
    at = range(len(frame))
    colours = ["#2a9d6a" if close >= opened else "#d1495b" for opened, close in zip(frame["open"], frame["close"])]
    top.vlines(at, frame["low"], frame["high"], colors=colours, linewidth=0.6)
    top.bar(at, frame["close"] - frame["open"], bottom=frame["open"], color=colours, width=0.7)
    for name in ("sma_20", "sma_50", "sma_200"):
        top.plot(at, table[name], linewidth=0.9, label=name.upper().replace("_", " "))
    top.fill_between(at, table["bollinger_lower"], table["bollinger_upper"], alpha=0.1)
    top.set_title(meta["longName"])
    top.set_ylabel(meta["currency"])
    top.legend(fontsize=6, loc="upper left")
    volume.bar(at, frame["volume"] / 1e6, color=colours, width=0.7)
    volume.set_ylabel("M")
    rsi.plot(at, table["rsi_14"], linewidth=0.9)
    rsi.axhspan(30, 70, alpha=0.1)
    rsi.set_ylabel("RSI")
    macd.plot(at, table["macd"], linewidth=0.9)
    macd.plot(at, table["macd_signal"], linewidth=0.9)
    macd.bar(at, table["macd_histogram"], width=0.7, alpha=0.4)
    macd.set_ylabel("MACD")
    ticks = list(at)[::42]
    macd.set_xticks(ticks, [f"{frame.index[tick]:%b %Y}" for tick in ticks])
    for axes in (top, volume, rsi, macd):
        axes.grid(alpha=0.2)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def pdf(title, sections, found, png):
    from reportlab.lib.enums import TA_CENTER
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Table

    for font in ("Regular", "SemiBold"):
        pdfmetrics.registerFont(TTFont(f"Sarabun-{font}", f"{FONTS}/Sarabun-{font}.ttf"))
    # Thai has no spaces: without a dictionary lines break between any two letters.
    body = ParagraphStyle("body", fontName="Sarabun-Regular", fontSize=7.5, leading=11, wordWrap="CJK")
    head = ParagraphStyle("head", parent=body, fontName="Sarabun-SemiBold", fontSize=9, leading=13)
    tile = ParagraphStyle("tile", parent=body, alignment=TA_CENTER)
    tiles = [
        Paragraph(f"{name}<br/>{found[name]['value']:.2f}<br/>{found[name]['percentile']:.1f}%", tile)
        for name in ("rsi_14", "macd", "atr_pct", "vwap_pct", "volume_ratio", "sma_50")
    ]
    flow = [Paragraph(title, head), Table([tiles]), Image(io.BytesIO(png), width=130 * mm, height=113.75 * mm)]
    for name, text in sections.items():
        flow.append(Paragraph(name, head))
        flow.append(Paragraph(text.replace("\n", "<br/>"), body))
    file = io.BytesIO()
    margin = 12 * mm
    page = {"leftMargin": margin, "rightMargin": margin, "topMargin": margin, "bottomMargin": margin}
    SimpleDocTemplate(file, pagesize=A4, title=title, **page).build(flow)
    return file.getvalue()


def generate(ticker, symbol, date, with_pdf):
    frame, meta = prices(symbol)
    table, found = indicators(frame)
    sections = words(frame, found, meta)
    png = chart(frame, table, meta)
    expires = datetime.now(timezone.utc) + timedelta(hours=HOURS)
    title = f"{meta['longName']} ({ticker})"
    report = {
        "ticker": ticker,
        "symbol": symbol,
        "date": date,
        "language": "th",
        "text": title + "\n\n" + "\n\n".join(sections.values()),
        "sections": sections,
        "indicators": found,
        "narrative": "rules",
        "expires_at": expires.isoformat(),
    }
    text = json.dumps(report, ensure_ascii=False)
    metadata = {"expires-at": expires.isoformat()}
    folder = f"cache/reports/{ticker}/{date}"
    objects = [(f"{folder}/report.json", text.encode(), metadata), (f"{folder}/chart.b64", base64.b64encode(png), metadata)]
    if with_pdf:
        objects.append((f"reports/{ticker}/{date}.pdf", pdf(title, sections, found, png), {}))
    with ThreadPoolExecutor(len(objects)) as pool:
        puts = [pool.submit(s3.put_object, Bucket=BUCKET, Key=key, Body=body, Metadata=of) for key, body, of in objects]
        for put in puts:
            put.result()
    to_sqlite(ticker, date, expires, text)
    return report


def handler(event, context):
    began = time.perf_counter()
    ticker = event["ticker"]
    if ticker == "-":
        return {}
    symbol, zone, opens = SYMBOLS[ticker]
    date = session(zone, opens)
    state, tier = "hit", "sqlite"
    report = from_sqlite(ticker, date)
    if report is None:
        tier, report = "s3", from_s3(ticker, date)
    if report is None:
        state, tier, report = "generated", None, generate(ticker, symbol, date, "pdf" in event.get("include", ()))
    print(json.dumps({"message": f"{tier or state} for {ticker} on {date}"}))
    report["cache"] = {"state": state, "tier": tier}
    report["duration_ms"] = (time.perf_counter() - began) * 1e3
    return report
