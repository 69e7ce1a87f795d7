"""Bars with a scenario on them are bars, go where it says, and are the same before and after."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stress.lay import PRICES, lay, span
from pipelines.stress.scenario import Scenario
from tests.test_pipelines.test_stress.markets import HOUR, scenario, still, wild
from trading.errors import BarError


def laid(one: Scenario, bars: pd.DataFrame, at: int = 100, bar: pd.Timedelta = HOUR) -> pd.DataFrame:
    return lay(one, {"X": bars}, bars.index[at], bar)["X"]


def moves(bars: pd.DataFrame, at: int, to: int) -> np.ndarray:
    return bars["close"].to_numpy()[at:to] / bars["close"].iloc[at - 1] - 1.0


@pytest.mark.parametrize("effects", [{}, {"volatility": 1.0, "volume": 1.0, "spread": 7.0}])
def test_a_scenario_without_a_move_changes_nothing(effects: dict[str, float]) -> None:
    bars = wild()
    pd.testing.assert_frame_equal(laid(scenario(**effects), bars), bars, check_exact=True)


def test_a_path_of_the_bars_own_moves_changes_no_close() -> None:
    bars = wild()
    own = [(float(hour), float(move)) for hour, move in enumerate(moves(bars, 100, 124), start=1)]
    found = laid(scenario(24.0, *own), bars)
    np.testing.assert_allclose(found["close"], bars["close"], rtol=1e-12)


def test_prices_go_through_the_points_of_the_path_and_wiggle_between() -> None:
    bars = wild()
    found = moves(laid(scenario(48.0, (10.0, -0.2), (12.0, -0.5), (48.0, -0.3)), bars), 100, 148)
    np.testing.assert_allclose(found[[9, 11, 47]], [-0.2, -0.5, -0.3], rtol=1e-12)
    # Between two points, what the bars did beside their own straight line stays.
    straight = np.interp(np.arange(1, 10), [0, 10], [0, np.log1p(-0.2)])
    own = np.log1p(moves(bars, 100, 110))
    np.testing.assert_allclose(np.log1p(found[:9]) - straight, own[:9] - own[9] * np.arange(1, 10) / 10, atol=1e-12)


def test_a_gap_is_at_the_open_and_the_rest_goes_on_from_there() -> None:
    bars = wild()
    found = laid(scenario(24.0, (0.0, -0.15)), bars)
    np.testing.assert_allclose(found[PRICES].iloc[100:], bars[PRICES].iloc[100:] * 0.85, rtol=1e-12)
    np.testing.assert_array_equal(found.iloc[:100], bars.iloc[:100])


def test_a_point_inside_a_bar_is_in_its_range() -> None:
    found = laid(scenario(1.0, (0.25, -0.3), (0.5, 0.1), (1.0, 0.0)), still())
    assert found["low"].iloc[100] == pytest.approx(70.0)
    assert found["high"].iloc[100] == pytest.approx(110.0)
    assert found["close"].iloc[100] == pytest.approx(100.0)
    assert (found[PRICES].drop(found.index[100]) == 100.0).all().all()


def test_a_point_in_hours_without_bars_is_not_seen_but_its_move_is() -> None:
    bars = still().drop(still().index[100:106])
    found = lay(scenario(12.0, (3.0, -0.4), (10.0, -0.2)), {"X": bars}, still().index[100], HOUR)["X"]
    assert found["low"].min() > 60.0
    assert found["close"].iloc[103] == pytest.approx(80.0)


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_volatility_multiplies_every_move(factor: float) -> None:
    bars = wild()
    found = laid(scenario(24.0, volatility=factor), bars)
    own, bent = (np.log(frame["close"]).diff().iloc[100:124] for frame in (bars, found))
    np.testing.assert_allclose(bent, factor * own, atol=1e-12)


def test_a_frozen_feed_stands_still_then_jumps() -> None:
    found = laid(scenario(7.0, (6.0, 0.0), (7.0, -0.1), volatility=0.0, volume=0.0), wild())
    before = found["close"].iloc[99]
    np.testing.assert_allclose(found[PRICES].iloc[100:106], before, rtol=1e-12)
    assert found["close"].iloc[106] == pytest.approx(0.9 * before)
    assert (found["volume"].iloc[100:107] == 0.0).all()
    assert (found["volume"].iloc[107:] > 0.0).all()


@pytest.mark.parametrize(("bar", "paid"), [("1h", 3), ("8h", 3), ("1D", 3), ("12h", 3)])
def test_funding_is_due_three_times_a_day_whatever_the_bars(bar: str, paid: int) -> None:
    bars = wild(bar=bar)
    found = laid(scenario(24.0, funding=0.01), bars, bar=pd.Timedelta(bar))
    assert found["funding_rate"].sum() == pytest.approx(paid * 0.01)


def test_funding_comes_on_top_of_the_bars_own() -> None:
    bars = wild().assign(funding_rate=0.001)
    bars.loc[bars.index[100], "funding_rate"] = np.nan
    found = laid(scenario(24.0, funding=0.01), bars)
    assert found["funding_rate"].sum() == pytest.approx(399 * 0.001 + 0.03)
    assert laid(scenario(24.0), bars)["funding_rate"].sum() == pytest.approx(0.399)


PATHS = st.lists(
    st.tuples(st.floats(0.01, 30.0), st.floats(-0.9, 2.0)), max_size=5, unique_by=lambda point: point[0]
).map(sorted)


@settings(max_examples=60, deadline=None)
@given(path=PATHS, volatility=st.floats(0.0, 5.0), volume=st.floats(0.0, 9.0), seed=st.integers(0, 99))
def test_what_comes_out_are_bars_and_only_the_hours_are_touched(
    path: list[tuple[float, float]], volatility: float, volume: float, seed: int
) -> None:
    bars = wild(200, seed)
    found = laid(scenario(30.0, *path, volatility=volatility, volume=volume), bars)
    assert (found["low"] <= found[PRICES].min(axis=1)).all()
    assert (found["high"] >= found[PRICES].max(axis=1)).all()
    assert (found[PRICES] > 0).all().all()
    pd.testing.assert_frame_equal(found.iloc[:100], bars.iloc[:100], check_exact=True)
    relative = found[PRICES].iloc[130:] / found["close"].iloc[129]
    np.testing.assert_allclose(relative, bars[PRICES].iloc[130:] / bars["close"].iloc[129], rtol=1e-9)
    np.testing.assert_array_equal(found["volume"].iloc[130:], bars["volume"].iloc[130:])


def test_assets_whose_correlation_is_one_move_together_each_in_its_own_size() -> None:
    bars = {name: wild(300, seed) for seed, name in enumerate("ABC")}
    bars["C"][PRICES] **= 2
    bars["B"] = bars["B"].drop(bars["B"].index[110])
    found = lay(scenario(96.0, correlated=True), bars, bars["A"].index[100], HOUR)
    shared = found["B"].index[100:195]

    def returns(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
        closes = pd.DataFrame({name: np.log(frame["close"]).reindex(shared) for name, frame in frames.items()})
        before = pd.Series({name: np.log(frame["close"].iloc[99]) for name, frame in frames.items()})
        return pd.concat([before.to_frame().T, closes]).diff().iloc[1:]

    together, own = returns(found), returns(bars)
    np.testing.assert_allclose(together.corr(), 1.0, atol=1e-9)
    np.testing.assert_allclose((together**2).mean(), (own**2).mean(), rtol=1e-9)
    for frame in found.values():
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()


@pytest.mark.parametrize("opposite", [False, True])
def test_assets_that_have_nothing_in_common_stand_still(opposite: bool) -> None:
    bars: dict[str, Any] = {"A": wild(200), "B": wild(200)}
    if opposite:
        bars["B"][PRICES] = 1e4 / bars["B"][["open", "low", "high", "close"]].to_numpy()
    else:
        bars = {"A": still(200), "B": still(200)}
    found = lay(scenario(24.0, correlated=True), bars, bars["A"].index[100], HOUR)
    np.testing.assert_allclose(np.log(found["A"]["close"]).diff().iloc[100:124], 0.0, atol=1e-12)


@pytest.mark.parametrize(("at", "rule"), [(0, "before"), (400, "in the 24 hours")])
def test_a_scenario_needs_a_bar_before_and_one_within(at: int, rule: str) -> None:
    index = pd.DatetimeIndex(still().index)
    with pytest.raises(BarError, match=rule):
        span(index, index[0] + at * HOUR, 24.0)
