"""By how much the clock of one source is behind that of another, bar by bar, from their returns."""

from dataclasses import dataclass

import numpy as np

from pipelines.diagnosis.fault import Floats, Ints
from pipelines.diagnosis.rows import Bars

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
# Clocks are off by at most a day and some hours: zones reach from -12 to +14.
_REACH = 26 * _HOUR
_REACH_BARS = 10
# Bars in a window whose lag is judged on its own, and windows at most.
_WINDOW = 240
_WINDOWS = 1000
# Parts in which any lag is looked for, and the bars of one at least; windows try these and quarters of an hour.
_PARTS = 8
_PART = 2000
# A lag is believed from this correlation of returns on, if it beats the stamps as they are by this much.
_CLEAR = 0.4
_BETTER = 0.2
# Times the grid may be longer than the bars on it.
_SPREAD = 100
# Bars that both sources must have.
_LEAST = 60
# Returns are drawn in to this multiple of their median size: one bad print must not decide.
_CLIP = 8.0


@dataclass(frozen=True)
class Lags:
    """How far each bar of a file is stamped too late.

    Parameters
    ----------
    lag
        µs for each bar, negative where it is stamped too early; ``None`` where too few bars are of the same time.
    clear
        Whether the returns follow those of the other source at all.
    """

    lag: Ints | None
    clear: bool


def find_lags(bars: Bars, other: Bars) -> Lags:
    """Lag of every bar behind another source of the same market.

    In windows of a few hundred bars the lag is the one at which the returns correlate best; a lag other than 0 is
    believed if the correlation is clear and clearly better than without it. Between two windows the cut lies where the
    returns fit best.

    Parameters
    ----------
    bars
        Bars of the file with positive prices, in time order.
    other
        Bars of the second source; another length or venue will do.
    """
    pair = _on_one_grid(bars, other)
    if pair is None:
        return Lags(None, False)
    lags, clear = _lags(pair)
    lag = np.zeros(len(bars), dtype=np.int64)
    seen = pair.place >= 0
    lag[pair.place[seen]] = lags[seen]
    return Lags(_filled(lag, pair.place[seen]), clear)


@dataclass(frozen=True)
class _Pair:
    """Closes of both sources on one grid of times at which they became known, NaN where there is none."""

    known: Ints
    step: int
    own: Floats
    other: Floats
    place: Ints  # bar of the file at each time, -1 where there is none


def _on_one_grid(bars: Bars, other: Bars) -> _Pair | None:
    if not len(bars) or not len(other):
        return None
    step = max(bars.length, other.length)
    reach = max(_REACH, _REACH_BARS * step)
    first = max(int(bars.at[0]), int(other.at[0]) - reach)
    last = min(int(bars.at[-1]) + bars.length, int(other.at[-1]) + other.length + reach)
    if last - first < _LEAST * step:
        return None
    if (last - first) // step > _SPREAD * (len(bars) + len(other)) + 1_000_000:
        return None  # a wild stamp, and hardly a bar between it and the others
    # Times at which a bar of the file became known; the other source reaches further on both sides.
    known = np.arange(-(-first // step) * step, last + step, step)
    own, place = _closes_at(bars, known)
    theirs, _ = _closes_at(other, known)
    both = np.isfinite(own) & np.isfinite(theirs)
    if both.sum() < _LEAST:
        return None
    return _Pair(known, step, own, theirs, place)


def _closes_at(bars: Bars, known: Ints) -> tuple[Floats, Ints]:
    """Log close of the bar that closes at each time, NaN where none does; and which bar it is."""
    ends = bars.at + bars.length
    place = np.clip(np.searchsorted(ends, known), 0, len(ends) - 1)
    # Bars off the grid count for the next time of it.
    hit = (ends[place] >= known) & (ends[place] < known + bars.length)
    return np.where(hit, np.log(bars.cells["close"][place]), np.nan), np.where(hit, place, -1)


def _returns(closes: Floats) -> Floats:
    moves = np.diff(closes, prepend=np.nan)
    usual = np.nanmedian(np.abs(moves)) if np.isfinite(moves).any() else 0.0
    limit = _CLIP * max(float(usual), 1e-6)
    return np.clip(np.nan_to_num(moves), -limit, limit)


def _lags(pair: _Pair) -> tuple[Ints, bool]:
    """Lag (µs) of the file behind the other source at each time of the grid, and whether any could be told."""
    own, theirs = _returns(pair.own), _returns(pair.other)
    reach = max(_REACH // pair.step, _REACH_BARS)
    every = max(1, 15 * _MINUTE // pair.step)
    coarse = np.arange(-reach // every * every, reach + 1, every)
    # The best lag of each part, so that a clock that was off for a while is not outvoted.
    parts = np.array_split(np.arange(len(own)), max(1, min(_PARTS, len(own) // _PART)))
    found = [_best_lag(own[part], theirs[part], reach) for part in parts]
    near = np.arange(-5, 6)
    candidates = np.unique(np.concatenate([coarse, near, *(lag + near for lag in set(found))]))
    candidates = candidates[np.abs(candidates) < len(own) - _LEAST]
    size = max(_WINDOW, -(-len(own) // _WINDOWS))
    starts = np.arange(0, len(own), size)
    if len(starts) > 1 and len(own) - starts[-1] < size // 2:
        starts = starts[:-1]
    scores = np.array([_scores(own, theirs, int(lag), starts) for lag in candidates])
    best = scores.argmax(axis=0)
    top = scores[best, np.arange(len(starts))]
    plain = scores[int(np.flatnonzero(candidates == 0)[0])]
    told = top > _CLEAR
    if not told.any():
        return np.zeros(len(own), dtype=np.int64), False
    lag = np.where(told & (top > plain + _BETTER), candidates[best], 0)
    # Windows that say nothing follow those that do.
    known = np.flatnonzero(told)
    lag = lag[known[np.clip(np.searchsorted(known, np.arange(len(lag))), 0, len(known) - 1)]]
    return _cut_exactly(own, theirs, lag, starts) * pair.step, True


def _best_lag(own: Floats, theirs: Floats, reach: int) -> int:
    """Lag of the best correlation over all bars, by a Fourier transform."""
    size = 1 << int(np.ceil(np.log2(len(own) + reach + 1)))
    product = np.fft.irfft(np.fft.rfft(own, size) * np.conj(np.fft.rfft(theirs, size)), size)
    lags = np.concatenate([np.arange(reach + 1), np.arange(-reach, 0)])
    best = np.argmax(np.concatenate([product[: reach + 1], product[-reach:]]))
    return int(lags[int(best)])


def _scores(own: Floats, theirs: Floats, lag: int, starts: Ints) -> Floats:
    """Correlation of each window with the other source ``lag`` bars earlier."""
    moved = _moved(theirs, lag)
    both = (own != 0) | (moved != 0)
    top = np.add.reduceat(own * moved, starts)
    size = np.add.reduceat(own * own, starts) * np.add.reduceat(moved * moved, starts)
    enough = np.add.reduceat(both.astype(np.float64), starts) >= _LEAST // 2
    return np.where(enough & (size > 0), top / np.sqrt(np.maximum(size, 1e-300)), -1.0)


def _moved(values: Floats, lag: int) -> Floats:
    moved = np.zeros_like(values)
    if lag >= 0:
        moved[lag:] = values[: len(values) - lag]
    else:
        moved[:lag] = values[-lag:]
    return moved


def _cut_exactly(own: Floats, theirs: Floats, lag: Ints, starts: Ints) -> Ints:
    """Lag of every bar: between two windows the cut lies where the returns fit best on both sides."""
    each = np.repeat(lag, np.diff(np.append(starts, len(own))))
    for window in (np.flatnonzero(np.diff(lag)) + 1).tolist():
        low = int(starts[max(window - 1, 0)])
        high = int(starts[window + 1]) if window + 1 < len(starts) else len(own)
        before, after = (_moved(theirs, int(lag[side]))[low:high] for side in (window - 1, window))
        error = np.cumsum(np.abs(own[low:high] - before)) - np.cumsum(np.abs(own[low:high] - after))
        cut = low + int(error.argmin()) + 1
        each[low:cut], each[cut:high] = lag[window - 1], lag[window]
    return each


def _filled(lag: Ints, judged: Ints) -> Ints:
    """Lags of bars between those that were judged follow the judged one before."""
    if len(judged) == len(lag) or not len(judged):
        return lag
    at = np.clip(np.searchsorted(judged, np.arange(len(lag)), side="right") - 1, 0, len(judged) - 1)
    return lag[judged[at]]
