"""What is wrong within one row: cells that are no numbers, and prices that contradict each other."""

from collections.abc import Mapping
from itertools import permutations

import numpy as np

from pipelines.diagnosis.cells import Numbers
from pipelines.diagnosis.fault import NAT, Fault, Floats, Mask, found_rows, number_text
from pipelines.diagnosis.rows import PRICES, Rows

# Prices computed from others differ in the last digits.
_ROUNDING = 1e-9
# Where so many rows contradict themselves, the columns may be named wrongly.
_MOSTLY = 0.2


def find_text(rows: Rows, numbers: Mapping[str, Numbers], raw: Mapping[str, object]) -> list[Fault]:
    """``text_numbers`` and ``decimal_comma``; arrays of ``numbers`` and ``raw`` follow the rows of the whole file."""
    faults = []
    text = np.logical_or.reduce([number.text for number in numbers.values()])[rows.number]
    comma = np.logical_or.reduce([number.comma for number in numbers.values()])[rows.number]
    hopeless = np.logical_or.reduce([number.unreadable for number in numbers.values()])[rows.number]

    def say(place: int, masks: Mapping[str, Mask]) -> str:
        at = int(rows.number[place])
        return ", ".join(f"{name}={str(raw[name][at])!r}" for name, mask in masks.items() if mask[at])  # type: ignore[index]

    if text.any():
        masks = {name: number.text for name, number in numbers.items()}
        unread = int(hopeless.sum())
        remedy = "write numbers as numbers, without units, signs of currency or grouped digits"
        remedy += f"; {unread} row(s) hold no number at all" if unread else ""
        faults.append(
            found_rows(
                "text_numbers",
                rows.number,
                rows.at,
                lambda place: say(place, masks),
                remedy,
                where=text,
                safe_fix=not unread,
            )
        )
    if comma.any():
        commas = {name: number.comma for name, number in numbers.items()}
        faults.append(
            found_rows(
                "decimal_comma",
                rows.number,
                rows.at,
                lambda place: say(place, commas),
                "write decimal points",
                where=comma,
                safe_fix=True,
            )
        )
    return faults


def find_unusable(rows: Rows, unread: Mask) -> list[Fault]:
    """``nan_rows``, ``infinite`` and ``non_positive_price``.

    Parameters
    ----------
    rows
        All rows.
    unread
        Rows whose missing number is text, and was named as that.
    """
    faults = []
    needed = {name: rows.cells[name] for name in (*PRICES, "volume")}
    empty = {name: np.isnan(cell) for name, cell in needed.items()}
    undated = rows.at == NAT
    nan = (np.logical_or.reduce(list(empty.values())) & ~unread) | undated
    if nan.any():
        bare = np.logical_and.reduce([empty[name] for name in PRICES])
        all_volume = bool(empty["volume"].all())

        def say(place: int) -> str:
            missing = [name for name, mask in empty.items() if mask[place]]
            return ", ".join((["no time"] if undated[place] else []) + ([f"no {' '.join(missing)}"] if missing else []))

        faults.append(
            found_rows(
                "nan_rows",
                rows.number,
                rows.at,
                say,
                "no row has a base volume: export it as well"
                if all_volume
                else "export these rows again, or leave them out; nothing is filled in",
                where=nan,
                safe_fix=bool((bare | undated)[nan].all()),
            )
        )
    infinite = {name: np.isinf(cell) for name, cell in needed.items()}
    if (any_infinite := np.logical_or.reduce(list(infinite.values()))).any():
        faults.append(
            found_rows(
                "infinite",
                rows.number,
                rows.at,
                lambda place: ", ".join(f"{name}={needed[name][place]}" for name in needed if infinite[name][place]),
                "export these rows again: a division by zero was stored",
                where=any_infinite,
            )
        )
    with np.errstate(invalid="ignore"):
        low = np.logical_or.reduce([(rows.cells[name] <= 0) & np.isfinite(rows.cells[name]) for name in PRICES])
    if low.any():
        faults.append(
            found_rows(
                "non_positive_price",
                rows.number,
                rows.at,
                lambda place: ", ".join(
                    f"{name}={number_text(rows.cells[name][place])}" for name in PRICES if rows.cells[name][place] <= 0
                ),
                "leave these rows out or export them again: zeros often stand for bars without a trade",
                where=low,
            )
        )
    return faults


def find_contradictions(rows: Rows) -> list[Fault]:
    """``high_low_swapped`` and ``ohlc_violation``, the latter with negative volumes."""
    faults = []
    swapped = swapped_high_low(rows.cells)
    opened, high, low, close = (rows.cells[name] for name in PRICES)
    if swapped.any():
        faults.append(
            found_rows(
                "high_low_swapped",
                rows.number,
                rows.at,
                lambda place: f"high={number_text(high[place])} below low={number_text(low[place])}",
                "exchange high and low",
                where=swapped,
                safe_fix=True,
            )
        )
    outside = _outside(opened, high, low, close) & ~swapped
    with np.errstate(invalid="ignore"):
        negative = rows.cells["volume"] < 0
    if (broken := outside | negative).any():

        def say(place: int) -> str:
            if negative[place]:
                return f"volume={number_text(rows.cells['volume'][place])}"
            return " ".join(f"{name}={number_text(rows.cells[name][place])}" for name in PRICES)

        order = _better_order(rows.cells, outside)
        faults.append(
            found_rows(
                "ohlc_violation",
                rows.number,
                rows.at,
                say,
                f"the columns called open, high, low, close seem to hold {order}: name them so"
                if order
                else "export these rows again, or build them from finer bars: low <= open, close <= high, volume >= 0",
                where=broken,
            )
        )
    return faults


def swapped_high_low(cells: Mapping[str, Floats]) -> Mask:
    """Rows whose high is below their low, and that are right once the two are exchanged."""
    opened, high, low, close = (cells[name] for name in PRICES)
    with np.errstate(invalid="ignore"):
        return np.asarray((high < low) & ~_outside(opened, low, high, close), dtype=np.bool_)


def exchanged(cells: Mapping[str, Floats]) -> dict[str, Floats]:
    """Cells with high and low exchanged where they were swapped."""
    swapped = swapped_high_low(cells)
    if not swapped.any():
        return dict(cells)
    high, low = np.where(swapped, cells["low"], cells["high"]), np.where(swapped, cells["high"], cells["low"])
    return {**cells, "high": high, "low": low}


def _outside(opened: Floats, high: Floats, low: Floats, close: Floats) -> Mask:
    with np.errstate(invalid="ignore"):
        slack = _ROUNDING * np.abs(high)
        above = np.maximum(opened, close) > high + slack
        below = np.minimum(opened, close) < low - slack
        return np.asarray(above | below | (high < low - slack), dtype=np.bool_)


def _better_order(cells: Mapping[str, Floats], outside: Mask) -> str | None:
    """Another meaning of the four price columns under which hardly a row contradicts itself."""
    if outside.mean() <= _MOSTLY:
        return None
    for order in permutations(PRICES):
        meant = {name: cells[column] for name, column in zip(order, PRICES, strict=True)}
        # High and low decide; which of the others is the open cannot be seen in a row.
        if order.index("open") < order.index("close") and _outside(*(meant[name] for name in PRICES)).mean() < 0.01:
            return ", ".join(order)
    return None
