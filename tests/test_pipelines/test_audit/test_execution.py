"""A fill may know the open of its bar, and nothing else about it."""

import numpy as np
import pandas as pd
import pytest

import pipelines.backtest.strategy
import trading.simulator
from pipelines.audit.execution import audit_execution, decided_before_filled, fills_to_question
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


def question(strategy: Strategy, bars: pd.DataFrame, positions: pd.Series) -> tuple[int, int, int]:
    fills = strategy.simulate(bars, positions).fills
    pairs = list(audit_execution(strategy, bars, positions, fills_to_question(fills, 8, seed=1)))
    assert len(pairs) == 8
    return sum(h.changed for h, _ in pairs), sum(h.compared for h, _ in pairs), sum(c.changed for _, c in pairs)


def test_the_simulator_is_clean_and_the_control_is_caught(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series
) -> None:
    changed, compared, caught = question(strategy, bars, positions)
    assert changed == 0
    assert compared > 1000
    assert caught > 0


def test_a_kernel_that_peeks_at_its_bars_decision_is_found(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = trading.simulator.simulate

    def peeking(bars: pd.DataFrame, positions: pd.Series, *rest: object, **more: object) -> object:
        return honest(bars, positions.shift(-1, fill_value=0.0), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pipelines.backtest.strategy, "simulate", peeking)
    changed, _, _ = question(strategy, bars, positions)
    assert changed > 0


def test_a_kernel_that_fills_at_the_close_is_found(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = trading.simulator.simulate

    def late(bars: pd.DataFrame, *rest: object, **more: object) -> object:
        return honest(bars.assign(open=bars["close"]), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pipelines.backtest.strategy, "simulate", late)
    changed, _, _ = question(strategy, bars, positions)
    assert changed > 0


def test_a_fill_before_its_decision_is_counted() -> None:
    hour = pd.Timedelta(hours=1)
    at = pd.date_range("2019-01-01", periods=3, freq="h", tz="UTC")
    fills = pd.DataFrame({"timestamp": at, "decided_at": [at[0] - hour, at[0], at[2]]})
    found = decided_before_filled(fills, hour, "1h")
    assert (found.compared, found.changed, found.first_changed) == (3, 1, str(at[2]))
    assert decided_before_filled(fills.iloc[:0], hour, "1h").compared == 0
