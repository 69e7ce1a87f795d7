"""One pass over the bars: what an account holds, pays and is worth. :mod:`trading.simulator.rules` says what is meant.

Every switch that is off is None. Numba compiles the pass for each combination that is used and leaves out the branches
of a None, so that what is off costs nothing. All compiled code is in this file: Numba's cache looks at no other.

Order of events in a bar: what is held pays funding and interest at the open; an account below its margin is closed;
orders are filled at the open; stops; the margin at the worst prices; take-profits; the close is marked.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A whole position is held to within a rounding error; with a band of zero that is not drift to trade on. Nor is a
# quotient that misses a whole number of lots or ticks by as much another number of them.
ROUNDING = 1e-12

# Shares that add up to a whole do so within a rounding error.
WHOLE = 1.0 + 1e-9
_CHUNK, _BLOCK = 512, 32

# What a fill was made for.
ORDER, STOP, TAKE_PROFIT, LIQUIDATION = range(4)
# Columns of `fills`: whole numbers are exact in a float.
BAR, ASSET, REASON, PRICE, UNITS, HELD, FEE, SPREAD, IMPACT, DECIDED = range(10)
# Entries of `totals`.
(
    TOTAL_FEE,
    TOTAL_SPREAD,
    TOTAL_IMPACT,
    TOTAL_FUNDING,
    TOTAL_BORROW,
    SHORTFALL,
    NOTIONAL,
    TURNOVER,
    FILLS,
    RETURNS,
    SQUARES,
    EXPOSURE,
    DRAWDOWN,
    UNDER_WATER,
    LAST,
    RUIN,
) = range(16)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)  # type: ignore[misc,unused-ignore]
def _fill(
    bar: int,
    asset: int,
    quantity: float,
    quote: float,
    reason: int,
    decided: int,
    worth: float,
    cash: float,
    units: Array,
    entry: Array,
    best: Array,
    used: Array,
    volume: float,
    shift: float,
    fees: tuple[float, float],
    market: Any,
    lots: Any,
    tiers: Any,
    extra_fee: float,
    by_bar: Array,
    totals: Array,
    fills: Array,
    keep: Any,
) -> float:
    """Trade a signed quantity at a quote: books the fill and returns the cash that is left."""
    size = abs(quantity)
    side = 1.0 if quantity > 0.0 else -1.0
    spread, impact = shift, 0.0
    maker = reason == TAKE_PROFIT and decided == bar  # what was left of one goes to the market, bars later
    if market is not None:
        used[asset] += size
        _, coefficient, spread_per_volatility, volatility = market
        if coefficient > 0.0 or spread_per_volatility > 0.0:
            spread += 0.5 * spread_per_volatility * volatility[bar, asset]
            impact = coefficient * volatility[bar, asset] * np.sqrt(size / volume)
    price = quote
    if not maker:
        price = quote * (1.0 + side * (spread + impact))
    if lots is not None:
        tick = lots[1]
        if tick > 0.0:
            steps = price / tick
            price = (np.ceil(steps - ROUNDING * steps) if quantity > 0.0 else np.floor(steps + ROUNDING * steps)) * tick
    price = max(price, 0.0)
    rate = fees[0] if maker else fees[1]
    if tiers is not None:
        # by_bar[bar] is what was filled before this bar, by_bar is cumulative.
        recent = by_bar[bar] - by_bar[tiers[0][bar]]
        for tier in range(len(tiers[1])):
            if recent >= tiers[1][tier]:
                rate = tiers[2][tier] if maker else tiers[3][tier]
    notional = size * price
    fee = notional * (rate + extra_fee)
    cash -= quantity * price + fee
    off = size * abs(price - quote)
    impact_cost = 0.0 if maker else min(size * quote * impact, off)
    totals[TOTAL_FEE] += fee
    totals[TOTAL_SPREAD] += off - impact_cost
    totals[TOTAL_IMPACT] += impact_cost
    totals[NOTIONAL] += notional
    totals[TURNOVER] += notional / worth
    if tiers is not None:
        by_bar[bar + 1] += notional
    if keep is not None:
        row = int(totals[FILLS])
        fills[row, BAR] = bar
        fills[row, ASSET] = asset
        fills[row, REASON] = reason
        fills[row, PRICE] = price
        fills[row, UNITS] = quantity
        fills[row, FEE] = fee
        fills[row, SPREAD] = off - impact_cost
        fills[row, IMPACT] = impact_cost
        fills[row, HELD] = units[asset] + quantity
        fills[row, DECIDED] = decided
    totals[FILLS] += 1.0
    before = units[asset]
    after = before + quantity
    if before * quantity >= 0.0:
        entry[asset] = (abs(before) * entry[asset] + size * price) / (abs(before) + size)
        if before == 0.0:
            best[asset] = entry[asset]
    elif before * after < 0.0:
        entry[asset] = price
        best[asset] = price
    units[asset] = after
    return cash


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def _room(asset: int, wanted: float, volume: float, used: Array, market: Any, lots: Any) -> float:
    """How much of a wanted quantity this bar can still fill; signed."""
    size = abs(wanted)
    if market is not None:
        size = min(size, max(market[0] * volume - used[asset], 0.0))
        if lots is not None and size < abs(wanted):
            size = _whole_lots(size, lots[0])
    return float(size) if wanted > 0.0 else -float(size)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def _whole_lots(size: float, lot: float) -> float:
    """The largest whole number of lots within a size."""
    if lot <= 0.0:
        return size
    steps = size / lot
    return float(np.floor(steps + ROUNDING * steps) * lot)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def follow_targets(
    prices: tuple[Array, Array, Array, Array, Array],
    target: Array,
    shift: float,
    fees: tuple[float, float],
    band: float,
    initial: float,
    latency: int,
    compound: bool,
    single: Any,
    market: Any,
    stops: Any,
    lots: Any,
    margin: Any,
    carry: Any,
    tiers: Any,
    keep: Any,
) -> tuple[Array, Array, Array]:
    """Kernel of :func:`trading.simulator.simulate`.

    Parameters
    ----------
    prices
        Open, high, low, close and volume, each of shape (bars, assets). An asset without a bar has a volume of zero
        and the last close for a price.
    target
        Shape (bars, assets), in multiples of equity: leverage is in it.
    shift, fees, band, initial, latency, compound
        Half the spread and slippage; a maker's and a taker's fee; rebalance band; equity; bars; see ``Rules``.
    single
        Of one asset the five prices and the target once more, of shape (bars,); None of several.
    market
        Participation, impact, spread per volatility, and volatility known at the close before: shape (bars, assets).
    stops
        Loss, profit, trailing.
    lots
        Lot, tick, least notional.
    margin
        Maintenance, fee of a liquidation.
    carry
        Funding rates, shape (bars, assets), and borrow rates for the time since the bar before, shape (bars,).
    tiers
        First bar of the 30 days before each bar; volumes, makers' and takers' fees of tiers.
    keep
        True to keep what happened in each bar; None in a sweep, where only totals count.

    Returns
    -------
    tuple of arrays
        ``totals``; then, empty unless kept, ``equity`` (bars,) and ``fills`` (fills, 10).
    """
    open_, high, low, close, volume = prices
    bars = open_.shape[0]
    assets = 1 if single is not None else open_.shape[1]
    totals = np.zeros(16)
    totals[RUIN] = -1.0
    # Equity (of all closes, if kept) and gross exposure at the latest closes, measured some hundred at a time.
    recent, gross = np.empty(bars if keep is not None else _CHUNK), np.empty(_CHUNK)
    waiting = 0
    road = np.zeros(4)  # equity before, peak, trough since, bars below it
    road[0] = road[1] = road[2] = initial
    fills = np.empty((bars // 16 + 64 + 5 * assets if keep is not None else 0, 10))
    by_bar = np.zeros(bars + 1 if tiers is not None else 0)
    units, entry, best, used = np.zeros(assets), np.zeros(assets), np.zeros(assets), np.zeros(assets)
    pending, previous = np.zeros(assets), np.zeros(assets)
    reason, decided = np.zeros(assets, np.int64), np.zeros(assets, np.int64)
    for asset in range(assets):
        decided[asset] = -1 - latency
    halted = np.zeros(assets, np.bool_)
    # Whether holdings had drifted out of their band at each of the latest closes; the oldest is what an order knew.
    drifted = np.zeros((latency + 1, assets), np.bool_)
    slot = 1 if latency > 0 else 0
    cash = worth = initial
    bar = 0
    if keep is not None:
        recent[0] = initial
    # Where nothing but prices can move equity, bars are passed by at once.
    passable = single is not None and margin is None and carry is None and tiers is None
    passable = passable and (latency == 0 or band == np.inf)
    if stops is not None:
        passable = passable and stops[2] == np.inf
    ready = False
    late = np.uint64(1 + latency)
    if single is not None:
        opens, highs, lows, closes, _, targets = single
    while bar + 1 < bars:
        bar += 1
        if single is not None and passable and ready and bar > latency and targets[bar - 1 - latency] == previous[0]:
            # Written out here: a function would count the references of each array, which takes longer than the bars.
            owned, wanted = units[0], previous[0]
            size, side = abs(owned), 1.0 if owned > 0.0 else -1.0
            floor, ceiling = -np.inf, np.inf
            if stops is not None and owned != 0.0:
                stop, take = entry[0] * (1.0 - side * stops[0]), entry[0] * (1.0 + side * stops[1])
                floor, ceiling = (stop, take) if owned > 0.0 else (take, stop)
            event = False
            while bar < bars and not event:
                # A block is read to its end whatever happens in it: the compiler then looks at several bars at once.
                # Unsigned, an index needs no check for being negative.
                block = np.int64(min(bars - bar, _CHUNK - waiting, _BLOCK))
                first, mark = np.uint64(bar), np.uint64(waiting)
                passed = drift = block
                for step in range(np.uint64(block)):
                    at = first + step
                    marked = cash + owned * closes[at]
                    passes = (targets[at - late] == wanted) & (cash + owned * opens[at] > 0.0) & (marked > 0.0)
                    if stops is not None:
                        passes &= (lows[at] > floor) & (highs[at] < ceiling)
                    passed = min(passed, block if passes else np.int64(step))
                    if band < np.inf:
                        whole = marked if compound else initial
                        drifts = abs(owned * closes[at] - targets[at] * whole) > (band + ROUNDING) * whole
                        drift = min(drift, np.int64(step) if drifts else block)
                if drift < passed:
                    drifted[0, 0] = True
                    passed = drift + 1
                event = bool(passed < block or drifted[0, 0])
                into = first if keep is not None else mark
                for step in range(np.uint64(passed)):
                    recent[into + step] = cash + owned * closes[first + step]
                    gross[mark + step] = size * closes[first + step]
                if passed > 0:
                    worth = recent[into + np.uint64(passed - 1)]
                bar += int(passed)
                waiting += int(passed)
                if waiting == _CHUNK:
                    _measure(recent, bar - waiting if keep is not None else 0, gross, waiting, road, totals)
                    waiting = 0
            if bar == bars:
                break
        if keep is not None and totals[FILLS] + 5 * assets > len(fills):
            fills = _longer(fills)
        if tiers is not None:
            by_bar[bar + 1] = by_bar[bar]
        if carry is not None:
            cash = _pay_carry(bar, assets, cash, units, open_, carry, totals)
        worth = cash
        for asset in range(assets):
            worth += units[asset] * open_[bar, asset]
        if market is not None:
            for asset in range(assets):
                used[asset] = 0.0
        liquidated = False
        if margin is not None and worth > 0.0:
            owned = 0.0
            for asset in range(assets):
                owned += abs(units[asset]) * open_[bar, asset]
            if worth < margin[0] * owned:
                liquidated = True
                cash = _liquidate(
                    bar, assets, 0.0, worth, cash, units, entry, best, used, prices, shift, fees, market, lots, tiers,
                    margin, by_bar, totals, fills, keep, pending, halted,
                )  # fmt: skip
                worth = cash
                for asset in range(assets):
                    worth += units[asset] * open_[bar, asset]
        if worth <= 0.0:
            break
        base = worth if compound else initial
        sized = worth
        known = bar - 1 - latency
        for asset in range(assets):
            # Whether to trade was decided at a close before; only the size waits for the open.
            if known >= 0:
                wanted = target[known, asset]
                if wanted != previous[asset]:
                    previous[asset] = wanted
                    halted[asset] = liquidated
                    ordered = not liquidated
                else:
                    ordered = (
                        not halted[asset]
                        and pending[asset] == 0.0
                        and known > decided[asset] + latency
                        and drifted[slot, asset]
                    )
                if ordered:
                    quantity = wanted * base / open_[bar, asset] - units[asset]
                    if lots is not None:
                        size = _whole_lots(abs(quantity), lots[0])
                        if size * open_[bar, asset] < lots[2]:
                            size = 0.0
                        quantity = size if quantity > 0.0 else -size
                    pending[asset] = quantity
                    reason[asset] = ORDER
                    decided[asset] = known
            if pending[asset] != 0.0 and volume[bar, asset] > 0.0:
                quantity = _room(asset, pending[asset], volume[bar, asset], used, market, lots)
                if quantity != 0.0:
                    cash = _fill(
                        bar, asset, quantity, open_[bar, asset], reason[asset], decided[asset], sized, cash, units,
                        entry, best, used, volume[bar, asset], shift, fees, market, lots, tiers, 0.0, by_bar, totals,
                        fills, keep,
                    )  # fmt: skip
                    pending[asset] -= quantity
        if stops is not None:
            for asset in range(assets):
                if units[asset] != 0.0 and volume[bar, asset] > 0.0 and not (halted[asset] and pending[asset] != 0.0):
                    long = units[asset] > 0.0
                    side = 1.0 if long else -1.0
                    adverse = low[bar, asset] if long else high[bar, asset]
                    level = side * max(
                        side * entry[asset] * (1.0 - side * stops[0]), side * best[asset] * (1.0 - side * stops[2])
                    )
                    if side * (adverse - level) <= 0.0:
                        quote = side * min(side * open_[bar, asset], side * level)
                        pending[asset] = -units[asset]
                        reason[asset], decided[asset], halted[asset] = STOP, bar, True
                        quantity = _room(asset, pending[asset], volume[bar, asset], used, market, lots)
                        if quantity != 0.0:
                            cash = _fill(
                                bar, asset, quantity, quote, reason[asset], bar, sized, cash, units, entry, best,
                                used, volume[bar, asset], shift, fees, market, lots, tiers, 0.0, by_bar, totals,
                                fills, keep,
                            )  # fmt: skip
                            pending[asset] -= quantity
        if margin is not None:
            reach = _margin_reach(bar, assets, cash, units, prices, margin[0])
            if reach <= 1.0:
                cash = _liquidate(
                    bar, assets, reach, sized, cash, units, entry, best, used, prices, shift, fees, market, lots,
                    tiers, margin, by_bar, totals, fills, keep, pending, halted,
                )  # fmt: skip
        if stops is not None and stops[1] < np.inf:
            for asset in range(assets):
                if units[asset] != 0.0 and volume[bar, asset] > 0.0 and not (halted[asset] and pending[asset] != 0.0):
                    side = 1.0 if units[asset] > 0.0 else -1.0
                    favourable = high[bar, asset] if units[asset] > 0.0 else low[bar, asset]
                    level = entry[asset] * (1.0 + side * stops[1])
                    if side * (favourable - level) >= 0.0:
                        quote = side * max(side * open_[bar, asset], side * level)
                        pending[asset] = -units[asset]
                        reason[asset], decided[asset], halted[asset] = TAKE_PROFIT, bar, True
                        quantity = _room(asset, pending[asset], volume[bar, asset], used, market, lots)
                        if quantity != 0.0:
                            cash = _fill(
                                bar, asset, quantity, quote, reason[asset], bar, sized, cash, units, entry, best,
                                used, volume[bar, asset], shift, fees, market, lots, tiers, 0.0, by_bar, totals,
                                fills, keep,
                            )  # fmt: skip
                            pending[asset] -= quantity
        worth = cash
        for asset in range(assets):
            worth += units[asset] * close[bar, asset]
        if worth <= 0.0:
            break
        held = 0.0
        for asset in range(assets):
            value = units[asset] * close[bar, asset]
            held += abs(value)
            if band < np.inf:
                whole = worth if compound else initial
                drifted[slot, asset] = abs(value - target[bar, asset] * whole) > (band + ROUNDING) * whole
            if stops is not None and stops[2] < np.inf:
                if units[asset] > 0.0:
                    best[asset] = max(best[asset], high[bar, asset])
                elif units[asset] < 0.0:
                    best[asset] = min(best[asset], low[bar, asset])
        if latency > 0:
            slot = slot + 1 if slot < latency else 0
        recent[bar if keep is not None else waiting] = worth
        gross[waiting] = held
        waiting += 1
        if waiting == _CHUNK:
            _measure(recent, bar + 1 - waiting if keep is not None else 0, gross, waiting, road, totals)
            waiting = 0
        ready = pending[0] == 0.0 and not drifted[0, 0]
    done = bar if worth <= 0.0 else bars
    _measure(recent, done - waiting if keep is not None else 0, gross, waiting, road, totals)
    totals[LAST] = worth
    if worth <= 0.0:
        # Ruin is final: nobody owes what was lost beyond everything, and nothing is held or earned again.
        totals[SHORTFALL] = -worth
        totals[LAST] = 0.0
        totals[RUIN] = bar
        totals[RETURNS] += -1.0
        totals[SQUARES] += 1.0
        totals[UNDER_WATER] = max(totals[UNDER_WATER], road[3] + bars - bar)
        totals[DRAWDOWN] = 1.0
        if keep is not None:
            for after in range(bar, bars):
                recent[after] = 0.0
    totals[DRAWDOWN] = max(totals[DRAWDOWN], 1.0 - road[2] / road[1])
    return totals, recent, fills[: int(totals[FILLS])] if keep is not None else fills


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def _longer(fills: Array) -> Array:
    """The same rows with room for as many again, copied by hand: a slice would be compiled with all its error texts."""
    rows, columns = fills.shape
    longer = np.empty((2 * rows, columns))
    for row in range(rows):
        for column in range(columns):
            longer[row, column] = fills[row, column]
    return longer


# Sums in any order and no thought of NaN, which no equity is: the compiler may then look at several closes at once. No
# decision depends on them.
@njit(  # type: ignore[misc,unused-ignore]
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nnan", "nsz"}
)
def _measure(equity: Array, start: int, gross: Array, count: int, road: Array, totals: Array) -> None:
    """Add the returns, exposures and drawdowns of ``count`` closes from ``start`` on to the totals."""
    if count == 0:
        return
    begin = np.uint64(start)
    last = count - 1
    change = (equity[start] - road[0]) / road[0]
    returns, squares, exposure = change, change * change, gross[last] / equity[start + last]
    for at in range(np.uint64(last)):
        inverse = 1.0 / equity[begin + at]
        change = (equity[begin + at + np.uint64(1)] - equity[begin + at]) * inverse
        returns += change
        squares += change * change
        exposure += gross[at] * inverse
    totals[RETURNS] += returns
    totals[SQUARES] += squares
    totals[EXPOSURE] += exposure
    peak, trough, stretch, longest, deepest = road[1], road[2], road[3], totals[UNDER_WATER], totals[DRAWDOWN]
    done = 0
    while done < count:
        # Most blocks have no new peak, and one look at all of their closes is enough.
        size = min(count - done, _BLOCK)
        first = begin + np.uint64(done)
        peaks, lowest = 0, np.inf
        for at in range(np.uint64(size)):
            worth = equity[first + at]
            peaks += worth >= peak
            lowest = min(lowest, worth)
        if peaks == 0:
            trough = min(trough, lowest)
            stretch += size
        else:
            for at in range(np.uint64(size)):
                worth = equity[first + at]
                if worth >= peak:
                    if trough < peak:
                        deepest = max(deepest, 1.0 - trough / peak)
                        longest = max(longest, stretch)
                    peak = trough = worth
                    stretch = 0.0
                else:
                    trough = min(trough, worth)
                    stretch += 1.0
        done += size
    road[0], road[1], road[2], road[3] = equity[start + last], peak, trough, stretch
    totals[UNDER_WATER], totals[DRAWDOWN] = max(longest, stretch), deepest


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def _pay_carry(bar: int, assets: int, cash: float, units: Array, open_: Array, carry: Any, totals: Array) -> float:
    """Funding on what is held when the bar opens; then interest on what is owed since the bar before."""
    funding, borrow = carry
    for asset in range(assets):
        paid = units[asset] * open_[bar, asset] * funding[bar, asset]
        cash -= paid
        totals[TOTAL_FUNDING] += paid
    worth, long, short = cash, 0.0, 0.0
    for asset in range(assets):
        value = units[asset] * open_[bar, asset]
        worth += value
        long += max(value, 0.0)
        short += max(-value, 0.0)
    paid = borrow[bar] * (short + max(long - worth, 0.0))
    totals[TOTAL_BORROW] += paid
    return float(cash - paid)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def _margin_reach(bar: int, assets: int, cash: float, units: Array, prices: Any, maintenance: float) -> float:
    """How far along the way from the open to the worst prices the margin is reached; above 1 if it is not.

    Equity and notional are linear along that way, so there is one such point.
    """
    open_, high, low = prices[0], prices[1], prices[2]
    start = end = cash
    held = False
    for asset in range(assets):
        owned = units[asset]
        if owned != 0.0:
            held = True
            worst = low[bar, asset] if owned > 0.0 else high[bar, asset]
            start += (owned - maintenance * abs(owned)) * open_[bar, asset]
            end += (owned - maintenance * abs(owned)) * worst
    if not held or end >= 0.0:
        return 2.0
    return float(start / (start - end)) if start > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def _liquidate(
    bar: int,
    assets: int,
    reach: float,
    worth: float,
    cash: float,
    units: Array,
    entry: Array,
    best: Array,
    used: Array,
    prices: Any,
    shift: float,
    fees: Any,
    market: Any,
    lots: Any,
    tiers: Any,
    margin: Any,
    by_bar: Array,
    totals: Array,
    fills: Array,
    keep: Any,
    pending: Array,
    halted: Array,
) -> float:
    """Close everything that trades, ``reach`` of the way from the open to the worst prices; nobody waits for volume."""
    open_, high, low, _, volume = prices
    for asset in range(assets):
        pending[asset] = 0.0
        halted[asset] = True
        owned = units[asset]
        if owned != 0.0 and volume[bar, asset] > 0.0:
            worst = low[bar, asset] if owned > 0.0 else high[bar, asset]
            quote = open_[bar, asset] + reach * (worst - open_[bar, asset])
            cash = _fill(
                bar, asset, -owned, quote, LIQUIDATION, bar, worth, cash, units, entry, best, used,
                volume[bar, asset], shift, fees, market, lots, tiers, margin[1], by_bar, totals, fills, keep,
            )  # fmt: skip
    return cash


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def unusable(open_: Array, high: Any, low: Any, close: Array, volume: Array) -> bool:
    """Whether any bar breaks a rule: prices finite and above zero, within high and low, volume not negative."""
    broken = 0
    for bar in range(len(open_)):
        first, last = open_[bar], close[bar]
        fine = (volume[bar] >= 0.0) & (volume[bar] < np.inf)
        if high is None:
            fine &= (first > 0.0) & (first < np.inf) & (last > 0.0) & (last < np.inf)
        else:
            # What lies between two prices that are finite and above zero is so itself; of NaN nothing is true.
            fine &= (low[bar] > 0.0) & (low[bar] <= first) & (low[bar] <= last)
            fine &= (high[bar] < np.inf) & (high[bar] >= first) & (high[bar] >= last)
        broken += not fine
    return broken > 0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc,unused-ignore]
def beyond_equity(target: Array) -> bool:
    """Whether the sizes of any row are NaN or add up to more than the whole."""
    bars, assets = target.shape
    beyond = 0
    if assets == 1:
        for bar in range(bars):
            beyond += not abs(target[bar, 0]) <= WHOLE
        return beyond > 0
    for bar in range(bars):
        gross = 0.0
        for asset in range(assets):
            gross += abs(target[bar, asset])
        beyond += not gross <= WHOLE
    return beyond > 0
