"""Longer bars built as base bars come are those of pandas' resampler, seen from their clock end on."""

import itertools
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features import longer_bars
from tests.test_pipelines.test_features.markets import make_bars
from tests.test_pipelines.test_features.running import interpreted

HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
MONDAY = pd.Timestamp("1970-01-05")


def built(bars, bar, length, cuts=()):
    """Longer bars, and for each base bar how many of them were complete at its close."""
    opened = bars.index.as_unit("ns").asi8 / 1e9
    values = bars[list(HOW)].to_numpy().T.copy()
    state, found, seen = longer_bars.START.copy(), [], []
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(bars)}), len(bars)]
    for begin, end in itertools.pairwise(bounds):
        out, counts = np.empty((6, end - begin + 1)), np.empty(end - begin, dtype=np.int64)
        seconds = pd.Timedelta(bar).total_seconds(), pd.Timedelta(length).total_seconds()
        count = longer_bars.complete(opened[begin:end], values[:, begin:end], *seconds, state, out, counts)
        seen += (counts + sum(one.shape[1] for one in found)).tolist()
        found.append(out[:, :count])
    return np.hstack(found), seen


def resampled(bars, length):
    """By pandas, on naive stamps: only there the origin counts for days."""
    grouped = bars.tz_localize(None).resample(length, origin=MONDAY).agg(HOW).dropna(subset=["close"])
    return grouped.set_axis(grouped.index + pd.Timedelta(length)).tz_localize("UTC")


@pytest.mark.parametrize("how", [nullcontext, interpreted])
@pytest.mark.parametrize(
    ("bar", "length", "rows"), [("1h", "4h", 200), ("1h", "1D", 300), ("5min", "30min", 200), ("4h", "7D", 300)]
)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 999), gaps=st.sampled_from([0.0, 0.05, 0.9]), cuts=st.lists(st.integers(1, 299), max_size=5))
def test_as_pandas_builds_them(how, bar, length, rows, seed, gaps, cuts):
    bars = make_bars(rows, seed=seed, timeframe=bar, gaps=gaps)
    with how():
        found, seen = built(bars, bar, length, cuts)
    expected = resampled(bars, length)
    known = bars.index + pd.Timedelta(bar)
    over = expected.index.searchsorted(known, side="right")  # ended at or before each close
    np.testing.assert_array_equal(seen, over)
    complete = expected.iloc[: over[-1]]
    np.testing.assert_allclose(found[:5].T, complete.to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(found[5], complete.index.as_unit("ns").asi8 / 1e9)


def test_one_that_misses_its_end_ends_on_the_clock():
    bars = make_bars(96, start="2024-01-01 00:00")
    there = bars.drop(bars.index[[40, 46, 47]])  # two hours before midnight are missing
    found, seen = built(there, "1h", "1D")
    at = dict(zip(there.index, seen, strict=True))
    assert at[bars.index[22]] == 0
    assert at[bars.index[23]] == 1  # the hour that closes the day
    assert at[bars.index[45]] == 1  # 21:00: the day is not over, whatever is missing
    assert at[bars.index[48]] == 2  # and it is seen with the first bar after it, not with the next day
    assert found[3, 1] == bars["close"].iloc[45]


def test_weeks_start_on_mondays():
    found, _ = built(make_bars(500, timeframe="4h"), "4h", "7D")
    assert set(pd.to_datetime(found[5], unit="s").day_name()) == {"Monday"}
