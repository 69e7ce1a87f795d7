"""Barriers against a slow oracle that looks every price up by its clock time, on random and real bars with gaps."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels import barriers
from pipelines.labels.barriers import bar_volatility, first_touches, meet_barriers, root_mean_square
from pipelines.labels.triple_barrier import meta_labels, triple_barrier
from tests.test_pipelines.test_labels.conftest import HOUR, another_end, market, markets
from trading.errors import BarError, InstrumentError
from trading.instrument import Instrument

HOURLY = Instrument("BTC/USD", "1h")
COLUMNS = ["label", "ret", "t_end", "gap", "touch"]


def follow(bars, stamp, h, above, below, stop_is):
    """One position, told as a story: how it ended, at which price, and when that was known."""
    if not (above > 0 and below > 0):
        return "nothing", None, None
    entry = None
    for k in range(1, h + 2):
        now = stamp + k * HOUR
        if now > bars.index[-1]:
            return "nothing", None, None
        if now not in bars.index:
            return "gap", None, None
        bar = bars.loc[now]
        if k == 1:
            entry = bar["open"]
        upper, lower = entry * (1.0 + above), entry * (1.0 - below)
        if k == h + 1:
            return "vertical", bar["open"], now
        if k > 1 and bar["open"] >= upper:
            return "upper", bar["open"], now
        if k > 1 and bar["open"] <= lower:
            return "lower", bar["open"], now
        reached = {"upper": bar["high"] >= upper, "lower": bar["low"] <= lower}
        if all(reached.values()):
            if stop_is is None:
                return "both", None, None
            return stop_is, upper if stop_is == "upper" else lower, now + HOUR
        for name, price in (("upper", upper), ("lower", lower)):
            if reached[name]:
                return name, price, now + HOUR
    raise AssertionError


def oracle(bars, h, side, above, below, cost):
    """Labels of positions, one story a row. Without a side, a rise is what pays."""
    rows = []
    for stamp, s, a, b in zip(bars.index, side, above, below, strict=True):
        ending, price, when = follow(bars, stamp, h, a, b, {1: "lower", -1: "upper", 0: None}[int(s)])
        if when is None:
            rows.append((np.nan, np.nan, pd.NaT, ending == "gap", np.nan))
            continue
        ret = (s or 1) * (price / bars.loc[stamp + HOUR, "open"] - 1)
        touch = {"upper": 1.0, "lower": -1.0, "vertical": 0.0}[ending] * (s or 1)
        rows.append((float(ret > cost), ret, when, False, touch))
    frame = pd.DataFrame(rows, columns=COLUMNS, index=bars.index)
    frame["t_end"] = pd.to_datetime(frame["t_end"], utc=True).astype(bars.index.dtype)
    return frame.astype({"label": float, "ret": float, "gap": bool, "touch": float})


def volatilities(bars, values):
    return pd.Series(values[: len(bars)], index=bars.index, dtype=float)


SIGMAS = st.lists(st.sampled_from([np.nan, 0.0, 0.01, 0.03, 0.05, 0.08]), min_size=40, max_size=40)
SIDES = st.lists(st.sampled_from([-1, 0, 1]), min_size=40, max_size=40)


@settings(max_examples=80, deadline=None)
@given(markets(), SIGMAS, st.integers(1, 8), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.0, 0.002, 0.05]))
def test_without_a_side_the_labels_are_those_of_the_oracle(bars, sigmas, h, width, cost):
    volatility = volatilities(bars, sigmas)
    found = triple_barrier(bars, HOURLY, f"{h}h", volatility=volatility, width=width, cost=cost).labels
    distance = width * (volatility * sqrt(h)) + cost
    expected = oracle(bars, h, np.zeros(len(bars)), distance, distance, 0.0)
    pd.testing.assert_frame_equal(found[COLUMNS], expected)
    both = [follow(bars, t, h, d, d, None)[0] == "both" for t, d in distance.items()]
    assert found["both"].tolist() == both


@settings(max_examples=80, deadline=None)
@given(markets(), SIGMAS, SIDES, st.integers(1, 8), st.sampled_from([0.5, 2.0]), st.sampled_from([0.0, 0.01]))
def test_with_a_side_the_labels_are_those_of_the_oracle(bars, sigmas, sides, h, profit, cost):
    volatility = volatilities(bars, sigmas)
    side = pd.Series(sides[: len(bars)], index=bars.index)
    found = meta_labels(
        bars, HOURLY, f"{h}h", side=side, volatility=volatility, profit=profit, stop=1.0, cost=cost
    ).labels
    unit = (volatility * sqrt(h)).where(side != 0)
    win, lose = profit * unit + cost, unit
    expected = oracle(bars, h, side, win.where(side > 0, lose), lose.where(side > 0, win), cost)
    pd.testing.assert_frame_equal(found, expected)


@settings(max_examples=40, deadline=None)
@given(markets(min_size=12), SIGMAS, st.integers(1, 6), st.integers(0, 99))
def test_t_end_never_understates_what_a_label_needs_and_is_not_idle(bars, sigmas, h, seed):
    volatility = volatilities(bars, sigmas)

    def labels(of):
        return triple_barrier(
            of, HOURLY, f"{h}h", volatility=volatility.reindex(of.index), width=1.0, cost=0.001
        ).labels

    true = labels(bars)
    for moment in bars.index[[len(bars) // 3, len(bars) // 2, -2]]:
        known = true["t_end"] <= moment
        other = labels(another_end(bars, moment, seed))
        pd.testing.assert_frame_equal(
            true.loc[known, COLUMNS], other.loc[known[known].index, COLUMNS], check_freq=False
        )
        over = true["horizon_end"] <= moment
        horizon = ["horizon_ret", "horizon_end"]
        pd.testing.assert_frame_equal(true.loc[over, horizon], other.loc[over[over].index, horizon], check_freq=False)
        # With nothing but what had opened a bar before t_end, no label could have been given.
        short = labels(bars.loc[bars.index < moment - HOUR]) if (bars.index < moment - HOUR).any() else true.iloc[:0]
        assert not short["label"].notna().reindex(true.index[true["t_end"] == moment], fill_value=False).any()


def test_on_real_bars_the_labels_are_those_of_the_oracle(sample_bars):
    bars = sample_bars.iloc[:600].drop(sample_bars.index[[100, 250, 251]])
    volatility = bar_volatility(bars, HOURLY, 24)
    found = triple_barrier(bars, HOURLY, "12h", volatility=volatility, width=1.0, cost=0.0014).labels
    distance = volatility * sqrt(12) + 0.0014
    pd.testing.assert_frame_equal(found[COLUMNS], oracle(bars, 12, np.zeros(len(bars)), distance, distance, 0.0))
    assert set(found["touch"].dropna()) == {-1.0, 0.0, 1.0}
    assert found["gap"].any()


# One position after another: decided on the first bar, entered at 100, barriers at 110 and 90.
FLAT = (100, 0, 0, 100)


def ended(*bars, side=0, h=3):
    """The first row's label when these bars follow it; width 10% in every bar, no costs."""
    frame = market([FLAT, *bars])
    volatility = pd.Series(0.1 / sqrt(h), index=frame.index)
    if side:
        chosen = pd.Series(side, index=frame.index)
        made = meta_labels(
            frame, HOURLY, f"{h}h", side=chosen, volatility=volatility, profit=1.0, stop=1.0, cost=0.0
        ).labels
    else:
        made = triple_barrier(frame, HOURLY, f"{h}h", volatility=volatility, width=1.0, cost=0.0).labels
    first = made.iloc[0]
    return first["label"], first["touch"], first["ret"], (first["t_end"] - frame.index[0]) / HOUR


def test_a_touch_is_known_at_the_close_of_its_bar_even_of_the_bar_it_was_entered_in():
    assert ended((100, 11, 0, 100), FLAT) == (1.0, 1.0, pytest.approx(0.1), 2)
    assert ended(FLAT, (100, 0, 11, 95), FLAT) == (0.0, -1.0, pytest.approx(-0.1), 3)


def test_a_price_that_just_reaches_a_barrier_has_touched_it():
    # Barriers at exactly 125 and 75, reached by a high, a low and two opens.
    far, either = np.full(4, 0.25), np.zeros(4, dtype=np.int8)
    for bar, kind, known in (
        ((100, 25, 0, 100), barriers.UPPER, 3),
        ((100, 0, 25, 100), barriers.LOWER, 3),
        ((125, 0, 0, 125), barriers.UPPER, 2),
        ((75, 0, 0, 75), barriers.LOWER, 2),
    ):
        touches = meet_barriers(market([FLAT, FLAT, bar, FLAT]), HOURLY, "2h", up=far, down=far, worse=either)
        assert (touches.kind[0], touches.spans.stop[0]) == (kind, known)


def test_an_open_beyond_a_barrier_is_where_the_position_ends_for_better_or_worse():
    assert ended(FLAT, (80, 0, 0, 100), FLAT) == (0.0, -1.0, pytest.approx(-0.2), 2)
    assert ended(FLAT, (80, 0, 0, 100), FLAT, side=-1) == (1.0, 1.0, pytest.approx(0.2), 2)


def test_the_horizon_ends_at_an_open_and_what_that_bar_does_later_is_not_asked():
    assert ended(FLAT, FLAT, FLAT, (101, 50, 50, 60)) == (1.0, 0.0, pytest.approx(0.01), 4)
    assert ended(FLAT, FLAT, FLAT, FLAT) == (0.0, 0.0, 0.0, 4)  # unchanged is not up


def test_where_one_bar_reaches_both_barriers_the_loss_came_first():
    wide = (100, 11, 11, 100)
    assert ended(wide, side=1)[:3] == (0.0, -1.0, pytest.approx(-0.1))
    assert ended(wide, side=-1)[:3] == (0.0, -1.0, pytest.approx(-0.1))
    assert np.isnan(ended(wide)[0])


def test_costs_move_a_profit_away_and_decide_what_pays():
    frame = market([FLAT, (100, 10, 0, 100), FLAT, (101, 0, 0, 101)])
    sigma = pd.Series(0.099 / sqrt(2), index=frame.index)
    long = pd.Series(1, index=frame.index)

    def first(cost):
        made = meta_labels(frame, HOURLY, "2h", side=long, volatility=sigma, profit=1.0, stop=1.0, cost=cost)
        return made.labels.iloc[0][["label", "touch", "ret"]].tolist()

    assert first(0.0) == [1.0, 1.0, pytest.approx(0.099)]
    assert first(0.005) == [1.0, 0.0, pytest.approx(0.01)]  # no longer reached, yet 1% pays half a percent of costs
    assert first(0.02) == [0.0, 0.0, pytest.approx(0.01)]


def test_a_barrier_at_infinity_is_never_met_and_a_flat_market_opens_nothing():
    frame = market([FLAT, FLAT, (100, 50, 0, 100), FLAT, FLAT])
    up = pd.Series(1, index=frame.index)

    def made(sigma, profit):
        flat = pd.Series(sigma, index=frame.index)
        return meta_labels(frame, HOURLY, "3h", side=up, volatility=flat, profit=profit, stop=1.0, cost=0.0).labels

    assert made(0.1, np.inf)["touch"].iloc[0] == 0.0
    assert made(0.1, 1.0)["touch"].iloc[0] == 1.0
    assert made(0.0, np.inf)["label"].isna().all()


def test_the_longer_horizon_has_the_wider_barriers():
    frame = market([FLAT] * 4 + [(100, 15, 0, 100)] + [FLAT] * 12)
    sigma = pd.Series(0.1, index=frame.index)
    near = triple_barrier(frame, HOURLY, "1h", volatility=sigma, width=1.0, cost=0.0).labels
    far = triple_barrier(frame, HOURLY, "4h", volatility=sigma, width=1.0, cost=0.0).labels
    assert near["touch"].eq(1.0).sum() == 1
    assert not far["touch"].eq(1.0).any()


@settings(max_examples=60, deadline=None)
@given(markets(min_size=2), st.integers(2, 10))
def test_the_volatility_is_that_of_the_bars_that_are_there(bars, window):
    found = bar_volatility(bars, HOURLY, window)
    change = np.log(bars["close"]).diff().where(bars.index.to_series().diff() == HOUR)
    for stamp, value in found.items():
        inside = change.loc[stamp - (window - 1) * HOUR : stamp].dropna()
        early = stamp - bars.index[0] < window * HOUR
        if early or 2 * len(inside) < window:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(np.sqrt((inside**2).mean()), rel=1e-12, abs=1e-15)


def test_the_kernels_say_the_same_uncompiled(sample_bars, monkeypatch):
    bars = sample_bars.iloc[:200].drop(sample_bars.index[60:69])
    bars.iloc[120] *= [1.2, 1.2, 1.2, 1.2, 1.0]  # opens beyond a barrier
    compiled = bar_volatility(bars, HOURLY, 12)
    monkeypatch.setattr(barriers, "root_mean_square", root_mean_square.py_func)
    pd.testing.assert_series_equal(bar_volatility(bars, HOURLY, 12), compiled)
    # Narrow and wide by turns, so that every ending occurs.
    distance = compiled.to_numpy() * np.where(np.arange(len(bars)) % 2, 0.1, 2.5)
    for worse in (-1, 0, 1):
        order = np.full(len(bars), worse, dtype=np.int8)
        monkeypatch.setattr(barriers, "first_touches", first_touches)
        fast = meet_barriers(bars, HOURLY, "6h", up=distance, down=distance, worse=order)
        monkeypatch.setattr(barriers, "first_touches", first_touches.py_func)
        slow = meet_barriers(bars, HOURLY, "6h", up=distance, down=distance, worse=order)
        assert np.array_equal(fast.kind, slow.kind)
        assert np.array_equal(fast.price, slow.price, equal_nan=True)
        assert np.array_equal(fast.spans.stop, slow.spans.stop)
        assert set(fast.kind) == {0, 1, 2, 3, 4} | ({barriers.BOTH} if worse == 0 else set())


def test_no_bars_no_labels(bars):
    none = bars.iloc[:0]
    assert triple_barrier(none, HOURLY, "4h", volatility=none["close"], width=1.0, cost=0.0).labels.empty


def test_what_does_not_fit_is_refused(bars):
    sigma = pd.Series(0.01, index=bars.index)
    up = pd.Series(1, index=bars.index)
    with pytest.raises(InstrumentError, match="whole number"):
        triple_barrier(bars, HOURLY, "90m", volatility=sigma, width=1.0, cost=0.0)
    with pytest.raises(BarError, match="one grid"):
        triple_barrier(bars, Instrument("BTC/USD", "4h"), "4h", volatility=sigma, width=1.0, cost=0.0)
    for width, cost in ((0.0, 0.0), (np.nan, 0.0), (1.0, -0.1)):
        with pytest.raises(ValueError, match="width"):
            triple_barrier(bars, HOURLY, "4h", volatility=sigma, width=width, cost=cost)
    with pytest.raises(ValueError, match="volatility"):
        triple_barrier(bars, HOURLY, "4h", volatility=sigma.iloc[1:], width=1.0, cost=0.0)
    with pytest.raises(ValueError, match="profit"):
        meta_labels(bars, HOURLY, "4h", side=up, volatility=sigma, profit=1.0, stop=0.0, cost=0.0)
    for side in (up.iloc[1:], up * 0.5):
        with pytest.raises(ValueError, match="side"):
            meta_labels(bars, HOURLY, "4h", side=side, volatility=sigma, profit=1.0, stop=1.0, cost=0.0)
