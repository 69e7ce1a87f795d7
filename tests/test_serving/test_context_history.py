"""What stands beside the bars is believed only if it can be, and what is known already changes nothing."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.sentiment.declared import declared
from pipelines.sentiment.errors import SeriesError
from serving import context_history
from serving.context_history import ContextHistory, Values
from serving.headlines import Headlines
from tests.test_serving.worlds import ETHER, HOUR, engine_beside, make_world, prepared, score
from trading.errors import ServingError
from trading.instrument import Instrument

BITCOIN = Instrument("BTC/USD", "1h")
WORLD = make_world(400)
SEEN = WORLD.bars.index[299] + HOUR
NOW = SEEN + 20 * HOUR


@pytest.fixture(scope="module")
def engine() -> FeatureEngine:
    return engine_beside()


def union(engine, *parts):
    with patch.object(context_history, "vader", lambda: score):
        return ContextHistory.union(BITCOIN, engine, list(parts), max_jump=0.6)


@pytest.fixture
def context(engine):
    return union(engine, WORLD.known(SEEN))


def test_new_observations_are_told_apart_from_known_ones(context):
    sent = WORLD.between(SEEN - pd.Timedelta("3D"), NOW)
    after, fresh = context.extended(sent, NOW, SEEN)
    new = WORLD.between(SEEN, NOW)
    pd.testing.assert_frame_equal(fresh[ETHER], new[ETHER], check_freq=False)
    assert list(fresh["funding_rate"].index) == list(new["funding_rate"]["published_at"])
    assert fresh["headlines"].index.max() == new["headlines"]["published_at"].max()
    assert after.extended(sent, NOW, SEEN) == (after, {})
    assert context.extended(WORLD.between(SEEN - pd.Timedelta("3D"), SEEN), NOW, SEEN) == (context, {})


def test_what_is_too_old_for_any_row_to_come_is_neither_taken_nor_kept(engine, context):
    nothing = union(engine, {name: frame.iloc[:0] for name, frame in WORLD.known(SEEN).items()})
    sent = WORLD.between(pd.Timestamp(0, tz="UTC"), SEEN)
    for empty in (nothing, union(engine, {name: frame.iloc[:2] for name, frame in WORLD.known(SEEN).items()})):
        after, _ = empty.extended({name: sent[name] for name in ("fear_greed", "funding_rate", "headlines")}, NOW, SEEN)
        assert after.frames["fear_greed"].index.min() >= SEEN - pd.Timedelta("96h")
        assert after.frames["funding_rate"].index.min() >= SEEN - pd.Timedelta("24h")
    again = sent["fear_greed"].iloc[:5]
    assert context.extended({"fear_greed": again}, NOW, SEEN)[1] == {}


def test_another_value_for_a_known_moment_is_a_correction(context):
    known = WORLD.between(SEEN - pd.Timedelta("3D"), SEEN)["fear_greed"].tail(1)
    corrected = known.assign(value=50.0)
    after, fresh = context.extended({"fear_greed": corrected}, NOW, SEEN)
    assert fresh["fear_greed"]["fear_greed"].tolist() == [0.0]
    assert after.extended({"fear_greed": corrected}, NOW, SEEN) == (after, {})
    assert after.extended({"fear_greed": known}, NOW, SEEN)[1] != {}, "and back again"


def test_a_symbol_may_be_given_as_a_slug_and_others_are_passed_over(context):
    new = WORLD.between(SEEN, NOW)[ETHER]
    assert list(context.named({"eth-usd": new, "XRP/USD": new, "nonsense": new, "fear_greed": new.iloc[:0]})) == [ETHER]
    assert context.extended({"ETH-USD": new}, NOW, SEEN)[1].keys() == {ETHER}
    assert context.names == [ETHER, "fear_greed", "funding_rate", "headlines"]


def observed(**columns):
    return pd.DataFrame(
        {"published_at": [SEEN + pd.Timedelta("90min")], **{name: [value] for name, value in columns.items()}}
    )


@pytest.mark.parametrize(
    ("name", "frame", "error", "says"),
    [
        ("fear_greed", observed(value=101.0), SeriesError, "1 of 1 values are no Fear & Greed Index, the first is 101"),
        ("fear_greed", observed(title="calm"), SeriesError, "no column for the index"),
        ("fear_greed", pd.concat([observed(value=1.0), observed(value=2.0)]), ServingError, "two values for"),
        ("fear_greed", pd.concat([observed(value=1.0), observed(value=None)]), ServingError, "two values for"),
        ("fear_greed", WORLD.sent[ETHER], ServingError, "fear_greed is an external series, and something else"),
        ("funding_rate", observed(value=0.5), SeriesError, "no funding rate"),
        ("funding_rate", observed(value=None), SeriesError, "values are missing"),
        ("headlines", observed(value=1.0), SeriesError, "no column for headlines"),
        ("headlines", observed(title="moon", score=2.0), SeriesError, "are no score"),
        ("headlines", observed(title="  "), SeriesError, "headlines are empty"),
        (ETHER, observed(value=1.0), ServingError, "ETH/USD is bars of an instrument, and something else"),
    ],
)
def test_what_cannot_be_is_refused_and_named(context, name, frame, error, says):
    with pytest.raises(error, match=says) as caught:
        context.extended({name: frame}, NOW, SEEN)
    assert name in caught.value.where
    assert caught.value.rule
    assert caught.value.remedy


def test_one_observation_without_a_value_among_others_is_refused(context):
    rows = pd.concat([observed(value=1.0), observed(value=None).assign(published_at=SEEN + 2 * HOUR)])
    with pytest.raises(ServingError, match="an observation without a value"):
        context.extended({"fear_greed": rows}, NOW, SEEN)


@pytest.mark.parametrize(("name", "said"), [("fear_greed", {"value": 5.0}), ("headlines", {"title": "x"})])
def test_what_is_not_public_yet_is_refused(context, name, said):
    ahead = observed(**said).assign(published_at=NOW + pd.Timedelta("2min"))
    with pytest.raises(ServingError, match="an observation is published at") as caught:
        context.extended({name: ahead}, NOW, SEEN)
    assert caught.value.where == f"context.{name}"
    assert context.extended({name: ahead}, NOW + pd.Timedelta("1min"), SEEN)[1]


def test_bars_of_another_market_are_held_against_the_rules_of_bars(context):
    new = WORLD.between(SEEN, NOW)[ETHER]
    with pytest.raises(ServingError, match="it closes at") as caught:
        context.extended({ETHER: new}, new.index[-1], SEEN)
    assert caught.value.where == "ETH-USD-1h"
    with pytest.raises(ServingError, match="high below low"):
        context.extended({ETHER: new.assign(high=new["low"] / 2)}, NOW, SEEN)
    with pytest.raises(ServingError, match="the history has"):
        context.extended({ETHER: WORLD.between(SEEN - 5 * HOUR, NOW)[ETHER] * 1.01}, NOW, SEEN)
    holed = WORLD.sent[ETHER].iloc[-10:]
    later = holed.index[-1] + HOUR
    assert len(context.extended({ETHER: holed}, later, SEEN)[1][ETHER]) == len(holed), "any hole is a missing value"


class TestUnion:
    """What several versions stored."""

    def test_newer_observations_follow_older_ones(self, engine):
        whole, cut = WORLD.known(NOW), SEEN - pd.Timedelta("5D")
        ends = {name: frame.index[-1] for name, frame in WORLD.known(SEEN).items()}
        newer = {name: frame[frame.index >= cut] for name, frame in whole.items()}
        both = union(engine, WORLD.known(SEEN), newer).frames
        assert all(both[name].index[-1] >= ends[name] for name in both)
        for name in (ETHER, "fear_greed", "funding_rate"):
            pd.testing.assert_frame_equal(both[name], whole[name].tail(len(both[name])), check_freq=False)

    def test_the_newer_version_is_right_and_its_absence_is_no_harm(self, engine):
        old = WORLD.known(SEEN)
        other = {"fear_greed": old["fear_greed"].iloc[-3:] * 0.5}
        both = union(engine, old, other).frames
        np.testing.assert_array_equal(both["fear_greed"].iloc[-3:], other["fear_greed"])
        pd.testing.assert_frame_equal(both["fear_greed"].iloc[:-3], old["fear_greed"].iloc[:-3], check_freq=False)
        pd.testing.assert_frame_equal(both["funding_rate"], old["funding_rate"], check_freq=False)
        empty = {name: frame.iloc[:0] for name, frame in old.items()}
        for frames in (union(engine, old, empty).frames, union(engine, empty, old).frames):
            assert all(frames[name].equals(old[name]) for name in old)

    def test_markets_of_which_nothing_is_stored_begin_with_what_is_sent(self, engine):
        empty = union(engine, {name: frame.iloc[:0] for name, frame in WORLD.known(SEEN).items()})
        new = WORLD.between(SEEN, NOW)
        after, fresh = empty.extended(new, NOW, SEEN)
        pd.testing.assert_frame_equal(fresh[ETHER], new[ETHER], check_freq=False)
        assert fresh.keys() == new.keys()
        assert after.extended(new, NOW, SEEN) == (after, {})


class TestHeadlines:
    """Windows that were stored, and headlines on top of them."""

    @pytest.fixture
    def stored(self):
        return Headlines(declared("headlines"), WORLD.known(SEEN)["headlines"], score)

    def test_windows_are_those_of_all_headlines_at_once(self, stored):
        after, fresh = stored.extended(WORLD.between(SEEN, NOW)["headlines"], NOW, SEEN)
        whole = WORLD.known(NOW)["headlines"]
        begin = fresh["not_before"].min()
        expected = whole[whole["not_before"] >= begin]
        for frame in (fresh, after.frame[after.frame["not_before"] >= begin]):
            pd.testing.assert_frame_equal(frame, expected, check_exact=True)

    def test_overlaps_count_once_however_they_are_cut(self, stored):
        new = WORLD.between(SEEN, NOW)["headlines"]
        whole, _ = stored.extended(new, NOW, SEEN)
        piece, _ = stored.extended(pd.concat([new.iloc[:4], new.iloc[:2]]), NOW, SEEN)
        piece, _ = piece.extended(new.iloc[2:], NOW, SEEN)
        pd.testing.assert_frame_equal(piece.frame, whole.frame)
        assert piece.extended(new, NOW, SEEN)[0] is piece

    def test_scores_are_taken_where_they_are_given(self, stored):
        row = observed(title="calm", score=0.25)
        _, fresh = stored.extended(row, NOW, SEEN)
        alone, _ = Headlines(stored.series, stored.stored.iloc[:0], score).extended(row, NOW, SEEN)
        assert alone.frame["headlines_score_4h"].iloc[0] == 0.25
        untitled = pd.concat([observed(score=0.5), observed(score=-0.25), observed(score=0.5)])
        twice, _ = Headlines(stored.series, stored.stored.iloc[:0], score).extended(untitled, NOW, SEEN)
        assert np.expm1(twice.frame["headlines_count_4h"].iloc[0]) == pytest.approx(2)
        assert not fresh.empty

    def test_what_may_be_among_the_stored_ones_is_taken_as_known(self, stored):
        last = WORLD.between(pd.Timestamp(0, tz="UTC"), SEEN)["headlines"].tail(1)
        assert stored.extended(last.assign(title="another"), NOW, SEEN)[0] is stored

    def test_a_late_headline_counts_from_the_next_bar_on(self, stored):
        seen = SEEN + 10 * HOUR
        late = observed(title="late")
        _, fresh = stored.extended(late, NOW, seen)
        assert fresh["not_before"].min() == seen + pd.Timedelta(1, "ns")

    def test_headlines_that_left_every_window_are_forgotten(self, stored):
        after, _ = stored.extended(observed(title="long ago"), NOW, SEEN)
        later = SEEN + pd.Timedelta("5D")
        new = observed(title="new").assign(published_at=later)
        after, _ = after.extended(new, later, later)
        assert after.sent["title"].tolist() == ["new"]


def test_values_with_late_observations_take_new_ones():
    series = declared("fear_greed")
    frame = prepared(WORLD.sent)["fear_greed"].assign(not_before=pd.NaT)
    frame["not_before"] = frame.index
    after, fresh = Values(series, frame[frame.index <= SEEN]).extended(WORLD.sent["fear_greed"], NOW, SEEN)
    assert list(fresh.columns) == ["fear_greed"]
    assert after.frame["not_before"].isna().sum() == len(fresh) > 0
