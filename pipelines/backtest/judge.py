"""Everything a horizon's walk-forward says: skill, money, comparisons, Monte Carlo, folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pipelines.artifacts import content_hash
from pipelines.backtest.break_even import break_even_curve
from pipelines.backtest.reliability import brier_decomposition, reliability
from pipelines.backtest.skill import baseline_forecasts, coverage, hits, skill
from pipelines.backtest.strategy import (
    Strategy,
    comparisons,
    daily,
    holding_bars,
    per_bar,
    round_trips,
    summary,
    trade,
)
from pipelines.backtest.walk_forward import FoldResult
from pipelines.metrics import sharpe, sharpe_interval
from pipelines.monte_carlo.blocks import optimal_blocks
from pipelines.monte_carlo.bootstrap import bootstrap
from pipelines.monte_carlo.estimate import Estimate, probability, quantile
from pipelines.monte_carlo.timing import Shuffle, TimingTest, timing_test
from trading.simulator import Simulation

# Rows of the fan: what a plot can show.
_FAN_POINTS = 200
_SHUFFLES: tuple[Shuffle, Shuffle] = ("rotation", "runs")


@dataclass(frozen=True)
class Judgement:
    """A horizon's backtest.

    Attributes
    ----------
    predictions : DataFrame
        Walk-forward predictions and the ``position`` decided on each row.
    curves : DataFrame
        ``equity``, ``buy_and_hold`` and ``net_return`` of each test bar.
    fan : DataFrame
        Quantiles of bootstrapped equity over bars.
    fills : DataFrame
        Every fill with its costs.
    streams : DataFrame
        Net return of each test bar, a column for the vote, each of its members and each comparison.
    metrics : dict
        The horizon's part of the evidence.
    """

    predictions: pd.DataFrame
    curves: pd.DataFrame
    fan: pd.DataFrame
    fills: pd.DataFrame
    streams: pd.DataFrame
    metrics: dict[str, Any]


def judge(
    strategy: Strategy, bars: pd.DataFrame, folds: Sequence[FoldResult], recipe_sha256: str, confidence: float
) -> Judgement:
    """Put a horizon's folds together and measure them.

    Parameters
    ----------
    strategy
        How forecasts are traded.
    bars
        All validated bars.
    folds
        Results of every refit, in order.
    recipe_sha256
        Identity of the recipe; with the data it identifies what was tried here.
    confidence
        Of every interval.
    """
    params, horizon_bars = strategy.params, strategy.instrument.bars_in(strategy.horizon)
    predictions = pd.concat([fold.predictions for fold in folds])
    # A family that a search left out of some refits is judged in the vote alone.
    members = ["vote", *(m for m in params.models.voting if all(m in fold.predictions for fold in folds))]
    positions = strategy.positions(predictions["vote"], predictions["unit_edge"])
    window = bars.loc[predictions.index[0] : predictions.index[-1]]
    simulated = {name: trade(strategy, window, predictions, name) for name in members}
    traded = simulated["vote"]
    others = comparisons(strategy, bars, positions)
    seed = int(np.random.default_rng([params.seed, horizon_bars]).integers(2**31))
    rotated, reordered = (
        timing_test(
            positions,
            lambda shuffled: strategy.simulate(window, shuffled).metrics["sharpe"],
            shuffle,
            params.backtest.random_paths,
            seed,
        )
        for shuffle in _SHUFFLES
    )
    measured = skill(predictions, bars, members, horizon_bars, confidence)
    interval = sharpe_interval(traded.returns, strategy.instrument.bars_per_year, confidence)
    carlo, fan = _monte_carlo(strategy, traded, seed)
    return Judgement(
        predictions=predictions.assign(position=positions),
        curves=pd.DataFrame(
            {"equity": traded.equity, "buy_and_hold": others["buy_and_hold"].equity, "net_return": traded.returns}
        ),
        fan=fan,
        fills=traded.fills,
        streams=pd.DataFrame({name: one.returns for name, one in (simulated | others).items()}),
        metrics=measured
        | {
            "horizon_bars": horizon_bars,
            "folds": [_fold(strategy, fold, traded, bars, measured["best_baseline"], members) for fold in folds],
            "strategy": dict(summary(traded))
            | dict(zip(("sharpe_low", "sharpe_high"), interval, strict=True))
            | {"round_trips": round_trips(positions), "holding_bars": holding_bars(positions)},
            "break_even_curve": break_even_curve(
                strategy, window, positions, params.backtest.break_even_bps, confidence
            ),
            "comparison": {name: dict(summary(other)) for name, other in others.items()}
            | {"random": _random(rotated) | {"runs": _random(reordered)}},
            "monte_carlo": carlo,
            "calibration": reliability(predictions["vote"], predictions["label"], horizon_bars, confidence),
            "brier": brier_decomposition(predictions["vote"], predictions["label"]),
            "interval": {"nominal": params.backtest.interval} | coverage(predictions, horizon_bars),
            "moments": _moments(traded),
            "recipes": _recipes(strategy, predictions, simulated, recipe_sha256),
        },
    )


def _moments(traded: Simulation) -> dict[str, float]:
    """Per-bar Sharpe ratio and the moments that deflation needs; a strategy that never traded has a Sharpe of 0."""
    returns = traded.returns.to_numpy()
    moving = returns.std() > 0
    return {
        "observations": len(returns),
        "sharpe_per_bar": per_bar(traded)["sharpe_per_bar"],
        "skewness": float(stats.skew(returns)) if moving else 0.0,
        "kurtosis": float(stats.kurtosis(returns, fisher=False)) if moving else 3.0,
    }


def _random(timing: TimingTest) -> dict[str, Any]:
    """What the same positions at other times earned, and how likely that is to be as much as theirs."""
    finite = timing.others[np.isfinite(timing.others)]
    keys = ("sharpe_mean", "sharpe_p05", "sharpe_p95", "beaten", "p_value", "p_value_error")
    if not len(finite) or not np.isfinite(timing.own):
        return dict.fromkeys(keys, float("nan")) | {"paths": len(timing.others)}
    low, high = np.quantile(finite, [0.05, 0.95])
    values = (finite.mean(), low, high, np.mean(finite < timing.own), timing.p_value, timing.error)
    return dict(zip(keys, values, strict=True)) | {"paths": len(timing.others)}


def _monte_carlo(strategy: Strategy, traded: Simulation, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    settings = strategy.params.backtest.monte_carlo
    returns = traded.returns.to_numpy()
    blocks = optimal_blocks(returns, "stationary")
    result = bootstrap(
        returns,
        blocks,
        paths=settings.paths,
        seed=seed,
        periods_per_year=strategy.instrument.bars_per_year,
        fan_points=_FAN_POINTS,
    )
    names = ("sharpe", "total_return", "max_drawdown", "time_under_water")
    quantiles = {name: _quantiles(result.statistics[name]) for name in names}
    chances = {
        "probability_of_loss": probability(result.statistics["total_return"] < 0),
        "probability_of_ruin": probability(result.ruined(settings.ruin)),
    }
    values = {name: {at: found.value for at, found in row.items()} for name, row in quantiles.items()}
    # Monte Carlo standard errors, under the names of what they are of.
    errors = {name: {at: found.error for at, found in row.items()} for name, row in quantiles.items()}
    return (
        values
        | {name: found.value for name, found in chances.items()}
        | {"paths": settings.paths, "block": blocks.length}
        | {"errors": errors | {name: found.error for name, found in chances.items()}},
        result.fan,
    )


def _quantiles(draws: pd.Series) -> dict[str, Estimate]:
    """Quantiles over the paths that have a value: one on which nothing moved has no Sharpe ratio."""
    known = draws[np.isfinite(draws)]
    return {name: quantile(known, q) for name, q in (("p05", 0.05), ("p50", 0.5), ("p95", 0.95))}


def _fold(
    strategy: Strategy, fold: FoldResult, traded: Simulation, bars: pd.DataFrame, baseline: str, members: Sequence[str]
) -> dict[str, Any]:
    block = fold.predictions
    known = block.dropna(subset=["label", *members])
    free = baseline_forecasts(known, bars)[baseline]
    return {
        "fold": fold.fold,
        "train_first": fold.train_first,
        "train_rows": fold.train_rows,
        "purged_rows": fold.purged_rows,
        "test_first": block.index[0],
        "test_last": block.index[-1],
        "test_rows": len(block),
        "accuracy": {name: hits(known[name], known["label"]).mean() for name in members},
        "baseline": hits(free, known["label"]).mean(),
        "sharpe": sharpe(traded.returns.loc[block.index], strategy.instrument.bars_per_year),
    }


def _recipes(
    strategy: Strategy, predictions: pd.DataFrame, simulated: Mapping[str, Simulation], recipe_sha256: str
) -> list[dict[str, Any]]:
    """What was compared on the test bars: the vote and each of its members, as trials for the ledger."""
    # Another seed is another throw of the dice, and counts.
    first, last = predictions.index[0], predictions.index[-1]
    identity = {"recipe": recipe_sha256, "seed": strategy.params.seed, "first": first, "last": last}
    trials = []
    for name, sim in simulated.items():
        known = predictions.dropna(subset=["label", name])
        metrics = {"accuracy": float(hits(known[name], known["label"]).mean()), **per_bar(sim)}
        trials.append(
            {
                "trial_hash": content_hash(identity | {"member": name, "metrics": metrics}),
                "state": "complete",
                "params": {"member": name, "recipe": recipe_sha256[:16]},
                "metrics": metrics,
                "returns": daily(sim),
            }
        )
    return trials
