"""Single prices that the bars around them contradict. A crash is none: it leaves traces in its neighbours."""

import numpy as np

from pipelines.diagnosis.fault import EXAMPLES, Fault, Floats, Ints, Mask, found_rows, number_text
from pipelines.diagnosis.rows import PRICES, Bars

# Bars on each side whose closes (before) and opens (after) say where the market was.
_NEIGHBOURS = 3
# Bars on each side that say how much it moves and trades.
_WINDOW = 50
# Smallest deviation in log price that is looked at.
_LEAST = 0.02
# Times the usual large seam between a close and the next open: thin markets jump from quote to quote.
_SEAMS = 20.0
# Multiples of the local range. Contradicted at once from both sides: real bars reach 3.3. Traded through, as a wick or
# as a close that the next open confirms: real bars of usual volume reach 8, those in which a market broke 15.
_CUT = 6.0
_THROUGH = 12.0
# From the first multiple of the usual volume on, a price that was traded through is believed more; from the second on
# always: a fat finger moves a price, a crash moves volume as well.
_BUSY = 2.0
_RUSH = 10.0
# Beyond this factor, and in no rush, nothing was traded through.
_ABSURD = float(np.log(4.0))
_CHUNK = 50_000


def find_bad_prints(bars: Bars) -> tuple[Mask, dict[int, str]]:
    """Bars that hold a price which the bars around them contradict.

    Every price is measured by its distance from the band between the median of the three closes before and the median
    of the three opens after, in units of the local range: the largest of the median range of the hundred bars around,
    the median range of the six neighbours, and the width of the band. A fall over several bars pulls the band and the
    neighbours' ranges along; a level that stays has no band on the other side.

    Parameters
    ----------
    bars
        Bars with positive prices, in time order.

    Returns
    -------
    tuple of mask and dict
        The bars, and for the first ones which price it is.
    """
    count = len(bars)
    bad = np.zeros(count, dtype=np.bool_)
    if count < 2 * _NEIGHBOURS + 1:
        return bad, {}
    logs = {name: np.log(bars.cells[name]) for name in PRICES}
    low, high = _band(logs["close"], logs["open"])
    body = {name: _outside(logs[name], low, high) for name in ("open", "close")}
    above = logs["high"] - np.maximum(high, np.maximum(logs["open"], logs["close"]))
    below = np.minimum(low, np.minimum(logs["open"], logs["close"])) - logs["low"]
    wick = np.maximum(np.maximum(above, below), 0.0)
    seam = np.abs(logs["open"][1:] - logs["close"][:-1])
    # What one bar in fifty passes; where bad prints themselves make such seams, what one in ten passes speaks for it.
    common, rare = np.quantile(seam, (0.9, 0.98))
    least = max(_LEAST, _SEAMS * float(min(rare, 2.5 * common)))
    suspects = np.flatnonzero(np.maximum(np.maximum(body["open"], body["close"]), wick) > least)
    # The first and last bars have neighbours on one side only.
    suspects = suspects[(suspects >= 1) & (suspects < count - 1)]
    told: dict[int, str] = {}
    wrong_body = {name: np.zeros(count, dtype=np.bool_) for name in body}
    for start in range(0, len(suspects), _CHUNK):
        places = suspects[start : start + _CHUNK]
        scale, busy = _surroundings(bars, logs, low, high, places)
        believed = np.where(busy < _RUSH, _THROUGH * np.maximum(1.0, np.sqrt(busy / _BUSY)), np.inf)
        for name, distance, gap in (
            ("open", body["open"][places], np.abs(logs["open"][places] - logs["close"][places - 1])),
            ("close", body["close"][places], np.abs(logs["close"][places] - logs["open"][places + 1])),
            ("wick", wick[places], np.zeros(len(places))),
        ):
            # A price that its neighbour in time does not share is contradicted at once from both sides.
            limit = np.where(gap > 0.3 * distance, _CUT, believed) * scale
            absurd = (distance > _ABSURD) & (busy < _RUSH)
            wrong = (distance > least) & ((distance > limit) | absurd)
            bad[places[wrong]] = True
            if name in wrong_body:
                wrong_body[name][places[wrong]] = True
            for place in places[wrong][:EXAMPLES].tolist():
                told.setdefault(place, name if name != "wick" else "high" if above[place] > below[place] else "low")
    _spread(logs, bad, wrong_body, body)
    return bad, told


def prints_fault(bars: Bars, bad: Mask, told: dict[int, str]) -> list[Fault]:
    """``bad_prints`` of the bars that were found."""
    if not bad.any():
        return []

    def say(place: int) -> str:
        name = told.get(place, "close")
        before = number_text(bars.cells["close"][max(place - 1, 0)])
        after = number_text(bars.cells["open"][min(place + 1, len(bars) - 1)])
        return f"{name}={number_text(bars.cells[name][place])} between a close of {before} and an open of {after}"

    return [
        found_rows(
            "bad_prints",
            bars.number,
            bars.at,
            say,
            "compare these bars with another source and leave out what it does not confirm; only later bars show it, "
            "so they are named and never changed",
            where=bad,
        )
    ]


def _shift(values: Floats, by: int) -> Floats:
    """Values ``by`` bars earlier (positive) or later; beyond the ends the outermost one stands."""
    places = np.clip(np.arange(len(values)) - by, 0, len(values) - 1)
    return values[places]


def _median3(one: Floats, two: Floats, three: Floats) -> Floats:
    return np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))


def _band(close: Floats, opened: Floats) -> tuple[Floats, Floats]:
    before = _median3(*(_shift(close, by) for by in (1, 2, 3)))
    after = _median3(*(_shift(opened, -by) for by in (1, 2, 3)))
    return np.minimum(before, after), np.maximum(before, after)


def _outside(values: Floats, low: Floats, high: Floats) -> Floats:
    return np.maximum(np.maximum(values - high, low - values), 0.0)


def _surroundings(
    bars: Bars, logs: dict[str, Floats], low: Floats, high: Floats, places: Ints
) -> tuple[Floats, Floats]:
    """Local scale of prices, and volume as a multiple of the usual one."""
    count = len(bars)
    around = np.clip(places[:, None] + np.arange(-_WINDOW, _WINDOW + 1), 0, count - 1)
    activity = np.maximum(
        logs["high"][around] - logs["low"][around],
        np.abs(logs["open"][around] - logs["close"][np.maximum(around - 1, 0)]),
    )
    usual = np.median(activity, axis=1)
    offsets = np.array([-3, -2, -1, 1, 2, 3])
    near = np.clip(places[:, None] + offsets, 0, count - 1)
    calm = np.median(logs["high"][near] - logs["low"][near], axis=1)
    scale = np.maximum(np.maximum(usual, calm), np.maximum(high[places] - low[places], 5e-4))
    volume = bars.cells["volume"]
    with np.errstate(all="ignore"):
        # A missing volume counts as none, so that a file without volumes has no usual one.
        busy = volume[places] / np.median(np.where(np.isfinite(volume[around]), volume[around], 0.0), axis=1)
    return scale, np.where(np.isfinite(busy), np.maximum(busy, 0.0), 1.0)


def _spread(logs: dict[str, Floats], bad: Mask, wrong: dict[str, Mask], body: dict[str, Floats]) -> None:
    """A bad price may close one bar and open the next: both bars hold it."""
    for own, theirs, step in (("open", "close", -1), ("close", "open", 1)):
        for place in np.flatnonzero(wrong[own]).tolist():
            other = place + step
            if not 0 < other < len(bad) - 1 or bad[other]:
                continue
            if abs(logs[own][place] - logs[theirs][other]) < 0.1 * body[own][place] < body[theirs][other]:
                bad[other] = True
