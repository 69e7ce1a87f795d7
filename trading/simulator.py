"""What target positions would have earned: fills at the next open, fees, spread and slippage.

Timing: a target is decided at the close of bar t with what is known then, drift included; it is filled at the open of
the next bar that exists, however long that takes; equity is marked at closes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from trading.costs import BASIS_POINT, Costs
from trading.errors import BarError, PositionError
from trading.performance import max_drawdown, sharpe

Array = NDArray[np.float64]

# A whole position is held to within a rounding error; with a band of zero that is not drift to trade on.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Simulation:
    """Outcome of :func:`simulate`; series are indexed by the open stamps of the simulated bars.

    Parameters
    ----------
    equity
        Cash and holdings at each bar's close. The first value is the initial equity: nothing can be held yet.
    returns
        Simple return of equity from close to close; 0 in the first bar and after ruin.
    held
        Fraction of equity held at each close; negative when short.
    fills
        One row per fill: ``timestamp`` (bar at whose open it happened), ``decided_at`` (open stamp of the bar at whose
        close it was decided), ``price`` (open made worse by half the spread and the slippage), ``units`` (signed),
        ``notional`` (|units| * price), ``fee``, ``spread_cost`` (slippage included), ``position`` (the target).
        Money is in the unit of the initial equity.
    metrics
        ``total_return``, ``annual_return``, ``annual_volatility``, ``sharpe`` (annualised, nan without variance),
        ``max_drawdown`` (positive fraction), ``trades`` (fills), ``turnover_per_year`` (notional over equity),
        ``exposure`` (mean |held|), ``fees``, ``spread_cost``, ``break_even_bps`` (cost a side at which the same fills
        would have earned nothing; nan without fills).
    """

    equity: pd.Series
    returns: pd.Series
    held: pd.Series
    fills: pd.DataFrame
    metrics: dict[str, float]


def simulate(
    bars: pd.DataFrame,
    positions: pd.Series,
    costs: Costs,
    *,
    rebalance_band: float,
    bars_per_year: float,
    initial_equity: float = 1.0,
) -> Simulation:
    """Follow target positions through bars.

    The bars from the first to the last position are simulated; the last decision is therefore never filled. A target
    is a fraction of the equity at the open it is filled at, before the costs of that fill. It is traded when it
    differs from the target before it (0 at the start), or when the fraction held at the close is further than
    ``rebalance_band`` from it. Ruin: once equity, marked at an open or a close, is not above zero, it is zero and
    everything stays flat.

    Parameters
    ----------
    bars
        Bars in time order; ``open`` and ``close`` are used.
    positions
        Targets in [-1, 1], decided at the close of their bar: one for every bar between the first and the last.
    costs
        Fee, spread and slippage.
    rebalance_band
        Drift of the held fraction of equity that is left alone; ``inf`` never rebalances.
    bars_per_year
        Bars in a year, for annual figures.
    initial_equity
        Equity at the first close.

    Raises
    ------
    PositionError
        If positions are empty, NaN, beyond [-1, 1], at stamps that are not bars, or absent at a bar between.
    BarError
        If an open or close in that range is not a finite positive price.
    ValueError
        If ``rebalance_band`` is negative or NaN, or ``initial_equity`` is not above zero.
    """
    if not rebalance_band >= 0 or not initial_equity > 0:
        raise ValueError(f"{rebalance_band=}, {initial_equity=}: expected at least 0 and above 0")
    bars = _covered(bars, positions)
    target = _frozen(positions)
    open_, close = _prices(bars)
    equity, held, traded = follow_targets(
        open_, close, target, costs.price_shift, costs.fee, float(rebalance_band), float(initial_equity)
    )
    before = np.append(initial_equity, equity[:-1])
    # After ruin there is nothing left to return anything on.
    returns = np.divide(equity, before, out=np.ones_like(equity), where=before > 0) - 1.0
    index = pd.DatetimeIndex(bars.index)
    fills = _fills(index, open_, target, traded, costs)
    at_fill = np.flatnonzero(traded)
    # Equity at the open of the fill: holdings of the last close, at the open's price.
    equity_before = before[at_fill] * (1.0 + held[at_fill - 1] * (open_[at_fill] / close[at_fill - 1] - 1.0))
    metrics = _metrics(equity, returns, held, fills, equity_before, initial_equity, bars_per_year)
    return Simulation(
        equity=pd.Series(equity, index=index, name="equity", copy=False),
        returns=pd.Series(returns, index=index, name="returns", copy=False),
        held=pd.Series(held, index=index, name="held", copy=False),
        fills=fills,
        metrics=metrics,
    )


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def follow_targets(
    open_: Array,
    close: Array,
    target: Array,
    price_shift: float,
    fee: float,
    rebalance_band: float,
    initial_equity: float,
) -> tuple[Array, Array, Array]:
    """Kernel of :func:`simulate`: one pass over the bars of one instrument.

    Returns
    -------
    tuple of arrays
        Equity at each close, fraction of equity held at each close, units traded at each open (signed).
    """
    bars = len(open_)
    equity = np.zeros(bars)
    held = np.zeros(bars)
    traded = np.zeros(bars)
    cash = initial_equity
    units = 0.0
    equity[0] = initial_equity
    previous = 0.0
    for bar in range(1, bars):
        worth = cash + units * open_[bar]
        if worth <= 0.0:
            break
        # Whether to trade was decided at the close before; only the size waits for the open.
        wanted = target[bar - 1]
        trade = wanted != previous or abs(held[bar - 1] - wanted) > rebalance_band + _ROUNDING
        previous = wanted
        if trade:
            delta = wanted * worth / open_[bar] - units
            if delta != 0.0:
                price = open_[bar] * (1.0 + price_shift if delta > 0.0 else 1.0 - price_shift)
                cash -= delta * price + abs(delta) * price * fee
                units += delta
                traded[bar] = delta
        worth = cash + units * close[bar]
        if worth <= 0.0:
            break
        equity[bar] = worth
        held[bar] = units * close[bar] / worth
    return equity, held, traded


def _covered(bars: pd.DataFrame, positions: pd.Series) -> pd.DataFrame:
    """Bars from the first to the last position, after every claim about the positions is checked."""

    def refuse(what: str, rule: str, remedy: str, where: object = "") -> PositionError:
        return PositionError(what, where=str(where), rule=rule, remedy=remedy)

    if not len(positions):
        raise refuse("no positions", "at least one target position", "simulate a range with bars in it")
    if positions.index.equals(bars.index):
        covered = bars
    else:
        unknown = ~positions.index.isin(bars.index)
        if unknown.any():
            raise refuse(
                f"{unknown.sum()} position(s) at stamps that are no bar",
                "a position is decided at the close of a bar",
                "drop these rows, or give the bars they were decided on",
                f"first at {positions.index[int(unknown.argmax())]}",
            )
        covered = bars.loc[positions.index[0] : positions.index[-1]]
        if not covered.index.equals(positions.index):
            raise refuse(
                f"{len(covered)} bars but {len(positions)} positions between {positions.index[0]} and "
                f"{positions.index[-1]}",
                "one position for each bar, in time order",
                "say what is wanted where nothing was decided: 0 is flat",
            )
    if not (covered.index.is_monotonic_increasing and covered.index.is_unique):
        raise BarError("bars out of order", rule="stamps increase strictly", remedy="sort and deduplicate the bars")
    values = np.asarray(positions, dtype=np.float64)
    wrong = ~(np.abs(values) <= 1.0)
    if wrong.any():
        raise refuse(
            f"{wrong.sum()} position(s) NaN or beyond the whole equity",
            "a position is a fraction of equity in [-1, 1]",
            "decide 0 where there is no forecast, and scale the rest",
            f"first at {positions.index[int(wrong.argmax())]}: {values[int(wrong.argmax())]}",
        )
    return covered


def _frozen(series: pd.Series) -> Array:
    """Contiguous read-only values: pandas may hand out either kind, and the kernel is compiled for one."""
    values = np.ascontiguousarray(series, dtype=np.float64).view()
    values.flags.writeable = False
    return values


def _prices(bars: pd.DataFrame) -> tuple[Array, Array]:
    open_, close = _frozen(bars["open"]), _frozen(bars["close"])
    wrong = ~((open_ > 0) & (close > 0) & (open_ < np.inf) & (close < np.inf))
    if wrong.any():
        raise BarError(
            f"{wrong.sum()} bar(s) without a usable price",
            where=f"first at {bars.index[int(wrong.argmax())]}",
            rule="open and close are finite and above zero",
            remedy="validate the bars first",
        )
    return open_, close


def _fills(index: pd.DatetimeIndex, open_: Array, target: Array, traded: Array, costs: Costs) -> pd.DataFrame:
    at = np.flatnonzero(traded)
    units = traded[at]
    price = open_[at] * (1.0 + np.sign(units) * costs.price_shift)
    notional = np.abs(units) * price
    return pd.DataFrame(
        {
            "timestamp": index[at],
            "decided_at": index[at - 1],
            "price": price,
            "units": units,
            "notional": notional,
            "fee": notional * costs.fee,
            "spread_cost": np.abs(units) * open_[at] * costs.price_shift,
            "position": target[at - 1],
        }
    )


def _metrics(
    equity: Array,
    returns: Array,
    held: Array,
    fills: pd.DataFrame,
    equity_before: Array,
    initial_equity: float,
    bars_per_year: float,
) -> dict[str, float]:
    years = len(equity) / bars_per_year
    growth = equity[-1] / initial_equity
    notional = fills["notional"].to_numpy()
    fees, spread_cost = float(fills["fee"].sum()), float(fills["spread_cost"].sum())
    gross = equity[-1] - initial_equity + fees + spread_cost
    # A few very good bars, annualised, are beyond what a float holds: inf says so.
    with np.errstate(over="ignore"):
        annual_return = np.float64(growth) ** (1.0 / years) - 1.0
    metrics: dict[str, Any] = {
        "total_return": growth - 1.0,
        "annual_return": annual_return,
        "annual_volatility": returns.std(ddof=1) * np.sqrt(bars_per_year) if len(returns) > 1 else np.nan,
        "sharpe": sharpe(returns, bars_per_year),
        "max_drawdown": max_drawdown(equity),
        "trades": len(fills),
        "turnover_per_year": (notional / equity_before).sum() / years,
        "exposure": np.abs(held).mean(),
        "fees": fees,
        "spread_cost": spread_cost,
        "break_even_bps": gross / notional.sum() / BASIS_POINT if len(fills) else np.nan,
    }
    return {name: float(value) for name, value in metrics.items()}
