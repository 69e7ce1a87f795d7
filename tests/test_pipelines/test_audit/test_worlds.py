"""Other futures: the past is untouched to the last bit, what follows is other, and still bars."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.audit.worlds import WORLDS, History, Moment, stamps_of
from pipelines.features.external import arrays_of, join

HOUR = pd.Timedelta(hours=1)
NS = 10**9


def history(seed: int, rows: int, *, sigma: float = 0.01, **more: Any) -> History:
    """Bars with gaps, standing markets and bars without volume."""
    rng = np.random.default_rng(seed)
    step = rng.normal(0, sigma, rows) * (rng.random(rows) > 0.2)
    close = 100 * np.exp(np.cumsum(step))
    open_ = np.append(100.0, close[:-1])
    frame = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(rng.exponential(sigma / 2, rows)),
            "low": np.minimum(open_, close) * np.exp(-rng.exponential(sigma / 2, rows)),
            "close": close,
            "volume": rng.lognormal(2, 1, rows) * (rng.random(rows) > 0.1),
        },
        index=pd.date_range("2024-03-01", periods=rows, freq="h", tz="UTC", name="timestamp"),
    )
    return History(frame[rng.random(rows) > 0.1], HOUR, **more)


def known(bars: pd.DataFrame, moment: Moment) -> pd.DataFrame:
    return bars[stamps_of(bars.index) + 3600 * NS <= moment.at]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(2, 80),
    at=st.integers(-2, 82),
    minutes=st.sampled_from([0, 0, 0, 5, 59]),
    opened=st.booleans(),
    world=st.sampled_from(WORLDS),
    sigma=st.sampled_from([0.0, 0.001, 0.01, 0.3]),
)
def test_what_was_known_stays_and_the_rest_are_other_bars(
    seed: int, rows: int, at: int, minutes: int, opened: bool, world: str, sigma: float
) -> None:
    past = history(seed, rows, sigma=sigma)
    time = pd.Timestamp("2024-03-01", tz="UTC") + at * HOUR + pd.Timedelta(minutes=minutes)
    moment = Moment(time.as_unit("ns").value, opened)
    other = past.other(moment, world, seed).bars
    pd.testing.assert_frame_equal(known(other, moment), known(past.bars, moment), check_freq=False)
    assert list(other.columns) == list(past.bars.columns)
    assert other.index.name == "timestamp"
    assert other.index.isin(past.bars.index).all()
    assert np.isfinite(other.to_numpy()).all()
    assert (other[["open", "high", "low", "close"]] > 0).all(axis=None)
    assert (other["volume"] >= 0).all()
    assert (other["high"] >= other[["open", "close", "low"]].max(axis=1)).all()
    assert (other["low"] <= other[["open", "close", "high"]].min(axis=1)).all()
    begun = (other.index <= time) & (other.index + HOUR > time)
    if opened:
        # Of a bar that has begun its open is known, and nothing else.
        assert begun.sum() == ((past.bars.index <= time) & (past.bars.index + HOUR > time)).sum()
        assert (other.loc[begun, "open"] == past.bars["open"].reindex(other.index)[begun]).all()
    if world == "removed":
        assert len(other) == len(known(past.bars, moment)) + begun.sum() * opened


@pytest.mark.parametrize("world", ["mirrored", "shuffled"])
def test_every_later_value_is_another(world: str) -> None:
    past = history(3, 300)
    moment = Moment(stamps_of(past.bars.index)[120] + 3600 * NS, opened=False)
    other = past.other(moment, world, 1).bars
    later = other.index[other.index >= moment.time]
    assert len(later) > 100
    changed = other.loc[later] != past.bars.loc[later]
    assert changed[["open", "high", "low", "close"]].all(axis=None)
    # A bar without volume may change places with another one.
    assert changed["volume"].mean() > (0.999 if world == "mirrored" else 0.9)


def test_a_mirror_turns_every_return_round() -> None:
    """Whatever says only up or down about the time to come changes, over any horizon."""
    past = history(5, 200)
    at = 80
    moment = Moment(stamps_of(past.bars.index)[at] + 3600 * NS, opened=False)
    close, other = past.bars["close"], past.other(moment, "mirrored", 1).bars["close"]
    true = np.log(close.iloc[at + 1 :] / close.iloc[at])
    mirrored = np.log(other.iloc[at + 1 :] / close.iloc[at])
    moved = true.abs() > 0.005
    assert moved.sum() > 50
    assert (np.sign(true[moved]) == -np.sign(mirrored[moved])).all()
    assert (mirrored[moved].abs() > 1.5 * true[moved].abs()).all()


@pytest.mark.parametrize(("jump", "most"), [(0.1, 0.25), (0.3, 0.51), (0.55, 0.56)])
def test_a_mirror_stretches_no_bar_beyond_belief(jump: float, most: float) -> None:
    """Validation would drop it, and with it the bar that had begun: a label that ends there would seem a leak."""
    past = history(5, 200, sigma=0.001)
    at = 80
    jumped = past.bars.copy()
    jumped.iloc[at + 1 :, :4] *= np.exp(jump)
    jumped.iloc[at + 1, 0] = jumped["close"].iloc[at]
    jumped.iloc[at + 1, 2] = jumped["low"].iloc[at]
    moment = Moment(stamps_of(jumped.index)[at + 1], opened=True)
    other = History(jumped, HOUR).other(moment, "mirrored", 1).bars
    move = np.log(other["close"].iloc[at + 1] / other["close"].iloc[at])
    assert -most < move < -jump * 0.98


def test_a_shuffle_comes_in_another_order_with_a_shock_and_with_holes() -> None:
    past = history(5, 2000)
    moment = Moment(stamps_of(past.bars.index)[80] + 3600 * NS, opened=False)
    missing = []
    for seed in range(8):
        other = past.other(moment, "shuffled", seed).bars
        later = np.flatnonzero(other.index >= moment.time)
        returns = np.log(other["close"]).diff()
        assert returns.iloc[later[:3]].abs().max() > 0.2
        assert returns.iloc[later[5:]].abs().max() < 0.1
        missing.append(past.bars.index[81] not in other.index)
        assert 0 < len(past.bars) - len(other) < 120
    assert 0 < sum(missing) < 8


def test_prices_stay_within_a_thousand_times_whatever_they_did() -> None:
    rows = 400
    close = np.geomspace(1e-4, 1e4, rows)
    index = pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    bars = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1.0}, index=index)
    for world in ("mirrored", "shuffled"):
        other = History(bars, HOUR).other(Moment(stamps_of(index)[9], opened=False), world, 1).bars
        assert other["close"].between(close[8] / 1100, close[8] * 1100).all()


def test_the_same_seed_and_moment_make_the_same_future() -> None:
    past = history(1, 60)
    moment = Moment(stamps_of(past.bars.index)[30], opened=True)
    for world in WORLDS:
        one, two, three = (past.other(moment, world, seed).bars for seed in (4, 4, 5))
        pd.testing.assert_frame_equal(one, two)
        assert world == "removed" or not one.equals(three)


def test_columns_of_every_type_change_and_keep_it() -> None:
    past = history(2, 100)
    rows = len(past.bars)
    rng = np.random.default_rng(0)
    more = past.bars.assign(
        quote_volume=past.bars["volume"] * past.bars["close"],
        trades=rng.integers(1, 500, rows),
        taker_buy_volume=past.bars["volume"] / 2,
        funding_rate=rng.normal(0, 1e-4, rows),
        halted=rng.random(rows) > 0.5,
        note=pd.array(rng.choice(["a", "b", None], rows), dtype="string"),
        blank=np.nan,
        steady=3.0,
    )
    moment = Moment(stamps_of(more.index)[40] + 3600 * NS, opened=False)
    for world in WORLDS:
        other = History(more, HOUR).other(moment, world, 1).bars
        assert (other.dtypes == more.dtypes).all()
        pd.testing.assert_frame_equal(known(other, moment), known(more, moment), check_freq=False)
    mirrored = History(more, HOUR).other(moment, "mirrored", 1).bars
    changed = (mirrored != more).iloc[41:].mean()
    assert (changed[["trades", "funding_rate", "halted", "steady"]] > 0.9).all()
    assert changed["note"] > 0.3
    assert mirrored["blank"].isna().all()
    traded = more["volume"] > 0
    share = (mirrored["taker_buy_volume"] / mirrored["volume"])[traded]
    assert share.to_numpy() == pytest.approx(0.5)
    price = (mirrored["quote_volume"] / mirrored["volume"])[traded]
    assert price.between(mirrored["low"][traded] * 0.9, mirrored["high"][traded] * 1.1).all()


def test_a_bar_that_has_only_opened_has_traded_nothing() -> None:
    past = history(2, 100)
    more = past.bars.assign(funding_rate=np.arange(len(past.bars)) * 1.0)
    stamp = more.index[40]
    other = History(more, HOUR).other(Moment(stamp.as_unit("ns").value, opened=True), "removed", 1).bars
    last = other.loc[stamp]
    assert list(last[["open", "high", "low", "close"]]) == [more["open"][stamp]] * 4
    assert last["volume"] == 0
    assert last["funding_rate"] == more["funding_rate"].iloc[39]


def test_rows_that_are_no_bars_stay_or_go_but_break_nothing() -> None:
    """Raw rows, as ingest writes them: repeated and unreadable stamps, prices that are none."""
    past = history(2, 60).bars
    dirty = pd.concat([past.iloc[:30], past.iloc[[29]], past.iloc[30:]])
    dirty.iloc[[5, 45], 0] = np.nan
    dirty.iloc[[6, 46], 3] = -1.0
    dirty.index = dirty.index[:-1].append(pd.DatetimeIndex([pd.NaT], tz="UTC")).rename("timestamp")
    moment = Moment(stamps_of(dirty.index)[40], opened=False)
    for world in WORLDS:
        other = History(dirty, HOUR).other(moment, world, 1).bars
        before = stamps_of(dirty.index) + 3600 * NS <= moment.at
        pd.testing.assert_frame_equal(other[: before.sum()], dirty[before], check_freq=False)
        # A row without a time is later than everything.
        assert other.index.notna().all() or world != "removed"
    other = History(dirty, HOUR).other(moment, "mirrored", 1).bars
    assert np.isnan(other["open"].iloc[45])
    assert other["close"].iloc[46] == -1.0


def test_the_context_changes_after_its_publication() -> None:
    bars = history(2, 100).bars
    days = pd.date_range("2024-03-01", periods=5, freq="D", tz="UTC", name="published_at")
    index = pd.DataFrame({"value": np.arange(5.0) * 10}, index=days)
    other_symbol = bars * 2
    past = History(bars, HOUR, {"fear": index, "ETH/USD": other_symbol}, {"fear": pd.Timedelta(hours=2)})
    moment = Moment(pd.Timestamp("2024-03-03 01:00", tz="UTC").as_unit("ns").value, opened=False)
    # Published at midnight, usable from two o'clock on.
    removed = past.other(moment, "removed", 1)
    assert removed.context is not None
    assert list(removed.context["fear"].index) == list(days[:2])
    assert removed.context["ETH/USD"].index[-1] < moment.time
    for world in ("mirrored", "shuffled"):
        other = past.other(moment, world, 1)
        assert other.context is not None
        pd.testing.assert_frame_equal(other.context["fear"].iloc[:2], index.iloc[:2], check_freq=False)
        assert (other.context["fear"].iloc[2:] != index.reindex(other.context["fear"].index[2:])).all(axis=None)
        assert (known(other.context["ETH/USD"], moment) == known(other_symbol, moment)).all(axis=None)
    assert past.end() == pd.Timestamp("2024-03-05 04:00", tz="UTC").as_unit("ns").value or past.end() > moment.at
    assert past.publication("ETH/USD")[0] == stamps_of(bars.index)[0] + 3600 * NS


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), at=st.integers(0, 40), world=st.sampled_from(WORLDS))
def test_what_came_late_is_known_from_its_arrival(seed: int, at: int, world: str) -> None:
    bars, delay = history(seed, 40).bars, pd.Timedelta(hours=2)
    rng = np.random.default_rng(seed)
    index = pd.date_range("2024-03-01", periods=12, freq="3h", tz="UTC", name="published_at")
    late = pd.Series(index + pd.to_timedelta(rng.integers(-4, 12, 12), unit="h"), index).where(rng.random(12) > 0.3)
    series = pd.DataFrame({"value": rng.normal(size=12), "not_before": late})
    moment = Moment((bars.index[0].floor("D") + at * HOUR).as_unit("ns").value, opened=False)

    terms = {"delay": delay.as_unit("ns").value, "max_age": 50 * 3600 * NS, "neutral": 0.0}
    hours = np.arange(index[0].as_unit("ns").value, moment.at + 1, 3600 * NS)

    def rows(frame: pd.DataFrame) -> np.ndarray:
        """What the rows of a join know, hour by hour up to the moment."""
        published, values, not_before = arrays_of(frame, ["value"])
        return join(hours, published, values, not_before=not_before, **terms).table()

    other = History(bars, HOUR, {"fear": series}, {"fear": delay}).other(moment, world, seed).context
    assert other is not None
    np.testing.assert_array_equal(rows(other["fear"]), rows(series))
    usable = np.maximum(index + delay, late.fillna(index[0]))
    changed = other["fear"]["value"].reindex(index) != series["value"]
    # What was published by the moment, and has yet to arrive, is other as well.
    np.testing.assert_array_equal(changed, usable > moment.time)
