"""Draw until an estimate is known well enough, or until enough has been spent on it.

Y. S. Chow and H. Robbins, "On the asymptotic theory of fixed-width sequential confidence intervals for the mean",
Annals of Mathematical Statistics 36 (1965): stopping by the error seen so far is honest where the tolerance is small
beside the spread of the draws, so that there are many.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from pipelines.monte_carlo.estimate import Estimate
from trading.errors import ParamsError


@dataclass(frozen=True, slots=True)
class Effort:
    """How exact an answer has to be, and what it may cost.

    Parameters
    ----------
    tolerance
        Largest Monte Carlo standard error that will do, in the unit of what is estimated; 0 for all the draws there may
        be.
    batch
        Draws between two looks at the error.
    most
        Draws in all, at most.

    Raises
    ------
    ParamsError
        If the tolerance is negative or nan, or there is less than one draw a batch or in all.
    """

    tolerance: float
    batch: int
    most: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance < math.inf or self.batch < 1 or self.most < 1:
            raise ParamsError(
                f"tolerance {self.tolerance}, {self.batch} draws a batch, {self.most} at most",
                rule="a tolerance of 0 or more, and at least one draw each",
                remedy="choose such numbers",
            )


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws, and why there are no more.

    Parameters
    ----------
    statistics
        One row a draw.
    estimate
        Of what was to be known, from all the draws.
    stopped_by
        ``tolerance``: the error is no larger than that. ``most``: it still is.
    """

    statistics: pd.DataFrame
    estimate: Estimate
    stopped_by: Literal["tolerance", "most"]


def draw_until(
    draw: Callable[[int, int], pd.DataFrame], estimate: Callable[[pd.DataFrame], Estimate], effort: Effort
) -> Draws:
    """Draw batches until the estimate's error is within the tolerance.

    Draw number i must be told by i, not by its batch; then the batch decides when one looks, and nothing else.

    Parameters
    ----------
    draw
        Given the number of the first draw and how many, a frame with one row each.
    estimate
        Of the draws so far.
    effort
        When to stop.
    """
    batches: list[pd.DataFrame] = []
    drawn = 0
    while True:
        count = min(effort.batch, effort.most - drawn)
        batches.append(draw(drawn, count))
        drawn += count
        statistics = pd.concat(batches)
        seen = estimate(statistics)
        if seen.error <= effort.tolerance:
            return Draws(statistics, seen, "tolerance")
        if drawn >= effort.most:
            return Draws(statistics, seen, "most")
