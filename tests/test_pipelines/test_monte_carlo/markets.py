"""Bars to test on: drawn ones, and the sample's."""

from pathlib import Path

import pandas as pd

from trading.bars import resample
from trading.markets.market import Market, draw

ROOT = Path(__file__).resolve().parents[3]


def hourly(rows: int, seed: int) -> pd.DataFrame:
    """Bars of a market without an edge."""
    return draw(Market("none"), rows, seed).bars


def sample(coin: str, timeframe: str = "1h") -> pd.DataFrame:
    """A coin's bars of the sample."""
    bars = pd.read_parquet(ROOT / "data" / "sample" / f"bitfinex_{coin}-USD_30m.parquet").set_index("timestamp")
    return resample(bars, pd.Timedelta("30min"), pd.Timedelta(timeframe))[0]
