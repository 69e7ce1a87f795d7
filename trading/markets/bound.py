"""How much of a market's edge is left after costs: bounds on the best annual Sharpe ratio, with their errors.

The best strategy after costs is not known in closed form. It earns no more than the best before costs, and no less
than any strategy that one can name. So it lies between; how far apart the two are says how much of the edge costs may
eat.

Strategies that are named here know the ideal observer's expected return, smoothed or not, and act on it where it
beats some multiple of a round trip of costs; what they took they keep until the opposite is worth it, or until the
forecast is some bars old. The best of them is chosen on paths of its own and judged on others: choosing would flatter
it otherwise.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from trading.costs import Costs
from trading.markets.market import Market, attainable_sharpe, draw
from trading.no_trade_band import band_positions
from trading.simulator import simulate

ROUND_TRIPS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
HOLD_BARS = (1, 6, 24, 1_000_000)
SPANS = (1, 4, 12)


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do with the ideal observer's expected one-bar returns.

    Attributes
    ----------
    round_trips
        Multiple of a round trip of costs that the expected return must beat.
    hold_bars
        Bars for which one that beats it is followed, unless a newer one does.
    span
        Of the exponential mean over the expected returns; 1 takes the newest alone.
    """

    round_trips: float
    hold_bars: int
    span: int

    def __str__(self) -> str:
        forecast = "the newest forecast" if self.span == 1 else f"forecasts smoothed over {self.span} bars"
        kept = "until the opposite is worth it" if self.hold_bars == HOLD_BARS[-1] else f"for {self.hold_bars} bar(s)"
        return f"act on {forecast} above {self.round_trips:g} round trips of costs, and hold {kept}"

    def positions(self, answer: pd.DataFrame, costs: Costs) -> pd.Series:
        """Targets decided at the close of each bar."""
        edge = answer["mean"].ewm(span=self.span).mean()
        return band_positions(edge, costs.per_side, self.hold_bars, self.round_trips)


POLICIES = tuple(Policy(*values) for values in product(ROUND_TRIPS, HOLD_BARS, SPANS))


@dataclass(frozen=True, slots=True)
class Bound:
    """Bounds on the best annual Sharpe ratio after costs; each is a mean over paths with its standard error.

    Attributes
    ----------
    lower, lower_error
        Of the best policy, after costs. 0 without error, which is what staying out earns, where the policy does not earn
        more than two standard errors.
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

    def earned(policy: Policy, at: int) -> float:
        bars, answer = drawn[at].bars, drawn[at].answer
        outcome = simulate(
            bars, policy.positions(answer, costs), costs, rebalance_band=np.inf, bars_per_year=per_year
        ).metrics["sharpe"]
        # One that never trades earns nothing, for sure.
        return 0.0 if np.isnan(outcome) else outcome

    best = max(POLICIES, key=lambda policy: sum(earned(policy, at) for at in range(chosen_on)))
    judged = range(chosen_on, chosen_on + paths)
    lower = _mean([earned(best, at) for at in judged])
    upper = _mean([attainable_sharpe(drawn[at].answer, per_year) for at in judged])
    if not lower[0] > 2 * lower[1]:
        return Bound(0.0, 0.0, *upper, None, rows, paths)
    return Bound(*lower, *upper, best, rows, paths)


def _mean(values: list[float]) -> tuple[float, float]:
    """Mean, and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
