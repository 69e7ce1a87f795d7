"""Other futures: the same bars up to a moment, other ones after it.

Three of them, because each is blind where another sees:

mirrored
    What rose falls, twice as far, or as far as is still believed; what was traded much is traded little. The sign of
    every return over every horizon turns round, so an answer that is only yes or no changes as well.
shuffled
    Bars come in another order, calmer, after a shock; some are missing, perhaps the very next one. Finds what looks at
    the order of bars, at their existence, or only at rare events, and what is blind to a mirror, such as correlations.
removed
    Nothing follows. Finds what depends on how many bars there are, on the last one, or on whether there is a next.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.audit.known import Times
from pipelines.features.external import NOT_BEFORE
from trading.bars import infer_timeframe

Array = NDArray[np.float64]
Column = Array | pd.api.extensions.ExtensionArray
World = str

WORLDS: tuple[World, ...] = ("mirrored", "shuffled", "removed")
PRICES = ["open", "high", "low", "close"]
# Counted from nothing in each bar: a bar that has only opened has none of it.
FLOWS = ("volume", "quote_volume", "trades", "taker_buy_volume")

_GAIN, _CALM = 2.0, 0.5
_SHOCK = 0.35
# No bar moves by more than this for the stretch: validation would not believe it (``validate.max_jump``), and what had
# begun in both worlds would be there in one of them only, as if its coming could not have been known.
_BELIEVED = 0.5
# No price becomes more than a thousand times another one: far enough, and still a price.
_FURTHEST = np.log(1000.0)
_MISSING, _NEXT_MISSING = 0.03, 0.5


@dataclass(frozen=True)
class Moment:
    """The end of what is known.

    Attributes
    ----------
    at
        Nanoseconds since 1970.
    opened
        Whether the open of a bar that has begun by then is known. Nothing else of an unfinished bar is.
    why
        What is special about it.
    """

    at: int
    opened: bool
    why: str = ""

    @property
    def time(self) -> pd.Timestamp:
        """Clock time, UTC."""
        return pd.Timestamp(self.at, unit="ns", tz="UTC")


def stamps_of(index: pd.Index) -> Times:
    """Stamps in ns; a stamp that is no time counts as later than all."""
    times = pd.DatetimeIndex(index).as_unit("ns")
    return np.where(times.isna(), np.iinfo(np.int64).max // 2, times.asi8)


@dataclass(frozen=True, eq=False)
class History:
    """Bars and whatever else a step reads, and their other futures.

    Parameters
    ----------
    bars
        Bars in time order, indexed by their openings. Rows that are no valid bars stay as they are or disappear.
    bar
        Length of a bar.
    context
        Frames by name that the step reads as well: bars of other symbols (open, high, low, close, on an index
        ``timestamp``), or series on the index ``published_at``.
    delay
        By name, how long after its publication a value may be used.
    """

    bars: pd.DataFrame
    bar: pd.Timedelta
    context: Mapping[str, pd.DataFrame] | None = None
    delay: Mapping[str, pd.Timedelta] = field(default_factory=dict)

    @cached_property
    def stamps(self) -> Times:
        """Opening of each bar, ns."""
        return stamps_of(self.bars.index)

    @cached_property
    def closes(self) -> Times:
        """Close of each bar, ns: when it is known."""
        return self.stamps + self.bar.as_unit("ns").value

    def other(self, moment: Moment, world: World, seed: int) -> "History":
        """Another future after a moment.

        Parameters
        ----------
        moment
            What became known by then stays as it is, bit for bit.
        world
            One of :data:`WORLDS`.
        seed
            Of what is drawn.
        """
        rng = np.random.default_rng([seed, moment.at // 1_000_000_000, WORLDS.index(world)])
        context = None
        if self.context is not None:
            context = {
                name: _other_bars(frame, stamps_of(frame.index), self._length(name), moment, world, rng)
                if _is_bars(frame)
                else _other_series(frame, self.publication(name), moment, world, rng)
                for name, frame in self.context.items()
            }
        bars = _other_bars(self.bars, self.stamps, self.bar, moment, world, rng)
        return History(bars, self.bar, context, self.delay)

    def part(self, first: int, last: int) -> "History":
        """Bars from one position to another, and all of the context."""
        return History(self.bars.iloc[first:last], self.bar, self.context, self.delay)

    def publication(self, name: str) -> Times:
        """Moments from which the rows of a context frame may be used, ns."""
        assert self.context is not None
        frame = self.context[name]
        wait = self._length(name) if _is_bars(frame) else self.delay.get(name, pd.Timedelta(0))
        known = stamps_of(frame.index) + wait.as_unit("ns").value
        if NOT_BEFORE not in frame:
            return known
        # What came late, or changes with time alone, is known from a moment of its own on.
        later = pd.DatetimeIndex(frame[NOT_BEFORE])
        return np.where(later.isna(), known, np.maximum(known, stamps_of(later)))

    def end(self) -> int:
        """Moment at which everything is known, ns."""
        closes = self.closes[pd.DatetimeIndex(self.bars.index).notna()]
        ends = [int(closes[-1])] if len(closes) else []
        ends += [int(known.max()) for name in self.context or {} if len(known := self.publication(name))]
        return int(max(ends, default=0))

    def _length(self, name: str) -> pd.Timedelta:
        assert self.context is not None
        index = pd.DatetimeIndex(self.context[name].index)
        return infer_timeframe(index) if len(index.unique()) > 1 else self.bar


def _is_bars(frame: pd.DataFrame) -> bool:
    return frame.index.name == "timestamp" and {*PRICES} <= {*frame.columns}


def _other_bars(
    bars: pd.DataFrame, stamps: Times, bar: pd.Timedelta, moment: Moment, world: World, rng: np.random.Generator
) -> pd.DataFrame:
    changed = stamps + bar.as_unit("ns").value > moment.at
    begun = changed & (stamps <= moment.at) & moment.opened
    if world == "removed":
        return _just_opened(bars, begun)[~changed | begun]
    later = np.flatnonzero(changed)
    columns: dict[str, Column] = {name: _other_values(bars[name], later, world, rng) for name in _others(bars)}
    prices = np.column_stack([bars[name].to_numpy(dtype=np.float64) for name in PRICES])
    usable = np.isfinite(prices).all(axis=1) & (prices > 0).all(axis=1)
    rows = later[usable[later]]
    if len(rows):
        before = np.flatnonzero(usable & ~changed)
        anchor = prices[before[-1], 3] if len(before) else prices[rows[0], 0]
        draw = _mirrored if world == "mirrored" else _shuffled
        moved, order = draw(prices[rows], float(anchor), _spread(prices[usable]), rng)
        kept = begun[rows]
        moved[kept, 0] = prices[rows[kept], 0]
        moved[:, 1], moved[:, 2] = moved.max(axis=1), moved.min(axis=1)
        columns |= _flows(bars, rows, rows[order], (moved / prices[rows]).mean(axis=1), world, rng)
        prices[rows] = moved
    columns |= {name: _like(prices[:, place], bars[name]) for place, name in enumerate(PRICES)}
    kept = np.ones(len(bars), dtype=bool)
    if world == "shuffled":
        kept = ~changed | begun | (rng.random(len(bars)) >= _MISSING)
        if rng.random() < _NEXT_MISSING and len(late := np.flatnonzero(changed & ~begun)) > 1:
            kept[late[0]] = False
    return pd.DataFrame({name: columns.get(name, bars[name].array)[kept] for name in bars.columns}, bars.index[kept])


def _others(bars: pd.DataFrame) -> list[str]:
    """Columns that are neither prices nor volumes, such as a funding rate."""
    return [name for name in bars.columns if name not in PRICES and name not in FLOWS]


def _spread(prices: Array) -> float:
    """Typical size of a bar's log return."""
    moves = np.abs(np.log(prices[:, 3] / prices[:, 0]))
    return float(np.clip(moves.mean() if len(moves) else 0.0, 1e-3, 0.1))


def _mirrored(prices: Array, anchor: float, spread: float, rng: np.random.Generator) -> tuple[Array, NDArray[np.intp]]:
    level = np.log(prices / anchor)
    largest = float(np.abs(level - np.append(0.0, level[:-1, 3])[:, None]).max())
    gain = float(np.clip(_BELIEVED / max(largest, 1e-9), 1.0, _GAIN))
    gain = min(gain, _FURTHEST / max(float(np.abs(level).max()), 1e-9))
    # A market that stands still has no mirror: a little noise moves it.
    noise = rng.normal(0.0, spread / 20, (len(level), 1))
    return anchor * np.exp(-gain * level + noise), np.arange(len(level))


def _shuffled(prices: Array, anchor: float, spread: float, rng: np.random.Generator) -> tuple[Array, NDArray[np.intp]]:
    order = rng.permutation(len(prices))
    before = np.append(anchor, prices[:-1, 3])
    moves = np.log(prices / before[:, None])[order] * _CALM + rng.normal(0.0, spread / 20, (len(prices), 1))
    moves[:2, 1:] += rng.choice([-1.0, 1.0]) * _SHOCK
    path = np.cumsum(moves[:, 3])
    level = moves + np.append(0.0, path[:-1])[:, None]
    level *= min(1.0, _FURTHEST / max(float(np.abs(level).max()), 1e-9))
    return anchor * np.exp(level), order


def _flows(
    bars: pd.DataFrame,
    rows: NDArray[np.intp],
    source: NDArray[np.intp],
    price: Array,
    world: World,
    rng: np.random.Generator,
) -> dict[str, Column]:
    """Other volumes, and what is counted with them at its ratio to them; ``price``: what prices were multiplied by."""
    if "volume" not in bars:
        return {}
    volume = bars["volume"].to_numpy(dtype=np.float64)
    positive = volume[np.isfinite(volume) & (volume > 0)]
    middle = float(np.median(positive)) if len(positive) else 1.0
    drawn = volume[source]
    if world == "mirrored":
        # Dividing by nothing: what was not traded at all is traded most.
        with np.errstate(divide="ignore"):
            drawn = np.clip(middle * (middle / drawn), middle / 1000, middle * 1000)
    drawn = drawn * np.exp(rng.normal(0.0, 0.3, len(rows)))
    if world == "shuffled":
        drawn[:2] = np.maximum(drawn[:2], middle) * 50
    ratio = np.divide(drawn, volume[rows], out=np.ones(len(rows)), where=volume[rows] > 0)
    factors = {"volume": None, "quote_volume": ratio * price, "trades": ratio, "taker_buy_volume": ratio}
    other = {}
    for name, factor in factors.items():
        if name in bars:
            values = bars[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
            values[rows] = drawn if factor is None else values[rows] * factor
            other[name] = _like(values, bars[name])
    return other


def _other_values(column: pd.Series, later: NDArray[np.intp], world: World, rng: np.random.Generator) -> Column:
    """Other values of a column of any type at some places."""
    if pd.api.types.is_bool_dtype(column.dtype):
        flags = column.copy()
        flags.iloc[later] = ~flags.iloc[later]
        return _array(flags)
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
        finite = values[np.isfinite(values)]
        middle, size = (float(np.median(finite)), float(finite.std())) if len(finite) else (0.0, 0.0)
        source, sign = (later, -1.0) if world == "mirrored" else (rng.permutation(later), 1.0)
        noise = rng.normal(0.0, (size or abs(middle) or 1.0) / 2, len(later))
        values[later] = middle + sign * (values[source] - middle) + noise
        return _like(values, column)
    mixed = column.copy()
    mixed.iloc[later] = column.iloc[rng.permutation(later)].array
    return _array(mixed)


def _other_series(
    frame: pd.DataFrame, known: Times, moment: Moment, world: World, rng: np.random.Generator
) -> pd.DataFrame:
    changed = known > moment.at
    if world == "removed":
        return frame[~changed]
    later = np.flatnonzero(changed)
    # Moments stay with their rows: one that was moved back would be known before.
    columns = {
        name: frame[name].array if name == NOT_BEFORE else _other_values(frame[name], later, world, rng)
        for name in frame.columns
    }
    other = pd.DataFrame(columns, frame.index)
    return other[~(changed & (rng.random(len(frame)) < _MISSING))] if world == "shuffled" else other


def _just_opened(bars: pd.DataFrame, begun: NDArray[np.bool_]) -> pd.DataFrame:
    """A bar of which only the open has happened."""
    if not begun.any():
        return bars
    other = bars.copy()
    for name in bars.columns:
        if name in PRICES:
            other[name] = bars[name].where(~begun, bars["open"])
        else:
            other[name] = bars[name].where(~begun, 0 if name in FLOWS else bars[name].shift(1))
    return other


def _like(values: Array, column: pd.Series) -> Column:
    """Values of the same type as a column."""
    if column.dtype == np.float64:
        return values
    whole = pd.api.types.is_integer_dtype(column.dtype)
    return _array(pd.Series(np.round(values) if whole else values).astype(column.dtype))


def _array(column: pd.Series) -> Column:
    values: Column = column.array
    return values
