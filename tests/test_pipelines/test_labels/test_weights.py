"""Weights against the indicator matrix of López de Prado (2018), chapter 4, and the numbers he prints there."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels.grid import grid_slots
from pipelines.labels.spans import Spans, horizon_spans
from pipelines.labels.weights import average_uniqueness, concurrency, return_attribution
from tests.test_pipelines.test_labels.conftest import HOUR, markets
from trading.instrument import Instrument

HOURLY = Instrument("BTC/USD", "1h")

# Section 4.5.3: three labels that are made of the returns 1 to 3, 3 to 4 and 5 to 6.
PRINTED = Spans(np.array([0, 2, 4]), np.array([3, 4, 6]))


def over_bars(spans, bars):
    """The same spans of as many rows as there are bars, for rows and bars are one frame's."""
    idle = np.full(bars - len(spans.first), bars)
    return Spans(np.append(spans.first, idle), np.append(spans.stop, idle))


def indicator(spans):
    """Bars down, labels across: 1 where the label's position is open in the bar."""
    bars = np.arange(len(spans.first))[:, None]
    return ((spans.first <= bars) & (bars < spans.stop)).astype(float)


@st.composite
def any_spans(draw):
    rows = draw(st.integers(1, 30))
    first = np.arange(1, rows + 1)
    length = np.array(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    return Spans(first, np.minimum(first + length, rows))


def test_the_printed_example():
    spans = over_bars(PRINTED, 6)
    assert concurrency(spans).tolist() == [1, 1, 2, 1, 1, 1]
    assert average_uniqueness(spans)[:3] == pytest.approx([5 / 6, 3 / 4, 1])


def test_the_printed_probabilities_of_a_second_draw():
    # After the second label was drawn, each candidate is as likely as it is unique beside it: 5/14, 3/14, 6/14.
    unique = []
    for candidate in range(3):
        drawn = [1, candidate]
        unique.append(average_uniqueness(over_bars(Spans(PRINTED.first[drawn], PRINTED.stop[drawn]), 6))[1])
    assert np.array(unique) / sum(unique) == pytest.approx([5 / 14, 3 / 14, 6 / 14])


@settings(max_examples=100, deadline=None)
@given(any_spans())
def test_uniqueness_is_that_of_the_indicator_matrix(spans):
    matrix = indicator(spans)
    together = matrix.sum(axis=1)
    assert np.array_equal(concurrency(spans), together)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = matrix / together[:, None]
        expected = np.nansum(own, axis=0) / matrix.sum(axis=0)
    np.testing.assert_allclose(average_uniqueness(spans), expected, rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(any_spans(), st.integers(0, 999))
def test_attribution_is_that_of_the_indicator_matrix(spans, seed):
    rng = np.random.default_rng(seed)
    rows = len(spans.first)
    open_ = rng.uniform(90, 110, rows)
    exit_price = np.where((spans.bars > 0) & (rng.random(rows) < 0.8), rng.uniform(90, 110, rows), np.nan)
    found = return_attribution(spans, open_, exit_price)
    together = indicator(spans).sum(axis=1)
    for row in range(rows):
        if np.isnan(exit_price[row]):
            assert np.isnan(found[row])
            continue
        prices = [*open_[spans.first[row] : spans.stop[row]], exit_price[row]]
        shared = np.diff(np.log(prices)) / together[spans.first[row] : spans.stop[row]]
        assert found[row] == pytest.approx(abs(shared.sum()), rel=1e-9, abs=1e-12)


def test_labels_that_share_nothing_keep_their_whole_return():
    spans = Spans(np.array([1, 2, 3, 4]), np.array([2, 3, 4, 4]))
    found = return_attribution(spans, np.array([9.0, 10.0, 20.0, 10.0]), np.array([20.0, 10.0, 5.0, np.nan]))
    assert found[:3] == pytest.approx(np.log([2, 2, 2]))
    assert average_uniqueness(spans)[:3].tolist() == [1, 1, 1]


@settings(max_examples=80, deadline=None)
@given(markets(), st.integers(1, 9))
def test_a_held_position_is_open_until_its_horizon_or_a_gap(bars, h):
    spans = horizon_spans(grid_slots(pd.DatetimeIndex(bars.index), HOURLY), h)
    for row, stamp in enumerate(bars.index):
        wanted = []
        for k in range(1, h + 1):
            if stamp + k * HOUR not in bars.index:
                break
            wanted.append(row + k)
        assert list(range(spans.first[row], spans.stop[row])) == wanted


def test_nothing_of_nothing():
    none = horizon_spans(np.array([], dtype=np.int64), 3)
    assert len(concurrency(none)) == len(average_uniqueness(none)) == 0
    assert len(return_attribution(none, np.array([]), np.array([]))) == 0
