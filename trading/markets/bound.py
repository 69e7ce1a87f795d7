"""How much of a market's edge is left after costs: bounds on the best annual Sharpe ratio, with their errors.

The best strategy after costs is not known in closed form. It earns no more than the best before costs, and no less
than any strategy that one can name. So it lies between; how far apart the two are says how much costs may eat.

The strategies that are named here know what the ideal observer expects. They aim at a position in proportion to
expected return over mean square, which is the best one before costs, smoothed or not, and trade no further than to
the edge of a band around it, which is what is best under proportional costs where moves are independent. The best of
them is chosen on paths of its own and judged on others: choosing would flatter it otherwise.

References
----------
M. H. A. Davis and A. R. Norman, "Portfolio selection with transaction costs", Mathematics of Operations Research 15
(1990).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from trading.costs import Costs
from trading.markets.market import Market, attainable_sharpe, draw
from trading.simulator import simulate

Array = NDArray[np.float64]

SPANS = (1, 2, 4, 12, 48)
SIZES = (1.0, 3.0)
BANDS = (0.0, 0.1, 0.4, 1.0)
# A position of size 1 is whole where the aim is beyond this share of all aims.
_WHOLE = 0.95


@dataclass(frozen=True, slots=True)
class Policy:
    """Keep the position within a band around an aim.

    Attributes
    ----------
    span
        Of the exponential mean over the newest aims, in bars; 1 takes the newest alone.
    size
        Of the aim: 1 makes one position in twenty whole, more makes more of them.
    band
        How far from the aim a position is left alone, as a fraction of equity.
    """

    span: int
    size: float
    band: float

    def __str__(self) -> str:
        smoothed = "" if self.span == 1 else f", smoothed over {self.span} bars"
        return (
            f"{self.size:g} times expected return over mean square{smoothed}, left alone within {self.band:g} of equity"
        )

    def positions(self, answer: pd.DataFrame, whole: float) -> pd.Series:
        """Targets decided at the close of each bar.

        Parameters
        ----------
        answer
            As :class:`trading.markets.market.Drawn` has it.
        whole
            Expected return over mean square at which a position of size 1 is whole.
        """
        aim = (answer["mean"] / answer["square"] * (self.size / whole)).ewm(span=self.span).mean()
        held = keep_within(aim.clip(-1, 1).to_numpy(dtype=np.float64, copy=True), self.band)
        return pd.Series(held, index=answer.index, name="position")


POLICIES = tuple(Policy(*values) for values in product(SPANS, SIZES, BANDS))


@dataclass(frozen=True, slots=True)
class Bound:
    """Bounds on the best annual Sharpe ratio after costs; each is a mean over paths with its standard error.

    Attributes
    ----------
    lower, lower_error
        Of the best policy, after costs. 0 without error, which is what staying out earns, where the policy does not
        earn more than two standard errors.
    upper, upper_error
        Of the best strategy before costs.
    policy
        The best one; None stays out.
    rows, paths
        Bars of a path, and how many paths the means are over.
    """

    lower: float
    lower_error: float
    upper: float
    upper_error: float
    policy: Policy | None
    rows: int
    paths: int


def sharpe_bound(
    market: Market, costs: Costs, seed: int, *, rows: int = 20_000, chosen_on: int = 4, paths: int = 16
) -> Bound:
    """Bound the best Sharpe ratio after costs.

    Parameters
    ----------
    market
        Which market.
    costs
        Of every fill.
    seed
        Of the paths; none of them is what :func:`trading.markets.market.draw` draws from this seed.
    rows
        Bars of a path; fewer where :attr:`trading.markets.market.Market.most_bars` is less.
    chosen_on
        Paths to choose the policy on.
    paths
        Paths to judge it on, two or more.
    """
    rows = min(rows, market.most_bars)
    seeds = [int(number) for number in np.random.SeedSequence(seed).generate_state(chosen_on + paths, np.uint64)]
    drawn = [draw(market, rows, one) for one in seeds]
    per_year = market.instrument.bars_per_year
    answers = pd.concat([one.answer for one in drawn[:chosen_on]])
    whole = float((answers["mean"] / answers["square"]).abs().quantile(_WHOLE))

    def earned(policy: Policy, at: int) -> float:
        positions = policy.positions(drawn[at].answer, whole)
        outcome = simulate(drawn[at].bars, positions, costs, rebalance_band=np.inf, bars_per_year=per_year)
        # One that never trades earns nothing, for sure.
        return 0.0 if np.isnan(outcome.metrics["sharpe"]) else outcome.metrics["sharpe"]

    best = max(POLICIES, key=lambda policy: sum(earned(policy, at) for at in range(chosen_on)))
    judged = range(chosen_on, chosen_on + paths)
    lower = _mean([earned(best, at) for at in judged])
    upper = _mean([attainable_sharpe(drawn[at].answer, per_year) for at in judged])
    if not lower[0] > 2 * lower[1]:
        return Bound(0.0, 0.0, *upper, None, rows, paths)
    return Bound(*lower, *upper, best, rows, paths)


@njit(cache=True)
def keep_within(aim: Array, band: float) -> Array:
    """Follow an aim, shape (n,), from 0 on: no further than to the edge of the band around it."""
    held, position = np.empty_like(aim), 0.0
    for at in range(len(aim)):
        position = min(max(position, aim[at] - band), aim[at] + band)
        held[at] = position
    return held


def _mean(values: list[float]) -> tuple[float, float]:
    """Mean, and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
