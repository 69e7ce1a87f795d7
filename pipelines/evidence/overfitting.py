"""Whether what looks best on some days is any good on others: combinatorially symmetric cross-validation.

Bailey, D. H., Borwein, J. M., López de Prado, M., and Zhu, Q. J. (2017), "The Probability of Backtest Overfitting",
Journal of Computational Finance 20(4).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A Sharpe ratio over fewer days than this in a block is noise.
FEWEST_DAYS = 5


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What became of the best configuration of each half of the blocks on the other half.

    Attributes
    ----------
    logits
        Of its relative rank out of sample, one a split: ln(w / (1 - w)) with w = rank / (configurations + 1), where
        equal ones share their mean rank. Below 0 it fell below the median.
    in_sample, out_of_sample
        Its Sharpe ratio a period in the half that chose it, and in the other.
    """

    logits: Array
    in_sample: Array
    out_of_sample: Array

    @property
    def probability(self) -> float:
        """Share of splits whose choice fell below the median of all configurations: the PBO."""
        return float((self.logits < 0).mean())

    @property
    def probability_of_loss(self) -> float:
        """Share of splits whose choice had a Sharpe ratio below 0 out of sample."""
        return float((self.out_of_sample < 0).mean())

    @property
    def slope(self) -> float:
        """Degradation: Sharpe ratio out of sample that one more in sample is worth (least squares); nan without any."""
        apart = self.in_sample - self.in_sample.mean()
        spread = float(apart @ apart)
        return float(apart @ self.out_of_sample / spread) if spread > 0 else np.nan


def overfitting(returns: pd.DataFrame, blocks: int) -> Overfitting:
    """Cut the periods into blocks, choose the best configuration on every half of them, and look at it on the rest.

    Sharpe ratios of all splits come from the sums and sums of squares of each block, in three matrix products. A
    configuration that does not move in a half has a ratio of 0 there.

    Parameters
    ----------
    returns : DataFrame of shape (periods, configurations)
        Net returns over the same periods, in time order.
    blocks
        Even number S of stretches of periods, equal but for one period; there are C(S, S/2) splits.

    Raises
    ------
    ValueError
        With an odd number of blocks or fewer than two, fewer than two periods a block, fewer than two configurations,
        or a value that is not finite.
    """
    values = returns.to_numpy(dtype=np.float64)
    periods, count = values.shape
    if blocks < 2 or blocks % 2 or periods < 2 * blocks or count < 2:
        raise ValueError(f"{blocks=}, shape {values.shape}: expected an even number, two periods a block, two columns")
    if not np.isfinite(values).all():
        raise ValueError("a return is not finite")
    middle = values.mean(axis=0)  # taken off, or the sums of squares would lose what small returns differ by
    parts = np.array_split(values - middle, blocks)
    sizes = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part**2).sum(axis=0) for part in parts])
    # A column that never moves keeps a rounding error, and a ratio of billions.
    still = values.min(axis=0) == values.max(axis=0)
    chosen = np.zeros((len(halves := list(combinations(range(blocks), blocks // 2))), blocks))
    np.put_along_axis(chosen, np.array(halves), 1.0, axis=1)
    inside, outside = (_sharpe(half, sizes, sums, squares, middle, still) for half in (chosen, 1.0 - chosen))
    best = inside.argmax(axis=1)[:, None]
    found = np.take_along_axis(outside, best, axis=1)
    rank = (outside < found).sum(axis=1) + ((outside == found).sum(axis=1) + 1) / 2
    share = rank / (count + 1)
    return Overfitting(np.log(share / (1 - share)), np.take_along_axis(inside, best, axis=1)[:, 0], found[:, 0])


def _sharpe(half: Array, sizes: Array, sums: Array, squares: Array, middle: Array, still: NDArray[np.bool_]) -> Array:
    """Sharpe ratio a period of each configuration over each choice of blocks, shape (splits, configurations)."""
    periods = (half @ sizes)[:, None]
    mean = half @ sums / periods
    raw = half @ squares
    variance = (raw - periods * mean**2) / (periods - 1)
    moving = (variance > 1e-12 * raw / periods) & ~still
    return np.where(moving, (mean + middle) / np.sqrt(np.where(moving, variance, 1.0)), 0.0)


def overfitting_among(trials: Iterable[Mapping[str, Any]], blocks: int, least: int) -> dict[str, Any]:
    """Probability that the best of some trials is overfitted, from their daily returns.

    Trials can be compared over the same days only. Of those that moved at all, the most that were judged on the same
    days are taken, the newest of equally many; trials that were pruned before their last days are thereby left out, as
    they were from being chosen.

    Parameters
    ----------
    trials
        As the ledger takes them: ``trial_hash`` and ``returns``.
    blocks
        As :func:`overfitting` takes it.
    least
        Configurations below which there is no probability.

    Returns
    -------
    dict
        ``configurations`` (of so many ``trials``), ``days``, ``first``, ``blocks``; ``splits``, ``probability``,
        ``probability_of_loss``, ``slope`` and ``logits`` (each ``value`` and its ``count``), all None where they could
        not be measured, with the ``reason``.
    """
    unique = {trial["trial_hash"]: trial.get("returns") or {} for trial in trials}
    spans: dict[tuple[int, str], list[list[float]]] = {}
    for returns in unique.values():
        if returns and len(set(returns["values"])) > 1:
            spans.setdefault((len(returns["values"]), returns["first"]), []).append(returns["values"])
    (days, first), columns = max(spans.items(), key=lambda span: (len(span[1]), span[0][1]), default=((0, None), []))
    found: dict[str, Any] = {
        "trials": len(unique),
        "configurations": len(columns),
        "days": days,
        "first": first,
        "blocks": blocks,
        "splits": None,
        "probability": None,
        "probability_of_loss": None,
        "slope": None,
        "logits": None,
        "reason": None,
    }
    if len(columns) < least:
        return found | {"reason": f"{len(columns)} configurations traded over the same days; {least} are needed"}
    if days < FEWEST_DAYS * blocks:
        return found | {"reason": f"{days} days are fewer than {FEWEST_DAYS} for each of {blocks} blocks"}
    result = overfitting(pd.DataFrame(np.transpose(columns)), blocks)
    values, counts = np.unique(result.logits, return_counts=True)
    return found | {
        "splits": len(result.logits),
        "probability": result.probability,
        "probability_of_loss": result.probability_of_loss,
        "slope": result.slope,
        "logits": {"value": values.tolist(), "count": counts.tolist()},
    }
