"""What a scenario does to an account: known losses, sides, limits, moments, and nothing where there is nothing."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import json_text
from pipelines.params import StressParams
from pipelines.settings import ROOT
from pipelines.stress.account import Account, Worth
from pipelines.stress.moments import choose_moments
from pipelines.stress.outcome import Outcome, outcome
from pipelines.stress.replay import PATHS, Replay, replay, stress_test
from pipelines.stress.scenario import CATALOGUE, Scenario, read_catalogue
from tests.test_pipelines.test_stress.markets import HOUR, account, constant, scenario, still, wild
from trading.costs import Costs
from trading.simulator import simulate

SETTINGS: dict[str, Any] = {
    "moments": 6,
    "capital": 1000.0,
    "recovery": "48h",
    "liquidity": {"impact": 1.0, "participation": 0.1, "volatility_bars": 24},
    "limits": {"drawdown": 0.2, "daily_loss": 0.21},
    "capacity": [1000.0],
}


def one(
    what: Scenario, bars: pd.DataFrame, positions: pd.DataFrame, who: Account | None = None, at: int = 100
) -> Replay:
    return replay(what, {"X": bars}, positions, bars.index[at], who or account(), HOUR)


def test_a_scenario_that_changes_nothing_loses_what_would_have_been_lost_anyway() -> None:
    bars = wild()
    found = one(scenario(), bars, constant(bars, 1.0), account(Costs(5.0, 2.0, 1.0, impact=1.0), participation=0.1))
    assert found.stressed == found.unstressed
    assert found.stressed.loss != 0.0
    path = found.path()
    assert (path["equity"] == path["unstressed"]).all()
    assert path.iloc[0].tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(path["price"], bars["close"].iloc[99:] / bars["close"].iloc[99])


def test_who_holds_nothing_loses_nothing_in_any_scenario() -> None:
    bars = wild()
    for what in read_catalogue(ROOT / CATALOGUE):
        if what.hours < 200:
            assert one(what, bars, constant(bars, 0.0)).stressed == Outcome(0.0, 0.0, 0.0, 0), what.name


@pytest.mark.parametrize("leverage", [1.0, 2.0])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_crash_costs_a_long_its_size_times_leverage_and_pays_a_short(side: float, leverage: float) -> None:
    bars = still()
    found = one(scenario(24.0, (6.0, -0.2)), bars, constant(bars, side), account(leverage=leverage)).stressed
    assert found.loss == pytest.approx(side * 0.2 * leverage, abs=1e-9)
    assert found.drawdown == pytest.approx(max(found.loss, 0.0), abs=1e-9)
    assert found.daily_loss == pytest.approx(max(found.loss, 0.0), abs=1e-9)
    assert found.recovery_bars == (None if side > 0 else 0)


@pytest.mark.parametrize("leverage", [1.0, 3.0])
def test_a_gap_is_lost_before_anything_can_be_done(leverage: float) -> None:
    bars, positions = wild(), constant(wild(), 1.0)
    # It is out two bars later, which is the first open after the gap at which its decision is filled.
    positions.iloc[99:] = 0.0
    found = one(scenario(1.0, (0.0, -0.1)), bars, positions, account(leverage=leverage))
    beside = found.held / leverage * (bars["open"].iloc[100] / bars["close"].iloc[99] * 0.9 - 1.0)
    assert found.stressed.loss == pytest.approx(-leverage * beside, rel=1e-9)


def test_the_worst_point_is_inside_a_bar_and_recovery_is_counted_from_the_first() -> None:
    bars = still()
    found = one(scenario(5.0, (0.5, -0.3), (1.0, -0.1), (5.0, 0.0)), bars, constant(bars, 1.0)).stressed
    assert found.loss == pytest.approx(0.0, abs=1e-9)
    assert found.drawdown == found.daily_loss == pytest.approx(0.3)
    assert found.recovery_bars in (5, None)  # to the last bit, or not
    back = one(scenario(4.0, (0.5, -0.3), (1.0, -0.1), (3.0, 0.01)), bars, constant(bars, 1.0)).stressed
    assert back.recovery_bars == 3
    short = one(scenario(4.0, (0.5, 0.3), (1.0, 0.0)), bars, constant(bars, -1.0)).stressed
    assert short.drawdown == pytest.approx(0.3)


def test_a_drawdown_is_from_the_highest_close_and_a_days_loss_from_the_day_before() -> None:
    stamps = pd.date_range("2020-01-01", periods=6, freq="12h", tz="UTC")
    close = np.array([1.0, 1.0, 1.2, 0.9, 0.6, 1.0])
    found = outcome(Worth(stamps, close, close - 0.1, np.ones(6)), 2, 5)
    assert found.loss == pytest.approx(0.4)
    assert found.drawdown == pytest.approx(1 - 0.5 / 1.2)
    assert found.daily_loss == pytest.approx(1 - 0.5 / 1.2)
    assert found.recovery_bars == 4
    assert found.fired(drawdown=0.5, daily_loss=0.7) == ["drawdown"]
    assert found.fired(drawdown=0.6, daily_loss=0.5) == ["daily_loss"]


def test_ruin_loses_everything_and_nothing_more() -> None:
    bars = still()
    found = one(scenario(24.0, (6.0, -0.6), (24.0, 0.0)), bars, constant(bars, 1.0), account(leverage=2.0))
    assert found.stressed == Outcome(1.0, 1.0, 1.0, None)
    again = one(scenario(), bars, constant(bars, 1.0), account(leverage=2.0))
    worth = Worth(pd.DatetimeIndex(bars.index), np.zeros(len(bars)), np.zeros(len(bars)), np.zeros(len(bars)))
    assert outcome(worth, 100, 124) == Outcome(1.0, 1.0, 1.0, None)
    assert again.stressed == Outcome(0.0, 0.0, 0.0, 0)


def test_a_wider_spread_costs_what_the_simulator_would_charge_for_it() -> None:
    bars = wild(300)
    flips = constant(bars, 1.0)
    flips.iloc[::10] = -1.0
    costs = Costs(5.0, 4.0, 1.0)
    # From the second bar to the last: all fills are in it.
    found = one(scenario(299.0, spread=5.0), bars, flips, account(costs), at=1).worths[0].close
    wide, narrow = (
        simulate(bars, flips["X"], each, rebalance_band=np.inf, bars_per_year=8760.0, initial_equity=1000.0).equity
        for each in (Costs(5.0, 20.0, 1.0), costs)
    )
    paid, said = narrow.iloc[-1] - wide.iloc[-1], narrow.iloc[-1] - found[-1]
    assert paid > 20.0
    assert said == pytest.approx(paid, rel=1e-2)
    np.testing.assert_allclose(found, wide, rtol=5e-4)
    # Only fills within its hours pay it.
    late = one(scenario(5.0, spread=5.0), bars, flips, account(costs), at=113).worths[0].close
    np.testing.assert_allclose(late, narrow)


def test_nothing_is_filled_in_an_outage_so_that_a_decision_to_leave_comes_too_late() -> None:
    bars, positions = still(), constant(still(), 1.0)
    positions.iloc[99:] = 0.0
    fall = (12.0, -0.12)
    open_ = one(scenario(12.0, fall, volume=1.0), bars, positions).stressed
    shut = one(scenario(12.0, fall, volume=0.0), bars, positions)
    assert open_.loss == pytest.approx(0.0, abs=1e-9)
    assert shut.stressed.loss == pytest.approx(0.12)
    # The order is filled when the market is back.
    assert shut.worths[0].held[112] == 0.0


def test_less_volume_costs_more_impact_and_fills_more_slowly() -> None:
    bars = wild(volume=50.0)
    flips = constant(bars, 1.0)
    flips.iloc[::10] = -1.0
    dearer = one(scenario(240.0, volume=0.05), bars, flips, account(Costs(0.0, 0.0, 0.0, impact=0.1)))
    assert dearer.stressed.loss > dearer.unstressed.loss + 0.1
    dry = one(scenario(240.0, volume=0.05), bars, flips, account(participation=0.5))
    assert abs(dry.worths[0].held[101:340]).mean() < abs(dry.worths[1].held[101:340]).mean()


def test_longs_pay_a_funding_spike_and_shorts_are_paid() -> None:
    bars = still()
    spike = scenario(24.0, funding=0.003)
    assert one(spike, bars, constant(bars, 1.0)).stressed.loss == pytest.approx(0.009, rel=1e-2)
    assert one(spike, bars, constant(bars, -1.0)).stressed.loss == pytest.approx(-0.009, rel=1e-2)


def test_funding_is_paid_on_the_asset_that_has_a_rate() -> None:
    bars = {"SWAP": still().assign(funding_rate=0.001), "SPOT": still()}
    positions = pd.DataFrame(0.5, index=bars["SWAP"].index, columns=list(bars))
    assert account().follow(bars, positions).metrics["funding"] > 0.0


def test_a_hedge_breaks_where_all_assets_move_as_one() -> None:
    up = wild(300, 1)
    down = up.copy()
    down[["open", "high", "low", "close"]] = 1e4 / up[["open", "low", "high", "close"]].to_numpy()
    third = wild(300, 5)
    bars = {"UP": up, "DOWN": down, "THIRD": third}
    positions = pd.DataFrame({"UP": 0.5, "DOWN": 0.5, "THIRD": 0.0}, index=up.index)
    found = replay(
        scenario(48.0, correlated=True, volatility=3.0), bars, positions, up.index[100], account(band=0.01), HOUR
    )
    assert abs(found.unstressed.loss) < 0.01
    assert abs(found.stressed.loss) > 0.05


def test_moments_are_long_and_short_in_equal_parts_where_something_is_held() -> None:
    index = pd.date_range("2020-01-01", periods=1000, freq="h", tz="UTC")
    positions = pd.DataFrame({"X": 0.0}, index=index)
    positions.iloc[100:900] = 1.0
    positions.iloc[300:310] = -1.0
    found = choose_moments(positions, 20, 50, 950)
    met = positions["X"].to_numpy()[found - 2]
    assert (met != 0).all()
    assert (met < 0).sum() == 10
    assert list(found) == sorted(set(found))
    longs = found[met > 0]
    assert longs.min() < 200
    assert longs.max() > 800
    # One side takes what the other has not.
    assert (positions["X"].abs().to_numpy()[choose_moments(positions.abs(), 20, 50, 950) - 2] == 1).all()
    few = choose_moments(positions, 40, 50, 950)
    assert (positions["X"].to_numpy()[few - 2] < 0).sum() == 10
    assert len(few) == 40


def test_moments_of_a_flat_account_are_spread_over_all_bars_and_a_hedged_one_counts_as_held() -> None:
    index = pd.date_range("2020-01-01", periods=100, freq="h", tz="UTC")
    flat = pd.DataFrame({"X": 0.0, "Y": 0.0}, index=index)
    assert choose_moments(flat, 4, 20, 60).tolist() == [25, 35, 45, 55]
    assert len(choose_moments(flat, 99, 20, 60)) == 40
    hedged = flat.copy()
    hedged.iloc[40:50] = [0.5, -0.5]
    assert set(choose_moments(hedged, 3, 20, 60)) <= set(range(42, 52))


def test_a_test_replays_all_from_the_same_moments_and_says_what_it_left_out() -> None:
    bars = wild(600)
    positions = constant(bars, 1.0)
    positions.iloc[300:] = -1.0
    catalogue = [
        scenario(12.0, (12.0, -0.3), name="crash"),
        scenario(12.0, (12.0, 0.3), name="rally"),
        scenario(24.0, correlated=True, name="together"),
        scenario(2000.0, (12.0, -0.3), name="age"),
    ]
    settings = StressParams.model_validate(SETTINGS)
    table, paths = stress_test(catalogue, {"X": bars}, positions, account(), settings, HOUR)
    assert table["moments"] == 6
    assert table["exposure"] == 1.0
    assert table["skipped"] == [
        {"name": "together", "reason": "needs several assets"},
        {"name": "age", "reason": "lasts 2000 bars, and the test has room for 552"},
    ]
    crash, rally = table["scenarios"]
    assert crash["name"] == "crash"
    assert crash["held"] == pytest.approx(1.0, abs=0.5)
    assert rally["held"] < 0 < crash["held"]
    for row in (crash, rally):
        assert row["loss"] == pytest.approx(0.3, abs=0.15)
        assert row["loss"] <= row["drawdown"]
        assert row["loss_median"] <= row["loss"]
        assert row["added_loss"] >= row["loss"] - row["unstressed_loss"] > 0.1
        assert row["limits"] == {"drawdown": 0.5, "daily_loss": 0.5}
        assert row["recovered"] <= 1.0
        assert pd.Timestamp(row["at"]) in bars.index
    assert list(paths) == PATHS
    assert set(paths["scenario"]) == {"crash", "rally"}
    assert paths.groupby("scenario")["bar"].max().max() <= 12 + 48
    assert json.loads(json_text(table))["limits"] == {"drawdown": 0.2, "daily_loss": 0.21}


def test_every_replay_starts_with_the_capital_whatever_was_earned_before() -> None:
    # Equity of a constant long is tenfold at the end; impact is that of the capital all the same.
    bars = still(600, volume=100.0)
    bars[["open", "high", "low", "close"]] = np.outer(np.geomspace(100.0, 1000.0, 600), np.ones(4))
    bars["open"] = bars["close"].shift(fill_value=100.0)
    bars["low"] = bars["open"]
    settings = StressParams.model_validate(SETTINGS | {"moments": 2})
    fall = scenario(6.0, (6.0, -0.2), name="fall")
    table, paths = stress_test([fall], {"X": bars}, constant(bars, 1.0), account(), settings, HOUR)
    assert table["scenarios"][0]["loss"] == pytest.approx(table["scenarios"][0]["loss_median"], rel=1e-6)
    assert len(paths) == 6 + 48 + 1


def test_a_short_test_without_room_says_so() -> None:
    bars = wild(40)
    settings = StressParams.model_validate(SETTINGS)
    table, paths = stress_test([scenario()], {"X": bars}, constant(bars, 1.0), account(), settings, HOUR)
    assert table["scenarios"] == []
    assert table["skipped"][0]["reason"] == "lasts 24 bars, and the test has room for 0"
    assert table["moments"] == 0
    assert list(paths) == PATHS
