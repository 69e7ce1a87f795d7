"""Markets to compute features of."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.features.engine import GROUPS

MakeBars = Callable[..., pd.DataFrame]


def make_bars(
    rows: int,
    *,
    seed: int = 0,
    price: float = 100.0,
    volatility: float = 0.01,
    timeframe: str = "1h",
    gaps: float = 0.0,
    start: str = "2024-01-03 05:00",
) -> pd.DataFrame:
    """A random walk with fat tails; a share of its bars is missing."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(volatility * rng.standard_t(4, rows)))
    open_ = np.concatenate([[price], close[:-1]])
    wick = np.exp(volatility * rng.random((2, rows)) / 2)
    high, low = np.maximum(open_, close) * wick[0], np.minimum(open_, close) / wick[1]
    index = pd.date_range(start, periods=rows, freq=pd.Timedelta(timeframe), tz="UTC", name="timestamp")
    values = {"open": open_, "high": high, "low": low, "close": close, "volume": rng.lognormal(3, 1, rows)}
    bars = pd.DataFrame(values, index=index)
    return bars[rng.random(rows) >= gaps] if gaps else bars


def hold_still(bars: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Nothing moves or trades in rows ``first`` to ``last``; prices continue from there."""
    still = bars.copy()
    level = bars["close"].iloc[first - 1]
    still.iloc[last:, :4] *= level / bars["close"].iloc[last - 1]
    still.iloc[first:last, :4] = level
    still.iloc[first:last, 4] = 0.0
    return still


@pytest.fixture(scope="session")
def walk() -> MakeBars:
    """Maker of random walks."""
    return make_bars


@pytest.fixture(scope="session")
def stand_still() -> MakeBars:
    """Maker of stretches in which nothing happens."""
    return hold_still


@pytest.fixture(scope="session")
def engine() -> FeatureEngine:
    """Every feature at one hour."""
    return FeatureEngine(GROUPS, "1h")
