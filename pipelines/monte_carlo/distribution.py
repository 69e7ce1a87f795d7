"""What draws say together, as the evidence holds it: a few values of each statistic, with their Monte Carlo errors."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipelines.monte_carlo.estimate import Estimate, mean, probability, quantile
from pipelines.monte_carlo.stopping import Draws

STATISTICS = ("sharpe", "total_return", "max_drawdown", "time_under_water")
_QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}


def distribution(draws: Draws, ruin: float, more: Sequence[str] = ()) -> dict[str, Any]:
    """Describe draws.

    Parameters
    ----------
    draws
        With some of the columns :data:`STATISTICS`, a column ``total_return``, and perhaps ``lowest_equity``.
    ruin
        The part of its first equity at which a path is ruined.
    more
        Further columns to describe.

    Returns
    -------
    dict
        ``draws`` and ``stopped_by``. For each column ``mean p05 p50 p95``, of the draws that have a value.
        ``probability_of_loss``, and ``probability_of_ruin`` where there is a lowest equity. ``errors``: Monte Carlo
        standard errors, under the names of what they are of; infinite where there are too few draws to tell.
    """
    frame = draws.statistics
    found: dict[str, dict[str, Estimate]] = {
        name: {"mean": mean(frame[name])} | {at: quantile(frame[name], q) for at, q in _QUANTILES.items()}
        for name in (*STATISTICS, *more)
        if name in frame
    }
    chances = {"probability_of_loss": _share(frame["total_return"] < 0.0)}
    if "lowest_equity" in frame:
        chances["probability_of_ruin"] = _share(frame["lowest_equity"] <= ruin)
    return {
        "draws": len(frame),
        "stopped_by": draws.stopped_by,
        **{name: {at: one.value for at, one in row.items()} for name, row in found.items()},
        **{name: one.value for name, one in chances.items()},
        "errors": {name: {at: one.error for at, one in row.items()} for name, row in found.items()}
        | {name: one.error for name, one in chances.items()},
    }


def _share(hits: pd.Series) -> Estimate:
    return probability(hits.to_numpy(dtype=float))
