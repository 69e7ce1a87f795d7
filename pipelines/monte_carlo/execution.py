"""The same positions with another execution: other slippage, orders that arrive late, orders that are missed.

What was decided stays, and so does the market. It tells how much of a result hangs on being filled as assumed, and
nothing of whether the decisions are any good.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trading.costs import Costs
from trading.errors import ParamsError
from trading.simulator import Rules, simulate


@dataclass(frozen=True, slots=True)
class RandomExecution:
    """How far execution may differ from what was assumed; zeros are the execution as assumed.

    Parameters
    ----------
    slippage_sd
        Standard deviation of the logarithm of a factor on slippage, one a draw, with median one.
    most_latency
        Bars that orders take to arrive: in each draw one number from 0 to this, all equally likely.
    missed
        Probability that an order is not filled. It is sent again a bar later, for the target of then; until one is
        filled, the last target that was reached stands.

    Raises
    ------
    ParamsError
        If a number is negative or not finite, or every order would be missed.
    """

    slippage_sd: float
    most_latency: int
    missed: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.slippage_sd < np.inf and self.most_latency >= 0 and 0.0 <= self.missed < 1.0):
            raise ParamsError(
                f"slippage_sd {self.slippage_sd}, most_latency {self.most_latency}, missed {self.missed}",
                rule="finite numbers of at least 0, and a probability below 1",
                remedy="choose such numbers",
            )


def random_execution(
    bars: pd.DataFrame,
    positions: pd.Series,
    costs: Costs,
    execution: RandomExecution,
    *,
    rebalance_band: float,
    bars_per_year: float,
    seed: int,
    count: int,
    first: int = 0,
) -> pd.DataFrame:
    """Trade positions again and again, each time with another execution.

    Parameters
    ----------
    bars, positions, costs, rebalance_band, bars_per_year
        As for :func:`trading.simulator.simulate`, with one symbol.
    execution
        What may differ.
    seed
        Draw number i is told by seed and i.
    count, first
        How many draws, and the number of the first: what :func:`pipelines.monte_carlo.stopping.draw_until` asks for.

    Returns
    -------
    DataFrame
        One row a draw, index ``draw``; columns ``slippage_bps``, ``latency`` (bars), ``missed`` (share of bars at whose
        close an order would not have been filled), the simulator's metrics, and ``lowest_equity`` of 1 at the start.

    Raises
    ------
    PositionError, BarError
        As :func:`trading.simulator.simulate`.
    """
    numbers = range(first, first + count)
    rows: list[dict[str, float]] = []
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        slippage = costs.slippage_bps * float(np.exp(execution.slippage_sd * rng.standard_normal()))
        latency = int(rng.integers(execution.most_latency, endpoint=True))
        missed = rng.random(len(positions)) < execution.missed
        # Before the first order is filled, nothing is held.
        reached = positions.where(~missed).ffill().fillna(0.0)
        told = simulate(
            bars,
            # A position that is no number is the caller's mistake, and stays one for the simulator to name.
            reached.where(positions.notna()),
            replace(costs, slippage_bps=slippage),
            rebalance_band=rebalance_band,
            bars_per_year=bars_per_year,
            rules=Rules(latency=latency),
        )
        drawn = {"slippage_bps": slippage, "latency": latency, "missed": float(missed.mean())}
        rows.append(drawn | told.metrics | {"lowest_equity": float(told.equity.min())})
    return pd.DataFrame(rows, index=pd.RangeIndex(first, first + count, name="draw"))
