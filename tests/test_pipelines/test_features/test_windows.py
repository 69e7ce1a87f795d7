"""Trailing windows: exact, and neutral where there is nothing to measure."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.features import windows

values = arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e3, 1e3, width=32))


@settings(deadline=None)
@given(values=values, bars=st.integers(2, 12))
def test_moments_are_those_of_pandas(values, bars):
    rolled = pd.Series(values, dtype=float).rolling(bars)
    for ours, theirs in [
        (windows.mean(values, bars), rolled.mean()),
        (windows.total(values, bars), rolled.sum()),
        (windows.deviation(values, bars, ddof=1), rolled.apply(lambda w: w.std(ddof=1), raw=True)),
    ]:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-7)


@settings(deadline=None)
@given(values=values, bars=st.integers(2, 12))
def test_correlation_is_bounded_and_symmetric(values, bars):
    other = np.sin(np.arange(len(values)))
    both = windows.correlation(values, other, bars)
    assert np.isnan(both[: bars - 1]).all()
    assert len(both) == len(values)
    assert (np.abs(both[bars - 1 :]) <= 1).all()
    np.testing.assert_array_equal(both, windows.correlation(other, values, bars))
    constant = np.full(len(values), 0.1 + 0.2)
    assert (windows.correlation(values, constant, bars)[bars - 1 :] == 0).all()


def test_a_large_value_leaves_nothing_behind():
    """Where a running sum would keep the rounding of 1e12."""
    quiet = np.full(50, 0.1)
    spiked = np.concatenate([[1e12], quiet])
    np.testing.assert_array_equal(windows.mean(spiked, 5)[6:], windows.mean(quiet, 5)[5:])


def test_ratios_are_neutral_where_there_is_nothing_to_divide_by():
    above, below = np.array([0.0, 1.0, 6.0, np.nan]), np.array([0.0, 0.0, 3.0, 1.0])
    np.testing.assert_array_equal(windows.ratio(above, below, neutral=0.5), [0.5, 0.5, 2.0, np.nan])
    np.testing.assert_array_equal(windows.balance(np.array([0.0, 3.0]), np.array([0.0, 1.0])), [0.0, 0.5])
    assert np.isnan(windows.ratio(np.ones(1), np.array([np.nan]))).all()


def test_settles_to_neutral_as_activity_fades():
    drawn = windows.settle(np.full(3, 0.9), np.array([0.0, 1e-9, 1e-2]), neutral=0.5)
    assert drawn == pytest.approx([0.5, 0.7, 0.9], abs=1e-7)
