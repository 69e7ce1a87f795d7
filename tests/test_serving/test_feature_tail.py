"""Rows of a stream that goes on and on are those that research computes of the whole history."""

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.features import FeatureEngine
from serving import context_history
from serving.context_history import ContextHistory
from serving.feature_tail import FeatureTail
from tests.test_serving.worlds import HOUR, engine_beside, make_world, score
from trading.instrument import Instrument

BITCOIN = Instrument("BTC/USD", "1h")
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
ROWS = 30


@pytest.fixture(scope="module")
def engine() -> FeatureEngine:
    return engine_beside()


def begin(engine, world, count, rows=ROWS):
    """As a service begins: with bars, and what was public at the close of the last."""
    bars = world.bars.iloc[:count]
    with patch.object(context_history, "vader", lambda: score):
        context = ContextHistory.union(BITCOIN, engine, [world.known(bars.index[-1] + HOUR)], max_jump=0.6)
    return FeatureTail.begin(engine, bars, context, rows=rows)


def ask(tail, world, fresh):
    """As a request goes: what became public since the last one, then the bars."""
    now = fresh.index[-1] + HOUR
    return tail.told(world.between(tail.known_at, now), now).extended(fresh)


@settings(max_examples=12, deadline=None, phases=NO_SHRINK)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_equals_the_batch_to_the_bit_in_whatever_pieces_it_comes(engine, seed, sizes):
    world = make_world(1000, seed)
    first, stop = 430, min(430 + sum(sizes), len(world.bars))
    tail, at = begin(engine, world, first), first
    expected = engine.batch(world.bars.iloc[:stop], world.known(world.bars.index[stop - 1] + HOUR))
    for size in sizes:
        fresh = world.bars.iloc[at : min(at + size, stop)]
        if fresh.empty:
            break
        at += size
        tail = ask(tail, world, fresh)
        pd.testing.assert_frame_equal(tail.table, expected.loc[tail.table.index], check_exact=True, check_freq=False)
        assert len(tail.table) == ROWS
    assert tail.since == world.bars.index[0]
    assert expected.iloc[-ROWS:].notna().all(axis=None)
    assert tail.known_at == world.bars.index[stop - 1] + HOUR


def test_another_beginning_is_forgotten(engine):
    world = make_world(700)
    longer, shorter = begin(engine, world, 600), begin(engine, world, 600)
    assert longer.since == shorter.since
    late = engine.batch(world.bars.iloc[100:600], world.known(world.bars.index[599] + HOUR))
    np.testing.assert_allclose(longer.table, late.iloc[-ROWS:], rtol=0, atol=1e-9)
    assert (longer.table.to_numpy() != late.iloc[-ROWS:].to_numpy()).any(), "the test tells one from the other"


def test_none_knows_what_another_was_given(engine):
    world, other = make_world(600, 3), make_world(600, 3)
    other.bars.iloc[450:] *= [1.1] * 4 + [0.5] * 3
    tail = begin(engine, world, 450)
    tail = tail.told(world.between(tail.known_at, world.bars.index[459] + HOUR), world.bars.index[459] + HOUR)
    before = tail.table.copy()
    after = [tail.extended(one.bars.iloc[450:460]) for one in (world, other, world)]
    pd.testing.assert_frame_equal(tail.table, before)
    pd.testing.assert_frame_equal(after[0].table, after[2].table)
    assert not after[0].table.equals(after[1].table)


def test_many_threads_on_one_tail(engine):
    """Nobody advances what others hold: each gets the rows of his own bars."""
    world = make_world(600, 5)
    begun, now = begin(engine, world, 450), world.bars.index[469] + HOUR
    tail = begun.told(world.between(begun.known_at, now), now)
    stops = [451 + number % 17 for number in range(40)]
    expected = engine.batch(world.bars.iloc[:470], world.known(now))

    def answer(stop):
        return tail.extended(world.bars.iloc[450:stop]).table.iloc[-1]

    with ThreadPoolExecutor(4) as pool:
        for stop, row in zip(stops, pool.map(answer, stops), strict=True):
            np.testing.assert_array_equal(row, expected.loc[world.bars.index[stop - 1]])


def test_nothing_new_is_the_same_tail(engine):
    world = make_world(500)
    tail = begin(engine, world, 450)
    now = tail.known_at
    assert tail.told({}, now) is tail
    assert tail.told(world.between(now - pd.Timedelta("9D"), now), now) is tail


def test_what_is_told_late_is_seen_from_the_next_bar_on(engine):
    world = make_world(500)
    tail = begin(engine, world, 450)
    alone = tail.extended(world.bars.iloc[450:460])
    told = alone.told(world.between(tail.known_at, alone.known_at), alone.known_at)
    assert told.table is alone.table
    row = told.extended(world.bars.iloc[460:461]).table.iloc[-1]
    in_time = engine.batch(world.bars.iloc[:461], world.known(alone.known_at)).iloc[-1]
    ages = ["fear_greed_age", "funding_rate_age", "headlines_age"]
    assert (row[ages] == in_time[ages]).all()
    assert (row[ages] != alone.extended(world.bars.iloc[460:461]).table.iloc[-1][ages]).any()


def test_a_history_that_is_shorter_than_the_tail(engine):
    world = make_world(100)
    tail = begin(engine, world, 20)
    assert len(tail.table) == 20
    expected = engine.batch(world.bars.iloc[:20], world.known(tail.known_at))
    pd.testing.assert_frame_equal(tail.table, expected, check_freq=False)
