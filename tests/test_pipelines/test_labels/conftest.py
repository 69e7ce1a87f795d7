"""Random markets that a slow oracle can follow: whole prices, so that barriers are touched exactly; bars missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

HOUR = pd.Timedelta(hours=1)


def market(steps, missing=()):
    """Hourly bars from (open, reach up, reach down, close) in whole units, without the rows that are missing."""
    open_, up, down, close = (np.array(column, dtype=float) for column in zip(*steps, strict=True))
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    index = pd.date_range("2024-01-01", periods=len(steps), freq="h", tz="UTC", name="timestamp")
    bars = pd.DataFrame(
        {"open": open_, "high": top + up, "low": np.maximum(bottom - down, 1.0), "close": close, "volume": 1.0},
        index=index,
    )
    return bars.drop(index[[row for row in missing if 0 < row < len(steps) - 1]])


@st.composite
def markets(draw, min_size=1, max_size=40):
    """Bars with gaps."""
    price, reach = st.integers(20, 24), st.integers(0, 2)
    steps = draw(st.lists(st.tuples(price, reach, reach, price), min_size=min_size, max_size=max_size))
    return market(steps, draw(st.sets(st.integers(0, max_size), max_size=5)))


def another_end(bars, moment, seed=0):
    """The bars of another future: all that became known after ``moment`` is different, and some of it missing.

    The open of the bar stamped ``moment`` is known by then, and stays; what follows in that bar does not.
    """
    rng = np.random.default_rng(seed)
    other = bars.copy()
    later = other.index > moment
    other.loc[later] *= rng.uniform(1.5, 2.5)
    at = other.index == moment
    other.loc[at, ["high", "low", "close"]] = other.loc[at, ["open"]].to_numpy() * np.array([3.0, 0.3, 0.5])
    return other[~(later & (rng.random(len(other)) < 0.3))]


@pytest.fixture
def hour():
    return HOUR
