"""What draws say of a quantity, and how far chance may have moved that: the Monte Carlo standard error.

More draws make it smaller. It says nothing about whether the draws are of the right thing.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading.errors import ParamsError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantity estimated from independent draws.

    Parameters
    ----------
    value
        The estimate; nan without draws.
    error
        Its Monte Carlo standard error, in the same unit; infinite where there are too few draws to tell.
    draws
        How many draws it is of: those that have a value.
    """

    value: float
    error: float
    draws: int


def mean(draws: ArrayLike) -> Estimate:
    """Mean of the draws; its error is their standard deviation over the root of their number."""
    values = _known(draws)
    n = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(float(values.mean()) if n else math.nan, error, n)


def probability(hits: ArrayLike) -> Estimate:
    """Share of draws of which something is true.

    The error is taken at the share (r + 1) / (n + 2), so that an event that never happened is not held to be known for
    impossible.
    """
    values = _known(hits)
    n, share = len(values), (values.sum() + 1.0) / (len(values) + 2.0)
    error = math.sqrt(share * (1.0 - share) / n) if n else math.inf
    return Estimate(float(values.mean()) if n else math.nan, error, n)


def quantile(draws: ArrayLike, q: float) -> Estimate:
    """Quantile of the draws.

    How many of n draws lie below the true quantile is binomial, so the draws that are twice that number's standard
    deviation of ranks to either side bound it at two standard errors, whatever the distribution (R. S. Woodruff,
    "Confidence intervals for medians and other position measures", JASA 47, 1952). Where there is no draw that far
    out, nothing bounds it.

    Parameters
    ----------
    draws
        Independent draws; nan is no draw.
    q
        Between 0 and 1, both excluded.

    Raises
    ------
    ParamsError
        For another ``q``.
    """
    if not 0.0 < q < 1.0:
        raise ParamsError(f"quantile {q}", rule="between 0 and 1, both excluded", remedy="ask for such a quantile")
    values = np.sort(_known(draws))
    n = len(values)
    if not n:
        return Estimate(math.nan, math.inf, 0)
    spread = 2.0 * math.sqrt(q * (1.0 - q) * n)
    low, high = q * (n - 1) - spread, q * (n - 1) + spread
    if low < 0 or high > n - 1:
        return Estimate(float(np.quantile(values, q)), math.inf, n)
    below, above = np.interp((low, high), np.arange(n), values)
    return Estimate(float(np.quantile(values, q)), float(above - below) / 4.0, n)


def _known(draws: ArrayLike) -> Array:
    values = np.asarray(draws, dtype=np.float64)
    return values[~np.isnan(values)]
