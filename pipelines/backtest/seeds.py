"""How much of a result is the seed's: the recipe refitted with others, on the newest test block."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipelines.backtest.skill import hits
from pipelines.backtest.strategy import Strategy, trade
from pipelines.backtest.walk_forward import FoldResult, FoldTask, run_fold


def seed_tasks(tasks: Sequence[FoldTask], count: int) -> Iterator[FoldTask]:
    """The last refit of a horizon once more for each of so many seeds that follow the run's.

    Only the last: all refits for each seed would multiply the cost of a backtest. They are no trials: nothing can be
    chosen among them.
    """
    for step in range(1, count + 1):
        yield replace(tasks[-1], seed=tasks[-1].seed + step)


def run_seed(task: FoldTask) -> tuple[int, FoldResult]:
    """The refit with its seed."""
    return task.seed, run_fold(task)


def seed_spread(
    strategy: Strategy, bars: pd.DataFrame, own: FoldResult, others: Sequence[tuple[int, FoldResult]]
) -> dict[str, Any]:
    """Sharpe ratio and accuracy of the vote on one test block by seed, each traded from flat at the run's costs.

    Parameters
    ----------
    strategy
        How forecasts are traded.
    bars
        All validated bars.
    own
        The run's own refit of the block.
    others
        The same with other seeds.

    Returns
    -------
    dict
        ``first`` and ``last`` bar of the block, ``seeds`` (the run's first), and of ``sharpe`` and ``accuracy`` the
        ``values`` in that order, ``mean``, ``deviation`` (one degree of freedom off), ``lowest`` and ``highest``;
        None where fewer than two are known, and then, without other seeds, a ``reason``.
    """
    runs = [(strategy.params.seed, own), *sorted(others, key=lambda run: run[0])]
    sharpes, accuracies = [], []
    for _, result in runs:
        known = result.predictions.dropna(subset=["label", "vote"])
        accuracies.append(float(hits(known["vote"], known["label"]).mean()))
        sharpes.append(trade(strategy, bars, result.predictions).metrics["sharpe"])
    return {
        "first": own.predictions.index[0],
        "last": own.predictions.index[-1],
        "seeds": [seed for seed, _ in runs],
        "sharpe": _spread(sharpes),
        "accuracy": _spread(accuracies),
        "reason": None if others else "no other seed was asked for (backtest.seeds)",
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    finite = np.array([value for value in values if np.isfinite(value)])
    if len(finite) < 2:
        return {"values": list(values)} | dict.fromkeys(("mean", "deviation", "lowest", "highest"))
    return {
        "values": list(values),
        "mean": finite.mean(),
        "deviation": finite.std(ddof=1),
        "lowest": finite.min(),
        "highest": finite.max(),
    }
