"""The walk-forward's decisions once more: filled otherwise, decided by other numbers, from other bars.

Each asks how much of the backtest hangs on something that could easily have been otherwise. None of it says whether
there is an edge: what was decided well stays so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.backtest.strategy import Strategy
from pipelines.monte_carlo.blocks import Blocks, optimal_blocks
from pipelines.monte_carlo.bootstrap import bootstrap
from pipelines.monte_carlo.distribution import distribution
from pipelines.monte_carlo.estimate import Estimate, quantile
from pipelines.monte_carlo.execution import RandomExecution, random_execution
from pipelines.monte_carlo.jitter import jittered
from pipelines.monte_carlo.path_statistics import path_statistics
from pipelines.monte_carlo.stopping import Draws, Effort, draw_until
from pipelines.monte_carlo.trades import permuted_trades, trade_returns


@dataclass(frozen=True)
class Replay:
    """A horizon's walk-forward; travels to other processes.

    Attributes
    ----------
    strategy
        How forecasts are traded.
    bars
        Of the test.
    predictions
        One row a bar: ``vote``, ``unit_edge``, and the ``position`` that was decided.
    seed
        Of everything that is drawn.
    """

    strategy: Strategy
    bars: pd.DataFrame
    predictions: pd.DataFrame
    seed: int


def replays(replay: Replay) -> dict[str, Any]:
    """All that is asked of a horizon's decisions: ``execution``, ``jitter``, ``returns``, and ``trades``."""
    simulated = replay.strategy.simulate(replay.bars, replay.predictions["position"])
    trades = trade_returns(simulated.returns, pd.Series(simulated.held))
    return {
        "execution": _described(replay, executions(replay)),
        "jitter": _described(replay, jitter(replay)),
        "returns": resampled(replay, simulated.returns, optimal_blocks(simulated.returns, "circular")),
        "trades": _of_trades(replay, trades),
    }


def executions(replay: Replay) -> Draws:
    """The same positions, filled later, dearer, or not at once."""
    params, strategy = replay.strategy.params, replay.strategy
    execution = RandomExecution(**params.monte_carlo.execution.model_dump())

    def draw(first: int, count: int) -> pd.DataFrame:
        return random_execution(
            replay.bars,
            replay.predictions["position"],
            params.costs.costs(),
            execution,
            rebalance_band=params.positions.rebalance_band,
            bars_per_year=strategy.instrument.bars_per_year,
            seed=replay.seed,
            count=count,
            first=first,
        )

    return draw_until(draw, _deep, _effort(replay))


def jitter(replay: Replay) -> Draws:
    """The same forecasts, with the numbers a little off by which they become positions and trades."""
    params, strategy = replay.strategy.params, replay.strategy

    def outcome(values: Mapping[str, float]) -> dict[str, float]:
        moved = params.model_copy(update={"positions": params.positions.model_copy(update=dict(values))})
        other = Strategy(moved, strategy.instrument, strategy.horizon)
        positions = other.positions(replay.predictions["vote"], replay.predictions["unit_edge"])
        returns = other.simulate(replay.bars, positions).returns
        return path_statistics(returns, strategy.instrument.bars_per_year)

    def draw(first: int, count: int) -> pd.DataFrame:
        values = params.positions.model_dump()
        return jittered(
            values, outcome, relative_sd=params.monte_carlo.jitter, seed=replay.seed, count=count, first=first
        )

    return draw_until(draw, _deep, _effort(replay))


def resampled(replay: Replay, returns: pd.Series, blocks: Blocks) -> dict[str, Any]:
    """Other returns of this kind, of bars or of trades, and the ``block`` that they are made of."""
    values = returns.to_numpy()
    per_year = replay.strategy.instrument.bars_per_year * len(values) / len(replay.predictions)

    def draw(first: int, count: int) -> pd.DataFrame:
        return bootstrap(
            values, blocks, paths=count, seed=replay.seed, periods_per_year=per_year, fan_points=0, first=first
        ).statistics

    drawn = draw_until(draw, _deep, _effort(replay))
    return _described(replay, drawn) | {"block": blocks.length}


def _of_trades(replay: Replay, trades: pd.Series) -> dict[str, Any]:
    """The trades in another order, and other trades of this kind; nothing of fewer than two."""
    if len(trades) < 2:
        return {"count": len(trades), "permuted": None, "drawn": None, "reason": "fewer than two trades"}

    def draw(first: int, count: int) -> pd.DataFrame:
        return permuted_trades(trades, paths=count, seed=replay.seed, first=first)

    permuted = draw_until(draw, _deep, _effort(replay))
    return {
        "count": len(trades),
        "permuted": _described(replay, permuted),
        "drawn": resampled(replay, trades, Blocks("circular", 1)),
        "reason": None,
    }


def _described(replay: Replay, draws: Draws) -> dict[str, Any]:
    return distribution(draws, replay.strategy.params.backtest.monte_carlo.ruin)


def _effort(replay: Replay) -> Effort:
    return Effort(**replay.strategy.params.monte_carlo.replays.model_dump())


def _deep(draws: pd.DataFrame) -> Estimate:
    """What decides when enough was drawn: the drawdown that one path in twenty exceeds."""
    return quantile(draws["max_drawdown"].to_numpy(dtype=np.float64), 0.95)
