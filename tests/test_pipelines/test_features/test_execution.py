"""However bars are cut into pieces, the values are the same to the bit."""

import itertools
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features.execution import Execution
from pipelines.features.market import market_of
from pipelines.features.operators import completed, ema, highest, mean, score
from pipelines.features.program import PIECE, Program
from pipelines.features.series import CLOSE, HIGH, KNOWN_AT, PLACE, RETURN, VOLUME
from tests.test_pipelines.test_features.markets import make_bars
from tests.test_pipelines.test_features.running import interpreted

HOUR = pd.Timedelta("1h")
WANTED = [
    CLOSE,
    ema(CLOSE, 5),
    score(RETURN, 7),
    completed(CLOSE, "4h", 4),
    CLOSE - completed(mean(RETURN, 2), "4h", 4),
    completed(highest(HIGH, 2), "1d", 24),
    completed(VOLUME, "1d", 24),
    completed(KNOWN_AT, "1d", 24),
    PLACE,
]


@pytest.fixture
def execution():
    return Execution(Program.compile(WANTED), HOUR)


def advanced(execution, bars, cuts=()):
    market = market_of(bars, HOUR)
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(bars)}), len(bars)]
    pieces = [slice(*bound) for bound in itertools.pairwise(bounds)]
    return np.hstack([execution.advance(market.opened[piece], market.values[:, piece]) for piece in pieces])


@pytest.mark.parametrize("how", [nullcontext, interpreted])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 999), gaps=st.sampled_from([0.0, 0.2]), cuts=st.lists(st.integers(1, 99), max_size=8))
def test_no_cut_leaves_a_trace(how, seed, gaps, cuts):
    bars = make_bars(100, seed=seed, gaps=gaps)
    program = Program.compile(WANTED)
    with how():
        whole = advanced(Execution(program, HOUR), bars)
        np.testing.assert_array_equal(advanced(Execution(program, HOUR), bars, cuts), whole)
        one_by_one = advanced(Execution(program, HOUR), bars, range(100))
    np.testing.assert_array_equal(one_by_one, whole)


def test_pieces_longer_than_the_room_are_cut_too(execution):
    bars = make_bars(2 * PIECE + 77)
    whole = advanced(execution, bars)
    np.testing.assert_array_equal(advanced(Execution(Program.compile(WANTED), HOUR), bars, [1, 700, 701]), whole)
    assert execution.done == len(bars)
    # The longest windows are three rows: what a piece starts with is right without the ones before.
    np.testing.assert_array_equal(whole[0], np.log(bars["close"]))
    np.testing.assert_array_equal(whole[-1], (bars.index - pd.Timestamp(0, tz="UTC")) / HOUR)


@pytest.mark.parametrize("at", [0, 1, 50, 99])
def test_goes_on_from_what_it_remembered(execution, at):
    bars = make_bars(150, gaps=0.1)
    before, after = bars.iloc[:at], bars.iloc[at:]
    if at:
        advanced(execution, before)
    memory = execution.memory
    expected = advanced(execution, after)
    for _ in range(2):  # what was remembered is a copy: running on does not change it
        other = Execution(Program.compile(WANTED), HOUR)
        other.restore(memory)
        assert other.done == at
        np.testing.assert_array_equal(advanced(other, after), expected)


def test_no_bars_are_no_values(execution):
    assert execution.advance(np.empty(0), np.empty((5, 0))).shape == (len(WANTED), 0)
    assert execution.done == 0
