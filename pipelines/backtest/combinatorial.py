"""Combinatorial purged cross-validation: the recipe on many complete paths over the same test bars.

A fit of it learns from bars after its test as well as before: no path is what anyone could have earned, and none is
independent of the others. How far they spread says how much of a result hangs on which rows a fit happened to see.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.backtest.skill import hits
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldTask, fit_vote, fold_tasks, forecasts
from pipelines.dataset import Dataset
from pipelines.params import Params
from pipelines.splits import CombinatorialPurged
from trading.instrument import Instrument

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
_OF_A_PATH = ("sharpe", "total_return", "max_drawdown", "trades")


def splitter(params: Params, instrument: Instrument) -> CombinatorialPurged:
    """Splits of the bars that the walk-forward tests."""
    return CombinatorialPurged(
        n_groups=params.backtest.combinatorial.groups,
        n_test_groups=params.backtest.combinatorial.test_groups,
        embargo=params.backtest.embargo_bars * instrument.bar,
        first_test_fraction=params.backtest.first_test_fraction,
    )


def split_tasks(
    horizon: str,
    data: Dataset,
    params: Params,
    instrument: Instrument,
    settings: Mapping[str, Mapping[str, Any]],
    checkpoints: Path | None = None,
) -> Iterator[FoldTask]:
    """One task per split of one horizon, none where ``backtest.combinatorial.groups`` is 0.

    Parameters
    ----------
    horizon, data, params, instrument, checkpoints
        As :func:`pipelines.backtest.walk_forward.fold_tasks` takes them.
    settings
        By family, found before the first test bar: later ones have seen rows that a split tests.
    """
    if params.backtest.combinatorial.groups:
        folds = splitter(params, instrument)
        yield from fold_tasks(horizon, data, params, instrument, settings, checkpoints=checkpoints, folds=folds)


def run_split(task: FoldTask) -> pd.DataFrame:
    """Fit on the split's training rows; the ``vote`` and its ``unit_edge`` for the test rows."""
    return forecasts(task, *fit_vote(task), task.data)[["vote", "unit_edge"]]


def path_sharpes(
    strategy: Strategy, bars: pd.DataFrame, label: pd.Series, said: Sequence[pd.DataFrame]
) -> dict[str, Any] | None:
    """Trade every path from the first to the last test bar, and say how the results spread.

    Parameters
    ----------
    strategy
        How forecasts are traded.
    bars
        All validated bars.
    label
        Outcome of each test row; NaN where it never came.
    said
        Result of :func:`run_split` for each split, in their order.

    Returns
    -------
    dict or None
        ``groups``, ``test_groups``, ``splits``; of each of the ``paths`` its annual net ``sharpe`` (NaN if nothing was
        traded), return, drawdown, fills and accuracy; of ``sharpe`` over the paths that have one the mean and
        quantiles; ``below_zero``, the share of these below 0; ``correlation``, the mean one of two paths' returns. None
        if nothing was split.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, sections 12.4 and 12.5. There all rows are
    cut into groups; here those before the test, on which settings were tuned, are trained on by every split.
    """
    if not said:
        return None
    folds = splitter(strategy.params, strategy.instrument)
    votes, edges = (folds.paths([one[name] for one in said]) for name in ("vote", "unit_edge"))
    paths, returns = [], []
    for path in votes:
        traded = strategy.simulate(bars.loc[: votes.index[-1]], strategy.positions(votes[path], edges[path]))
        known = pd.DataFrame({"vote": votes[path], "label": label}).dropna()
        accuracy = float(hits(known["vote"], known["label"]).mean())
        paths.append({name: traded.metrics[name] for name in _OF_A_PATH} | {"accuracy": accuracy})
        returns.append(traded.returns)
    sharpes = np.array([path["sharpe"] for path in paths])
    return {
        "groups": folds.n_groups,
        "test_groups": folds.n_test_groups,
        "splits": folds.get_n_splits(),
        "paths": paths,
        **_spread(sharpes[np.isfinite(sharpes)]),
        "correlation": _mean_correlation(pd.concat(returns, axis=1)),
    }


def _spread(sharpes: np.ndarray) -> dict[str, Any]:
    if not len(sharpes):
        nothing = float("nan")
        return {"sharpe": dict.fromkeys(("mean", *QUANTILES), nothing), "below_zero": nothing}
    quantiles = np.quantile(sharpes, list(QUANTILES.values()))
    return {
        "sharpe": {"mean": sharpes.mean(), **dict(zip(QUANTILES, quantiles, strict=True))},
        "below_zero": np.mean(sharpes < 0),
    }


def _mean_correlation(returns: pd.DataFrame) -> float:
    """Mean correlation of two different columns, of those that move."""
    pairs = returns.corr().to_numpy()[np.triu_indices(returns.shape[1], k=1)]
    known = pairs[np.isfinite(pairs)]
    return float(known.mean()) if len(known) else float("nan")
