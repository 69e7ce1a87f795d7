"""What target positions would have earned."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.costs import BASIS_POINT, Costs
from trading.errors import ParamsError
from trading.simulator import kernel
from trading.simulator.market import Bars, Market
from trading.simulator.rules import Rules

Array = NDArray[np.float64]
REASONS = ("order", "stop", "take_profit", "liquidation")
NO_RULES = Rules()


class Simulation:
    """Outcome of :func:`simulate`; series are indexed by the open stamps of the simulated bars.

    Attributes
    ----------
    metrics : dict
        ``total_return``, ``annual_return``, ``annual_volatility``, ``sharpe`` (annualised, nan without variance),
        ``max_drawdown`` (positive fraction), ``time_under_water`` (bars of the longest stretch below an earlier peak),
        ``trades`` (fills), ``turnover_per_year`` (notional over equity), ``exposure`` (mean gross share held),
        ``break_even_bps`` (cost a side at which the same fills would have earned nothing; nan without fills), and what
        was paid, in the unit of equity: ``fees``, ``spread_cost`` (slippage and ticks included), ``impact_cost``,
        ``funding``, ``borrow``; ``shortfall`` is what ruin lost beyond all equity, which nobody pays.
    """

    def __init__(
        self,
        market: Market,
        target: Array,
        arrays: tuple[Array, Array, Array],
        initial_equity: float,
        bars_per_year: float,
    ) -> None:
        self._market, self._target, self._initial = market, target, initial_equity
        self._totals, self._equity, self._fills = arrays
        self.metrics = metrics(self._totals, initial_equity, len(market.index), bars_per_year)

    @property
    def ruined_at(self) -> pd.Timestamp | None:
        """Bar in which equity was gone; it is zero from there on."""
        bar = int(self._totals[kernel.RUIN])
        return None if bar < 0 else self._market.index[bar]

    @cached_property
    def equity(self) -> pd.Series:
        """Cash and holdings at each bar's close. The first value is the initial equity: nothing can be held yet."""
        return pd.Series(self._equity, index=self._market.index, name="equity", copy=False)

    @cached_property
    def returns(self) -> pd.Series:
        """Simple return of equity from close to close; 0 in the first bar and after ruin."""
        before = np.append(self._initial, self._equity[:-1])
        # After ruin there is nothing left to return anything on.
        values = np.divide(self._equity, before, out=np.ones_like(before), where=before > 0) - 1.0
        return pd.Series(values, index=self._market.index, name="returns", copy=False)

    @cached_property
    def held(self) -> pd.Series | pd.DataFrame:
        """Fraction of equity held at each close, negative when short; a column for each of several assets."""
        market, made = self._market, self._fills
        at, asset = (made[:, column].astype(np.int64) for column in (kernel.BAR, kernel.ASSET))
        units = np.full(market.prices[0].shape, np.nan)
        units[0] = 0.0
        units[at, asset] = made[:, kernel.HELD]  # of several in a bar the last one stays
        worth = self._equity[:, None]
        value = pd.DataFrame(units).ffill().to_numpy() * market.prices[3]
        held = np.divide(value, worth, out=np.zeros_like(value), where=worth > 0)
        if market.symbols == ("",):
            return pd.Series(held[:, 0], index=market.index, name="held", copy=False)
        return pd.DataFrame(held, index=market.index, columns=list(market.symbols), copy=False)

    @cached_property
    def fills(self) -> pd.DataFrame:
        """One row a fill.

        ``timestamp`` (bar in which it happened), ``decided_at`` (open stamp of the bar at whose close it was decided;
        that of the fill itself where the market closed the position inside it), ``reason`` (order, stop, take_profit or
        liquidation), ``price``, ``units`` (signed), ``notional`` (|units| * price), ``fee``, ``spread_cost`` (slippage
        and ticks included), ``impact_cost``, ``position`` (what it aims at: a target times leverage, or 0). Where there
        are several assets, ``symbol`` stands first. Money is in the unit of the initial equity.
        """
        made, index = self._fills, self._market.index
        bar, asset, decided = (
            made[:, column].astype(np.int64) for column in (kernel.BAR, kernel.ASSET, kernel.DECIDED)
        )
        columns: dict[str, Any] = {
            "timestamp": index[bar],
            "decided_at": index[decided],
            "reason": pd.array(np.array(REASONS, dtype=object)[made[:, kernel.REASON].astype(np.int64)], dtype="str"),
            "price": made[:, kernel.PRICE],
            "units": made[:, kernel.UNITS],
            "notional": np.abs(made[:, kernel.UNITS]) * made[:, kernel.PRICE],
            "fee": made[:, kernel.FEE],
            "spread_cost": made[:, kernel.SPREAD],
            "impact_cost": made[:, kernel.IMPACT],
            "position": np.where(made[:, kernel.REASON] == kernel.ORDER, self._target[decided, asset], 0.0),
        }
        if self._market.symbols != ("",):
            columns = {"symbol": pd.array(np.array(self._market.symbols, dtype=object)[asset], dtype="str")} | columns
        return pd.DataFrame(columns)


def simulate(
    bars: Bars,
    positions: pd.Series | pd.DataFrame,
    costs: Costs,
    *,
    rebalance_band: float,
    bars_per_year: float,
    initial_equity: float = 1.0,
    rules: Rules = NO_RULES,
) -> Simulation:
    """Follow target positions through bars, of one asset or of several on shared cash.

    Timing: a target is decided at the close of bar t with what is known then, drift included; it is filled from the
    open of the next bar that exists and has volume, however long that takes; equity is marked at closes.

    The bars from the first to the last position are simulated; the last decision is therefore never filled. A target
    is a fraction of the equity at the open at which its order is made, before the costs of that fill. It is traded
    when it differs from the target before it (0 at the start), or when the fraction held at the close is further than
    ``rebalance_band`` from it. A bar without volume fills nothing; the order waits. Ruin: once equity, marked at an
    open or a close, is not above zero, it is zero and everything stays flat.

    Parameters
    ----------
    bars
        Bars of one asset in time order: ``open``, ``close`` and ``volume``; with stops or margin ``high`` and ``low``,
        with funding ``funding_rate``. Or one such frame for each of several assets, by symbol: where one has no bar,
        it is not traded and keeps its last price.
    positions
        Targets in [-1, 1], decided at the close of their bar: one for every bar between the first and the last. With
        several assets a column for each, whose sizes add up to at most 1.
    costs
        What trading and holding cost.
    rebalance_band
        Drift of the held fraction of equity that is left alone; ``inf`` never rebalances.
    bars_per_year
        Bars in a year, for annual figures.
    initial_equity
        Equity at the first close.
    rules
        Stops, margin, lots, participation, latency, leverage.

    Raises
    ------
    PositionError
        If positions are empty, NaN, beyond [-1, 1], at stamps that are not bars, or absent at a bar between.
    BarError
        If stamps have no time zone or are out of order, a column is missing, or a price that is needed is not finite
        and above zero.
    ParamsError
        If ``rebalance_band`` is negative or NaN, or ``initial_equity`` or ``bars_per_year`` is not finite and above
        zero.
    """
    market = Market.of(bars, positions, costs, rules)
    target = market.targets(positions, rules)
    arguments = kernel_arguments(market, target, costs, rules, rebalance_band, initial_equity)
    return Simulation(
        market, target, kernel.follow_targets(market.prices, target, *arguments, True), initial_equity, bars_per_year
    )


def kernel_arguments(
    market: Market, target: Array, costs: Costs, rules: Rules, band: float, initial_equity: float
) -> tuple[Any, ...]:
    """What :func:`trading.simulator.kernel.follow_targets` takes between its target and ``keep``."""
    if not band >= 0:
        raise ParamsError(f"rebalance_band is {band}", rule="at least 0", remedy="use inf to never rebalance")
    if not 0 < initial_equity < np.inf:
        raise ParamsError(f"initial_equity is {initial_equity}", rule="finite and above 0", remedy="use 1 for ratios")
    volumes = (rules.participation, costs.impact, costs.spread_per_volatility)
    volatility = market.volatility(costs.volatility_bars) if costs.needs_volatility else np.zeros((1, 1))
    return (
        costs.price_shift,
        (costs.maker, costs.fee),
        float(band),
        float(initial_equity),
        rules.latency,
        rules.compound,
        (*(each[:, 0] for each in market.prices), target[:, 0]) if len(market.symbols) == 1 else None,
        (*map(float, volumes), volatility) if costs.needs_volatility or rules.participation < np.inf else None,
        None if rules.stops is None else (rules.stops.stop_loss, rules.stops.take_profit, rules.stops.trailing),
        None if rules.lots is None else (rules.lots.lot, rules.lots.tick, rules.lots.min_notional),
        None if rules.margin is None else (rules.margin.maintenance, rules.margin.liquidation_bps * BASIS_POINT),
        market.carry(costs),
        market.tiers(costs),
    )


def metrics(totals: Array, initial_equity: float, bars: int, bars_per_year: float) -> dict[str, float]:
    """Named figures of the kernel's totals."""
    if not 0 < bars_per_year < np.inf:
        raise ParamsError(
            f"bars_per_year is {bars_per_year}", rule="finite and above 0", remedy="use 8760 for bars of an hour"
        )
    last, summed, squares = (float(totals[at]) for at in (kernel.LAST, kernel.RETURNS, kernel.SQUARES))
    years, growth, mean = bars / bars_per_year, last / initial_equity, summed / bars
    variance = max(squares - bars * mean**2, 0.0) / (bars - 1) if bars > 1 else np.nan
    deviation = float(np.sqrt(variance))
    paid = {
        "fees": totals[kernel.TOTAL_FEE],
        "spread_cost": totals[kernel.TOTAL_SPREAD],
        "impact_cost": totals[kernel.TOTAL_IMPACT],
        "funding": totals[kernel.TOTAL_FUNDING],
        "borrow": totals[kernel.TOTAL_BORROW],
    }
    trading = paid["fees"] + paid["spread_cost"] + paid["impact_cost"]
    gross, notional = last - initial_equity + trading, float(totals[kernel.NOTIONAL])
    # A few very good bars, annualised, are beyond what a float holds: inf says so.
    with np.errstate(over="ignore"):
        annual_return = np.float64(growth) ** (1.0 / years) - 1.0
    found: dict[str, Any] = {
        "total_return": growth - 1.0,
        "annual_return": annual_return,
        "annual_volatility": deviation * np.sqrt(bars_per_year),
        "sharpe": mean / deviation * np.sqrt(bars_per_year) if deviation > 0 else np.nan,
        "max_drawdown": totals[kernel.DRAWDOWN],
        "time_under_water": totals[kernel.UNDER_WATER],
        "trades": totals[kernel.FILLS],
        "turnover_per_year": totals[kernel.TURNOVER] / years,
        "exposure": totals[kernel.EXPOSURE] / bars,
        **paid,
        "shortfall": totals[kernel.SHORTFALL],
        "break_even_bps": gross / notional / BASIS_POINT if notional > 0 else np.nan,
    }
    return {name: float(value) for name, value in found.items()}
