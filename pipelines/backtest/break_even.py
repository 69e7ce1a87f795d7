"""What a strategy's Sharpe ratio would be at other costs, and at which cost nothing would be left of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy.optimize import brentq

from pipelines.backtest.strategy import Strategy
from pipelines.metrics import sharpe_interval
from trading.costs import BASIS_POINT, Costs
from trading.simulator import Simulation

# Half of what is traded goes in costs: nobody asks beyond.
HIGHEST_BPS = 5000.0
_NOTHING: dict[str, Any] = {"zero_bps": None, "reason": None}


def break_even_curve(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, grid: Sequence[float], confidence: float
) -> dict[str, Any]:
    """Net Sharpe ratio against the cost a side, with the positions held as they are.

    Positions were decided at the run's costs: who pays more would trade less, and who pays less more. So this is what
    a fill may cost more than was assumed, not what the strategy would be worth to somebody else.

    Parameters
    ----------
    strategy
        How positions are traded.
    bars, positions
        As :meth:`pipelines.backtest.strategy.Strategy.simulate` takes them.
    grid
        Costs a side in basis points, at least 0.
    confidence
        Of the interval of each ratio (Lo 2002).

    Returns
    -------
    dict
        ``cost_bps``, ``sharpe``, ``sharpe_low`` and ``sharpe_high``: lists over the grid, None where nothing moved;
        ``own_bps``, the run's cost; ``zero_bps``, the cost at which the Sharpe ratio is 0, to 1e-6, or None with the
        ``reason``.
    """

    def trade(cost_bps: float) -> Simulation:
        return strategy.simulate(bars, positions, at_cost(strategy.params.costs.costs(), cost_bps))

    def ratio(cost_bps: float) -> float:
        return float(trade(cost_bps).metrics["sharpe"])

    per_year = strategy.instrument.bars_per_year
    traded = [trade(cost) for cost in grid]
    intervals = [sharpe_interval(one.returns, per_year, confidence) for one in traded]
    curve = {
        "cost_bps": list(grid),
        "sharpe": [one.metrics["sharpe"] for one in traded],
        "sharpe_low": [low for low, _ in intervals],
        "sharpe_high": [high for _, high in intervals],
        "own_bps": strategy.params.costs.costs().per_side / BASIS_POINT,
    }
    free = ratio(0.0)
    if not free > 0.0:
        lost = free <= 0.0
        return curve | _NOTHING | {"reason": "it earns nothing even without costs" if lost else "it never traded"}
    high = 1.0
    while ratio(high) > 0.0:
        if high == HIGHEST_BPS:
            return curve | _NOTHING | {"reason": f"above 0 up to {HIGHEST_BPS:g} bps a side"}
        high = min(2.0 * high, HIGHEST_BPS)
    return curve | _NOTHING | {"zero_bps": float(brentq(ratio, 0.0, high, xtol=1e-6))}


def at_cost(costs: Costs, cost_bps: float) -> Costs:
    """Costs in the same proportions that come to so many basis points a side; all of it a fee where they are 0."""
    own = costs.per_side / BASIS_POINT
    if own == 0.0:
        return replace(costs, fee_bps=cost_bps)
    part = cost_bps / own
    return replace(
        costs,
        fee_bps=costs.fee_bps * part,
        spread_bps=costs.spread_bps * part,
        slippage_bps=costs.slippage_bps * part,
    )
