"""What the kernel reads: bars of one or more assets as arrays on a shared clock, after every claim is checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.costs import Costs
from trading.errors import BarError, EngineError, PositionError
from trading.instrument import YEAR
from trading.simulator.kernel import WHOLE, beyond_equity, unusable
from trading.simulator.rules import Rules

Array = NDArray[np.float64]
Bars = pd.DataFrame | Mapping[str, pd.DataFrame]

_TIER_WINDOW = pd.Timedelta(days=30)


@dataclass(frozen=True, eq=False)
class Market:
    """Bars that the kernel can walk through.

    Attributes
    ----------
    index : DatetimeIndex
        Open stamps of the n bars, of all assets together.
    symbols : tuple of str
        The assets; one empty name for a single frame of bars.
    prices : tuple of arrays
        Open, high, low, close and volume, each of shape (n, assets).
    funding : array of shape (n, assets) or None
        Rates that are paid when a bar opens; None where they are no cost.
    ranges : bool
        Whether high and low were checked: stops and margins need them.
    """

    index: pd.DatetimeIndex
    symbols: tuple[str, ...]
    prices: tuple[Array, Array, Array, Array, Array]
    funding: Array | None
    ranges: bool
    _volatility: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, bars: Bars, positions: pd.Series | pd.DataFrame, costs: Costs, rules: Rules) -> "Market":
        """Bars from the first to the last position.

        Raises
        ------
        PositionError
            If positions are empty, at stamps that are no bars, absent at a bar between, or of other assets.
        BarError
            If stamps have no time zone or are out of order, or a price that is needed is not finite and above zero.
        """
        ranges = needs_ranges(rules)
        if isinstance(bars, pd.DataFrame):
            if isinstance(positions, pd.DataFrame):
                raise _refuse(
                    "positions of several assets with the bars of one", "a Series with a frame of bars", "fit them"
                )
            covered = _covered(bars, positions)
            prices, funding = _prices(covered, ranges), _funding(covered) if costs.funding else None
            return cls(pd.DatetimeIndex(covered.index), ("",), prices, funding, ranges)
        if isinstance(positions, pd.Series):
            raise _refuse("positions of one asset with the bars of several", "one column for each asset", "fit them")
        if set(bars) != set(positions.columns) or not bars:
            raise _refuse(
                f"bars of {sorted(bars)} and positions of {sorted(map(str, positions.columns))}",
                "the same assets, at least one",
                "give each asset its bars and a column of positions",
            )
        for frame in bars.values():
            _check_index(frame.index)
        stamps = [pd.DatetimeIndex(frame.index).as_unit("ns").asi8 for frame in bars.values()]
        clock = pd.DatetimeIndex(np.unique(np.concatenate(stamps)))
        span = _covered(pd.DataFrame(index=clock.tz_localize("UTC")), positions).index
        shared = {name: frame.loc[span[0] : span[-1]] for name, frame in bars.items()}
        missing = [name for name, frame in shared.items() if not len(frame)]
        if missing:
            raise BarError(
                f"no bars of {missing[0]}",
                where=f"{span[0]} to {span[-1]}",
                rule="each asset has a bar between the first and the last position",
                remedy="leave the asset out",
            )
        prices, funding = _joined(pd.DatetimeIndex(span), list(shared.values()), ranges, costs.funding)
        return cls(pd.DatetimeIndex(span), tuple(bars), prices, funding, ranges)

    def serves(self, costs: Costs, rules: Rules) -> bool:
        """Whether everything that these costs and rules look at was read and checked."""
        return (self.ranges or not needs_ranges(rules)) and (self.funding is not None or not costs.funding)

    def targets(self, positions: pd.Series | pd.DataFrame, rules: Rules) -> Array:
        """Positions as multiples of equity, of shape (n, assets).

        Raises
        ------
        PositionError
            If one is NaN or beyond [-1, 1] (all assets together: beyond 1), or they are over other stamps.
        """
        if not _same(positions.index, self.index):
            raise _refuse(
                f"positions from {positions.index[0]} to {positions.index[-1]}",
                f"the stamps of the market, {self.index[0]} to {self.index[-1]}",
                "say what is wanted where nothing was decided: 0 is flat",
            )
        wanted = positions if isinstance(positions, pd.Series) else positions[list(self.symbols)]
        values = wanted.to_numpy(dtype=np.float64).reshape(len(self.index), -1)
        if beyond_equity(values):
            wrong = np.asarray(~(np.abs(values).sum(axis=1) <= WHOLE))
            at = int(wrong.argmax())
            raise _refuse(
                f"{wrong.sum()} position(s) NaN or beyond the whole equity",
                "positions are fractions of equity; their sizes add up to at most 1",
                "decide 0 where there is no forecast, and scale the rest; more than equity is what leverage is for",
                f"first at {self.index[at]}: {values[at, 0] if values.shape[1] == 1 else values[at].tolist()}",
            )
        return _frozen(values if rules.leverage == 1.0 else values * rules.leverage)

    def volatility(self, bars: int) -> Array:
        """Root mean square of the last log returns from close to close, known at the close before each bar.

        Over fewer than ``bars`` where there are no more; the first bar's return is from its open.
        """
        if bars not in self._volatility:
            open_, _, _, close, _ = self.prices
            squares = np.log(close / np.concatenate([open_[:1], close[:-1]])) ** 2
            known = pd.DataFrame(squares).rolling(bars, min_periods=1).mean().clip(lower=0.0).shift(1, fill_value=0.0)
            self._volatility[bars] = np.ascontiguousarray(np.sqrt(known.to_numpy()))
        return self._volatility[bars]

    def carry(self, costs: Costs) -> tuple[Array, Array] | None:
        """Funding rates, and what borrowing costs for the time since the bar before; None where nothing is charged."""
        if not costs.borrow and not costs.funding:
            return None
        since = np.diff(self.index.as_unit("ns").asi8, prepend=self.index[:1].as_unit("ns").asi8) / YEAR.value
        funding = _frozen(np.zeros(self.prices[0].shape)) if self.funding is None else self.funding
        return funding, np.asarray(costs.borrow * since, dtype=np.float64)

    def tiers(self, costs: Costs) -> tuple[NDArray[np.int64], Array, Array, Array] | None:
        """First bar of the 30 days before each bar, and the tiers' volumes and fees; None without tiers."""
        if not costs.tiers:
            return None
        first = self.index.searchsorted(self.index - _TIER_WINDOW, side="right")
        volumes, makers, takers = (
            np.array([getattr(tier, name) for tier in costs.tiers], dtype=np.float64)
            for name in ("volume", "maker_bps", "taker_bps")
        )
        return np.asarray(first, dtype=np.int64), volumes, makers * 1e-4, takers * 1e-4


def _refuse(what: str, rule: str, remedy: str, where: object = "") -> PositionError:
    return PositionError(what, where=str(where), rule=rule, remedy=remedy)


def _check_index(index: pd.Index) -> None:
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        kind = "without a time zone" if isinstance(index, pd.DatetimeIndex) else f"of type {index.dtype}"
        raise BarError(f"stamps {kind}", rule="open stamps of bars, in UTC", remedy='use tz_localize("UTC")')
    if not (index.is_monotonic_increasing and index.is_unique):
        raise BarError("bars out of order", rule="stamps increase strictly", remedy="sort and deduplicate the bars")


def _same(first: pd.Index, second: pd.Index) -> bool:
    """Whether stamps are the same moments, in whatever unit they are counted."""
    if first is second or first.equals(second):
        return True
    both = isinstance(first, pd.DatetimeIndex) and isinstance(second, pd.DatetimeIndex)
    return both and first.as_unit("ns").equals(second.as_unit("ns"))  # type: ignore[attr-defined]


def _covered(bars: pd.DataFrame, positions: pd.Series | pd.DataFrame) -> pd.DataFrame:
    """Bars from the first to the last position."""
    _check_index(bars.index)
    if not len(positions):
        raise _refuse("no positions", "at least one target position", "simulate a range with bars in it")
    if _same(positions.index, bars.index):
        return bars
    unknown = ~positions.index.isin(bars.index)
    if unknown.any():
        raise _refuse(
            f"{unknown.sum()} position(s) at stamps that are no bar",
            "a position is decided at the close of a bar",
            "drop these rows, or give the bars they were decided on",
            f"first at {positions.index[int(unknown.argmax())]}",
        )
    covered = bars.loc[positions.index[0] : positions.index[-1]]
    if not _same(covered.index, positions.index):
        raise _refuse(
            f"{len(covered)} bars but {len(positions)} positions between {positions.index[0]} and "
            f"{positions.index[-1]}",
            "one position for each bar, in time order",
            "say what is wanted where nothing was decided: 0 is flat",
        )
    return covered


def _frozen(values: Array) -> Array:
    """Contiguous read-only values: pandas may hand out either kind, and the kernel is compiled for one."""
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values


def needs_ranges(rules: Rules) -> bool:
    """Whether what happens inside a bar matters."""
    return rules.stops is not None or rules.margin is not None


def _prices(bars: pd.DataFrame, ranges: bool) -> tuple[Array, Array, Array, Array, Array]:
    """The five columns, of shape (n, 1); high and low are the open where no rule looks at them."""
    needed = ["open", "high", "low", "close"] if ranges else ["open", "close"]
    if missing := [name for name in (*needed, "volume") if name not in bars]:
        raise BarError(f"no column {missing[0]}", rule="bars have prices and a volume", remedy="add it")
    columns = {name: _frozen(bars[name].to_numpy(dtype=np.float64)) for name in (*needed, "volume")}
    ordered = (columns["open"], columns.get("high"), columns.get("low"), columns["close"], columns["volume"])
    if unusable(*ordered):
        _refuse_bars(bars, needed)
    first, second = columns.get("high", columns["open"]), columns.get("low", columns["open"])
    ordered = (columns["open"], first, second, columns["close"], columns["volume"])
    return tuple(_frozen(each[:, None]) for each in ordered)  # type: ignore[return-value]


def _refuse_bars(bars: pd.DataFrame, needed: list[str]) -> None:
    """Name the first bar that breaks a rule."""
    prices = bars[needed].to_numpy(dtype=np.float64)
    volume = bars["volume"].to_numpy(dtype=np.float64)
    wrong = np.asarray(~((prices > 0.0) & (prices < np.inf)).all(axis=1))
    if wrong.any():
        raise _unusable(bars, wrong, f"{', '.join(needed)} are finite and above zero", "price")
    wrong = ~((volume >= 0.0) & (volume < np.inf))
    if wrong.any():
        raise _unusable(bars, wrong, "volume is finite and not negative", "volume")
    wrong = (prices.max(axis=1) > bars["high"].to_numpy()) | (prices.min(axis=1) < bars["low"].to_numpy())
    raise _unusable(bars, wrong, "open and close lie between low and high", "range of prices")


def _unusable(bars: pd.DataFrame, wrong: NDArray[np.bool_], rule: str, what: str) -> EngineError:
    return BarError(
        f"{wrong.sum()} bar(s) without a usable {what}",
        where=f"first at {bars.index[int(wrong.argmax())]}",
        rule=rule,
        remedy="validate the bars first",
    )


def _funding(bars: pd.DataFrame) -> Array:
    """Rates of shape (n, 1); a bar without one pays nothing."""
    if "funding_rate" not in bars:
        raise BarError(
            "no column funding_rate", rule="bars say their funding when it is a cost", remedy="add it, or switch it off"
        )
    rates = bars["funding_rate"].fillna(0.0).to_numpy(dtype=np.float64)
    if not np.isfinite(rates).all():
        raise _unusable(bars, ~np.isfinite(rates), "a funding rate is finite, or NaN for none", "funding rate")
    return _frozen(rates[:, None])


def _joined(
    clock: pd.DatetimeIndex, frames: list[pd.DataFrame], ranges: bool, funded: bool
) -> tuple[tuple[Array, Array, Array, Array, Array], Array | None]:
    """Prices and funding of several assets on a shared clock, of shape (n, assets).

    Without a bar, an asset keeps its last close (before its first bar: that bar's open), and trades nothing.
    """
    lines = [clock.get_indexer(frame.index) for frame in frames]
    own = [_prices(frame, ranges) for frame in frames]

    def on_clock(columns: list[Array], empty: float) -> Array:
        shared = np.full((len(clock), len(columns)), empty)
        for at, (line, values) in enumerate(zip(lines, columns, strict=True)):
            shared[line, at] = values[:, 0]
        return shared

    open_, high, low, close, volume = (on_clock([each[kind] for each in own], np.nan) for kind in range(5))
    idle = np.isnan(close)
    close = pd.DataFrame(close).ffill().fillna(pd.DataFrame(open_).bfill()).to_numpy()
    open_, high, low = (np.where(idle, close, each) for each in (open_, high, low))
    prices = (_frozen(open_), _frozen(high), _frozen(low), _frozen(close), _frozen(np.where(idle, 0.0, volume)))
    funding = _frozen(on_clock([_funding(frame) for frame in frames], 0.0)) if funded else None
    return prices, funding
