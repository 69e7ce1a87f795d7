"""A fill may know the open of its bar, and nothing else about it."""

import numpy as np
import pandas as pd
import pytest

import pipelines.backtest.strategy
import trading.simulator
from pipelines.audit.checks import Check, checks_of
from pipelines.audit.execution import EARLY_FILL, audit_execution, decided_before_filled, fills_to_question
from pipelines.backtest.strategy import Strategy
from pipelines.params import Params
from trading.instrument import Instrument


@pytest.fixture
def strategy(params: Params, instrument: Instrument) -> Strategy:
    return Strategy(params, instrument, "4h")


@pytest.fixture
def positions(bars: pd.DataFrame) -> pd.Series:
    turns = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], size=len(bars) // 5)
    return pd.Series(np.repeat(turns, 5), index=bars.index, name="position")


def question(strategy: Strategy, bars: pd.DataFrame, positions: pd.Series) -> dict[str, Check]:
    fills = trading.simulator.simulate(
        bars, positions, strategy.params.costs.costs(), rebalance_band=0.1, bars_per_year=8760
    ).fills
    at = fills_to_question(fills, 8, seed=1)
    assert len(at) == 8
    report = audit_execution(strategy, bars, positions, at)
    assert not report.failures
    return {check.check: check for check in checks_of(report, rows="execution 4h")}


def test_the_simulator_is_clean_and_the_control_is_caught(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series
) -> None:
    found = question(strategy, bars, positions)
    assert found["execution 4h"].changed == 0
    assert found["execution 4h"].compared > 1000
    assert found[EARLY_FILL].changed > 0


def test_a_kernel_that_peeks_at_its_bars_decision_is_found(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = trading.simulator.simulate

    def peeking(bars: pd.DataFrame, positions: pd.Series, *rest: object, **more: object) -> object:
        return honest(bars, positions.shift(-1, fill_value=0.0), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pipelines.backtest.strategy, "simulate", peeking)
    assert question(strategy, bars, positions)["execution 4h"].changed > 0


def test_a_kernel_that_fills_at_the_close_is_found(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = trading.simulator.simulate

    def late(bars: pd.DataFrame, *rest: object, **more: object) -> object:
        return honest(bars.assign(open=bars["close"]), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pipelines.backtest.strategy, "simulate", late)
    found = question(strategy, bars, positions)["execution 4h"]
    assert found.changed > 0
    assert "price" in found.columns


def test_a_fill_before_its_decision_is_counted() -> None:
    hour = pd.Timedelta(hours=1)
    at = pd.date_range("2019-01-01", periods=3, freq="h", tz="UTC")
    fills = pd.DataFrame({"timestamp": at, "decided_at": [at[0] - hour, at[0], at[2]]})
    found = decided_before_filled(fills, hour, "1h")
    assert (found.compared, found.changed, found.first_changed) == (3, 1, str(at[2]))
    assert (found.first_cut, found.last_cut) == (at[0].isoformat(), at[2].isoformat())
    assert decided_before_filled(fills.iloc[:0], hour, "1h").compared == 0


def test_fewer_fills_than_asked_for_are_all_questioned() -> None:
    at = pd.date_range("2019-01-01", periods=3, freq="h", tz="UTC")
    moments = fills_to_question(pd.DataFrame({"timestamp": at[::-1]}), 9, seed=1)
    assert [moment.time for moment in moments] == list(at)
    assert all(moment.opened for moment in moments)
