"""Many simulations over the same bars, of which only the metrics are wanted."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from trading.costs import Costs
from trading.simulator import kernel
from trading.simulator.market import Bars, Market
from trading.simulator.rules import Rules
from trading.simulator.simulation import NO_RULES, kernel_arguments, metrics


@dataclass(frozen=True, eq=False)
class Run:
    """One set of a sweep.

    Parameters
    ----------
    positions
        Targets, as :func:`trading.simulator.simulate` takes them, over the same stamps in every run.
    costs, rules, rebalance_band
        As there.
    """

    positions: pd.Series | pd.DataFrame
    costs: Costs
    rules: Rules = NO_RULES
    rebalance_band: float = np.inf


def sweep(
    bars: Bars,
    runs: Iterable[Run],
    *,
    bars_per_year: float,
    initial_equity: float = 1.0,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Simulate every run and keep its metrics: no equity is stored, and runs are drawn as they are needed.

    Parameters
    ----------
    bars
        As for :func:`trading.simulator.simulate`.
    runs
        Any number of them; a generator may make each when its turn comes, so that a sweep needs no more memory than
        twice as many runs as there are threads.
    bars_per_year, initial_equity
        As for :func:`trading.simulator.simulate`.
    threads
        The compiled pass holds no lock. The result does not depend on their number.
    progress
        Called with the number of runs done, after each.

    Returns
    -------
    DataFrame
        One row a run, in their order; columns as in :attr:`trading.simulator.Simulation.metrics`.

    Raises
    ------
    PositionError
        Also if a run's positions are over other stamps than the first one's.
    BarError, ParamsError
        As for :func:`trading.simulator.simulate`; the first run that breaks a rule ends the sweep.
    """
    market: Market | None = None

    def jobs(pool: ThreadPoolExecutor) -> Iterator[Future[dict[str, float]]]:
        nonlocal market
        for run in runs:
            if market is None or not market.serves(run.costs, run.rules):
                market = Market.of(bars, run.positions, run.costs, run.rules)
            yield pool.submit(_totals, market, run, bars_per_year, initial_equity)

    rows: list[dict[str, float]] = []
    with ThreadPoolExecutor(threads) as pool:
        drawn = jobs(pool)
        ahead = deque(islice(drawn, 2 * threads))
        while ahead:
            rows.append(ahead.popleft().result())
            ahead.extend(islice(drawn, 1))
            if progress is not None:
                progress(len(rows))
    return pd.DataFrame(rows)


def _totals(market: Market, run: Run, bars_per_year: float, initial_equity: float) -> dict[str, float]:
    target = market.targets(run.positions, run.rules)
    arguments = kernel_arguments(market, target, run.costs, run.rules, run.rebalance_band, initial_equity)
    totals = kernel.follow_targets(market.prices, target, *arguments, None)[0]
    return metrics(totals, initial_equity, len(market.index), bars_per_year)
