"""The walk-forward's decisions, replayed otherwise: each kind is what the library's function says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.backtest.strategy import Strategy
from pipelines.monte_carlo.execution import RandomExecution, random_execution
from pipelines.monte_carlo.replays import Replay, executions, jitter, replays
from pipelines.monte_carlo.trades import trade_returns
from pipelines.params import Params, overlay, parse_params
from tests.test_pipelines.test_monte_carlo.markets import hourly
from trading.instrument import Instrument

INSTRUMENT = Instrument("BTC/USD", "1h")


@pytest.fixture
def params(raw_params: dict) -> Params:
    settings = {"jitter": 0.1, "replays": {"tolerance": 0.0, "batch": 60, "most": 120}}
    return parse_params(overlay(raw_params, {"monte_carlo": settings}))


@pytest.fixture
def replay(params: Params) -> Replay:
    """Forecasts that see a little of what comes, traded over 1,500 bars."""
    bars, strategy = hourly(1_500, 4), Strategy(params, INSTRUMENT, "4h")
    ahead = np.log(bars["close"]).diff().shift(-2).fillna(0.0)
    noise = np.random.default_rng(0).normal(0.0, 2.0, len(bars))
    vote = 1.0 / (1.0 + np.exp(-(ahead / ahead.std() + noise)))
    made = pd.DataFrame({"vote": vote, "unit_edge": 0.004})
    made["position"] = strategy.positions(made["vote"], made["unit_edge"])
    return Replay(strategy, bars, made, 11)


def test_everything_is_described_and_the_backtest_is_one_of_what_could_have_been(replay: Replay) -> None:
    found = replays(replay)
    traded = replay.strategy.simulate(replay.bars, replay.predictions["position"])
    trades = trade_returns(traded.returns, traded.held)
    for kind in (found["execution"], found["jitter"], found["returns"], found["trades"]["drawn"]):
        assert (kind["draws"], kind["stopped_by"]) == (120, "most")
        assert kind["sharpe"]["p05"] < kind["sharpe"]["mean"] < kind["sharpe"]["p95"]
        assert 0.0 < kind["errors"]["sharpe"]["mean"] < 3.0
        assert np.isfinite(kind["errors"]["max_drawdown"]["p95"])
        assert kind["time_under_water"]["p50"] > 0.0
        assert 0.0 <= kind["probability_of_ruin"] < 1.0
    assert found["returns"]["sharpe"]["p05"] < traded.metrics["sharpe"] < found["returns"]["sharpe"]["p95"]
    assert found["trades"]["count"] == len(trades)
    assert found["trades"]["permuted"]["total_return"]["p95"] == pytest.approx(traded.metrics["total_return"])
    # As many trades a year as there were, not as many as bars.
    per_year = len(trades) / (len(replay.bars) / INSTRUMENT.bars_per_year)
    own = float(trades.mean() / trades.std(ddof=1)) * per_year**0.5
    assert found["trades"]["drawn"]["sharpe"]["p05"] < own < found["trades"]["drawn"]["sharpe"]["p95"]
    assert replays(replay) == found
    assert replays(replace(replay, seed=12)) != found


def test_executions_are_those_of_the_params(replay: Replay, params: Params) -> None:
    drawn = executions(replay).statistics
    alone = random_execution(
        replay.bars,
        replay.predictions["position"],
        params.costs.costs(),
        RandomExecution(0.5, 2, 0.05),
        rebalance_band=params.positions.rebalance_band,
        bars_per_year=INSTRUMENT.bars_per_year,
        seed=11,
        count=120,
    )
    pd.testing.assert_frame_equal(drawn, alone)


def test_jittered_numbers_are_traded_with(replay: Replay) -> None:
    drawn = jitter(replay).statistics
    first = drawn.iloc[0]
    params = replay.strategy.params
    moved = {"round_trips": first["round_trips"], "rebalance_band": first["rebalance_band"]}
    assert moved["round_trips"] != params.positions.round_trips
    other = Strategy(
        params.model_copy(update={"positions": params.positions.model_copy(update=moved)}), INSTRUMENT, "4h"
    )
    positions = other.positions(replay.predictions["vote"], replay.predictions["unit_edge"])
    assert first["sharpe"] == pytest.approx(other.simulate(replay.bars, positions).metrics["sharpe"])


def test_who_never_traded_has_no_trades_to_put_in_order(replay: Replay) -> None:
    flat = replace(replay, predictions=replay.predictions.assign(vote=0.5, position=0.0))
    found = replays(flat)
    assert found["trades"] == {"count": 0, "permuted": None, "drawn": None, "reason": "fewer than two trades"}
    assert np.isnan(found["execution"]["sharpe"]["mean"])
    assert found["returns"]["max_drawdown"]["p95"] == 0.0
