"""How much capital the positions carry: the Sharpe ratio against it, through square-root impact and participation.

The positions are those that were decided. Who trades more pays the square root of his share of a bar's volume (Almgren
et al. 2005, "Direct Estimation of Equity Market Impact"), and is filled no faster than the participation allows: the
rest waits for the next opens.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipelines.metrics import sharpe_interval
from pipelines.stress.account import Account
from trading.simulator import Simulation

# Nobody has more to place in one strategy, in dollars.
MOST = 1e12
_LEAST = 1.0


def capacity_curve(
    bars: Mapping[str, pd.DataFrame],
    positions: pd.DataFrame,
    account: Account,
    capitals: Sequence[float],
    confidence: float,
) -> dict[str, Any]:
    """Sharpe ratio of the same positions, against the capital at the start.

    Parameters
    ----------
    bars
        By symbol, from the first to the last position; price times volume is in the unit of the capital.
    positions
        Targets, a column for each asset.
    account
        Who follows them, with which impact and participation.
    capitals
        Equities at the start, above 0.
    confidence
        Of the interval of each ratio (Lo 2002).

    Returns
    -------
    dict
        Lists over the capitals: ``capital``; ``sharpe``, ``sharpe_low`` and ``sharpe_high`` (nan where nothing moved);
        ``total_return``; ``exposure``, the mean share of equity held. And ``free_sharpe``, what is left without impact
        and participation, as of no capital; ``half_capital``, the least at which the ratio is half of that, to a
        thousandth of itself, or None with the ``reason``.
    """

    def trade(capital: float) -> Simulation:
        return replace(account, capital=capital).follow(bars, positions)

    def shortfall(log_capital: float) -> float:
        """By how much the ratio is above half of what it is without size."""
        return float(trade(math.exp(log_capital)).metrics["sharpe"]) - free / 2

    small = replace(
        account, costs=replace(account.costs, impact=0.0), rules=replace(account.rules, participation=math.inf)
    )
    free = float(small.follow(bars, positions).metrics["sharpe"])
    traded = [trade(capital) for capital in capitals]
    intervals = [sharpe_interval(one.returns, account.bars_per_year, confidence) for one in traded]
    curve = {
        "capital": list(capitals),
        **{
            name: [one.metrics[name] for one in traded]
            for name in ("sharpe", "total_return", "exposure", "impact_cost")
        },
        "sharpe_low": [low for low, _ in intervals],
        "sharpe_high": [high for _, high in intervals],
        "free_sharpe": free,
        "half_capital": None,
        "reason": None,
    }
    if not free > 0:
        lost = np.isfinite(free)
        return curve | {"reason": "it earns nothing even without impact" if lost else "it never traded"}
    low, high = math.log(_LEAST), math.log(10 * _LEAST)
    while shortfall(high) > 0:
        if high >= math.log(MOST):
            return curve | {"reason": f"above half of it up to {MOST:g}"}
        low, high = high, high + math.log(10)
    if shortfall(low) <= 0:
        return curve | {"reason": f"below half of it from {_LEAST:g} on"}
    from scipy.optimize import brentq

    return curve | {"half_capital": math.exp(brentq(shortfall, low, high, xtol=1e-3))}
