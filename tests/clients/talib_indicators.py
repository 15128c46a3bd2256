"""TA-Lib's indicators of the bars in a file (date,open,high,low,close,volume), as JSON: one array each, null for none."""

import csv
import json
import math
import sys

import numpy
import talib

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
high, low, close = (numpy.array([float(row[name]) for row in rows]) for name in ("high", "low", "close"))

macd, signal, histogram = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
upper, _, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2, matype=talib.MA_Type.SMA)
columns = {
    "rsi_14": talib.RSI(close, timeperiod=14),
    "macd": macd,
    "macd_signal": signal,
    "macd_histogram": histogram,
    "atr_14": talib.ATR(high, low, close, timeperiod=14),
    "sma_20": talib.SMA(close, timeperiod=20),
    "sma_50": talib.SMA(close, timeperiod=50),
    "sma_200": talib.SMA(close, timeperiod=200),
    "ema_12": talib.EMA(close, timeperiod=12),
    "ema_26": talib.EMA(close, timeperiod=26),
    "bollinger_upper": upper,
    "bollinger_lower": lower,
}


def plain(column):
    # json writes floats as repr does: to the last bit.
    return [None if math.isnan(value) else value for value in column.tolist()]


print(json.dumps({name: plain(column) for name, column in columns.items()}, allow_nan=False))
