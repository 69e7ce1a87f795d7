"""Which moments to look at: where leaks hide, and some at random.

A step that is a black box says at each run what it would have said at one moment, so every moment costs a run, and n
runs see n moments. Leaks through statistics of the whole sample show at any of them, leaks of a few bars at any that
the leak touches. What remains are leaks that happen only at certain bars: at the edges of longer bars, of gaps, of the
warm-up and of the sample, at extreme bars, at publications. These are looked at by name; hours and days of the week are
covered by the others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.audit.known import NEVER, Known, Times
from pipelines.audit.worlds import WORLDS, History, Moment, World, stamps_of

_NS = 1_000_000_000
_HOUR, _DAY = 3600 * _NS, 86400 * _NS
# A Monday.
_ORIGIN = 4 * _DAY
_PERIODS = (("4 hours", 4 * _HOUR), ("a day", _DAY), ("a week", 7 * _DAY))
# With as many random moments as this, or more, special ones are looked at in more than one place.
_OFTEN = 8
_TWO = ("mirrored", "removed")
# Random moments take turns.
_TURNS = (("mirrored",), ("mirrored", "removed"), ("mirrored", "shuffled"))


@dataclass(frozen=True)
class Question:
    """A moment, the futures to try after it, and whether the whole history has to be run for it."""

    moment: Moment
    worlds: tuple[World, ...]
    whole: bool


def choose(
    history: History, known: Iterable[Known], starts: Iterable[int], cuts: int, rng: np.random.Generator
) -> list[Question]:
    """Moments to question a step at, in time order, each once.

    Parameters
    ----------
    history
        What the step is given.
    known
        When its rows are known, for each group of columns.
    starts
        Positions of the rows at which a column has its first value.
    cuts
        Number of moments taken at random besides the named ones. As many as there are, or more: all of them.
    rng
        Of what is drawn.
    """
    found: dict[tuple[int, bool], Question] = {}
    end = history.end()
    for opened in (False, True):
        groups = [one for one in known if (one.opened == opened).any()]
        times = _times(groups, opened, end)
        if not len(times):
            continue
        first = sorted({int(one.times[row]) for one in groups for row in starts if row < len(one.times)})
        for at, why, worlds, whole in _targets(history, times, first, cuts, rng):
            question = Question(Moment(at, opened, why), worlds, whole)
            before = found.get((at, opened))
            if before is not None:
                worlds = tuple(world for world in WORLDS if world in {*before.worlds, *worlds})
                question = Question(before.moment, worlds, before.whole or whole)
            found[(at, opened)] = question
    return [found[key] for key in sorted(found)]


def _times(groups: list[Known], opened: bool, end: int) -> Times:
    """Moments at which some row becomes known and after which something is still to come."""
    times = [one.times[one.opened == opened] for one in groups]
    found: Times = np.unique(np.concatenate([*times, np.zeros(0, dtype=np.int64)]))
    return found[found < min(end, NEVER)]


_Target = tuple[int, str, tuple[World, ...], bool]


def _targets(
    history: History, times: Times, starts: list[int], cuts: int, rng: np.random.Generator
) -> Iterator[_Target]:
    if cuts >= len(times):
        yield from ((int(at), "every moment", WORLDS, True) for at in times)
    for number, share in enumerate((0.5, 0.25, 0.8)):
        # By correlation a mirror is not told from the truth, by the mean a shuffle is not: here all three are tried.
        yield int(times[int(share * (len(times) - 1))]), f"{share:.0%} of the rows", WORLDS, number == 0 or share < 0.5
    for back in range(1, min(4, len(times) + 1)):
        yield int(times[-back]), f"{_nth(back)} moment from the end", WORLDS if back < 3 else _TWO, back == 1
    for at in dict.fromkeys([starts[0], starts[len(starts) // 2], starts[-1]] if starts else []):
        # The first moment is looked at whatever the rows there say: it is where blanks are filled from behind.
        for step, where in ((0, "where values begin"), (1, "the bar after values begin")):
            if (place := int(np.searchsorted(times, at)) + step) < len(times):
                yield int(times[place]), where, _TWO, False
    often = cuts >= _OFTEN
    for at, why in _boundaries(times, rng, often):
        yield from _around(times, at, why)
    for at, why in _gaps(history, times, rng, often):
        yield from _around(times, at, why)
    for at, why in _extremes(history):
        yield from _around(times, at, why, reach=(-1, 0))
    for at, why in _publications(history, rng, often):
        yield from _around(times, at, why, reach=(-1, 0))
    for number, at in enumerate(_spread_out(times, cuts, rng)):
        yield (
            int(at),
            "at random",
            (("mirrored",), ("mirrored", "removed"), ("mirrored", "shuffled"))[number % 3],
            False,
        )


def _nth(back: int) -> str:
    return {1: "last", 2: "second", 3: "third"}[back]


def _around(times: Times, at: int, why: str, reach: Iterable[int] = (-2, -1, 0, 1)) -> Iterator[_Target]:
    """The last moment by ``at``, and its neighbours."""
    place = int(np.searchsorted(times, at, side="right")) - 1
    words = {-2: "two before", -1: "before", 0: "at", 1: "after"}
    for step in reach:
        if 0 <= place + step < len(times):
            worlds = _TWO if step == 0 else ("mirrored",)
            yield int(times[place + step]), f"{words[step]} {why}", worlds, False


def _boundaries(times: Times, rng: np.random.Generator, often: bool) -> Iterator[tuple[int, str]]:
    """Ends of longer bars, one or two of each length, that are no end of a still longer one if that can be had."""
    low, high = int(times[0]), int(times[-1])
    ends = {name: _multiples(low, high, length) for name, length in _PERIODS}
    months = pd.date_range(pd.Timestamp(low, tz="UTC"), pd.Timestamp(high, tz="UTC"), freq="MS", normalize=True)
    ends["a month"] = stamps_of(months)
    names = list(ends)
    for number, name in enumerate(names):
        longer = np.concatenate([ends[other] for other in names[number + 1 :]] or [np.zeros(0, dtype=np.int64)])
        own = np.setdiff1d(ends[name], longer)
        own = own if len(own) else ends[name]
        if len(own):
            chosen = [int(own[-1]), int(rng.choice(own[: max(1, len(own) - 1)]))]
            for at in dict.fromkeys(chosen if often else chosen[1:]):
                yield at, f"the end of {name}"


def _multiples(low: int, high: int, length: int) -> Times:
    first = -(-(low - _ORIGIN) // length) * length + _ORIGIN
    return np.arange(first, high + 1, length, dtype=np.int64)


def _gaps(history: History, times: Times, rng: np.random.Generator, often: bool) -> Iterator[tuple[int, str]]:
    """Both sides of the longest gap, and of the last one and another."""
    stamps, bar = history.stamps, history.bar.as_unit("ns").value
    at = np.flatnonzero(np.diff(stamps) > bar)
    if not len(at):
        return
    longest = at[int(np.diff(stamps)[at].argmax())]
    chosen = [int(longest), int(at[-1]), int(rng.choice(at))]
    for place in dict.fromkeys(chosen if often else chosen[:1]):
        closed, opens = int(stamps[place]) + bar, int(stamps[place + 1])
        yield closed, "a gap"
        yield opens + bar, "the end of a gap"
        # Rows that were put into the gap are known inside it.
        if ((times > closed) & (times < opens)).any():
            yield (closed + opens) // 2, "the middle of a gap"


def _extremes(history: History) -> Iterator[tuple[int, str]]:
    """The bars that rules for rare events wait for."""
    bars = history.bars
    with np.errstate(divide="ignore", invalid="ignore"):
        close, high, low = (bars[name].to_numpy(dtype=np.float64) for name in ("close", "high", "low"))
        returns = np.diff(np.log(close), prepend=np.nan)
        sizes = {"the largest rise": returns, "the largest fall": -returns, "the longest bar": np.log(high / low)}
    if "volume" in bars:
        volume = bars["volume"].to_numpy(dtype=np.float64)
        sizes |= {"the largest volume": volume, "the smallest volume": -volume}
    for why, size in sizes.items():
        # The last bar has no future to change.
        size = np.where(np.isfinite(size), size, -np.inf)[:-1]
        if len(size):
            yield int(history.closes[int(size.argmax())]), why


def _publications(history: History, rng: np.random.Generator, often: bool) -> Iterator[tuple[int, str]]:
    """Just before and at the publication of some values, or of one."""
    for name in history.context or {}:
        known = np.unique(history.publication(name))
        for at in rng.choice(known, size=min(3 if often else 1, len(known)), replace=False):
            # A moment that is the publication belongs to what follows it.
            yield int(at) - 1, f"a publication of {name}"
            yield int(at), f"a publication of {name}"


def _spread_out(times: Times, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Moments from equal parts of the whole, at hours and on days that were taken least so far."""
    edges = np.linspace(0, len(times), min(count, len(times)) + 1).astype(np.int64)
    hours, days = np.zeros(24), np.zeros(7)
    chosen = []
    for low, high in pairwise(edges):
        some = times[rng.integers(low, high, size=48)]
        hour, day = some // _HOUR % 24, (some - _ORIGIN) // _DAY % 7
        at = int((hours[hour] + days[day]).argmin())
        hours[hour[at]] += 1
        days[day[at]] += 1
        chosen.append(some[at])
    return np.array(chosen, dtype=np.int64)
