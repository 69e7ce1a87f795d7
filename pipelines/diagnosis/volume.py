"""Volumes that contradict prices or quote volumes, and bars without any."""

from collections.abc import Mapping

import numpy as np

from pipelines.diagnosis.fault import Fault, Finding, Floats, Mask, found_rows, number_text
from pipelines.diagnosis.rows import Bars

# Quote volume over base volume is a price of the bar, but for rounding; at a factor beyond the second number it is
# something else.
_ROUNDING = 0.02
_FACTOR = 3.0
# Runs of still bars this much longer than chance makes are a feed that stood still.
_CHANCE = 1e-6


def judge_quote_volume(bars: Bars) -> tuple[list[Fault], Mask]:
    """``volume_swapped`` and ``volume_unit_change`` row by row, from a column of quote volume.

    Returns
    -------
    tuple of list of Fault and mask
        Faults, and the bars whose two volumes stand in each other's column.
    """
    cells = bars.cells
    swapped, other, excess = compare_volumes(cells)
    faults = []
    if swapped.any():

        def say(place: int) -> str:
            base, quote = (number_text(cells[name][place]) for name in ("volume", "quote_volume"))
            return f"volume={base}, quote volume={quote}"

        faults.append(
            found_rows(
                "volume_swapped",
                bars.number,
                bars.at,
                say,
                "exchange base and quote volume in these rows: quote volume is base volume times a price",
                where=swapped,
                safe_fix=True,
            )
        )
    if other.sum() > max(3, 0.001 * len(bars)):
        factor = number_text(float(np.exp(np.median(np.abs(excess[other])))))
        faults.append(
            found_rows(
                "volume_unit_change",
                bars.number,
                bars.at,
                lambda place: (
                    f"quote volume over volume is {number_text(float(np.exp(abs(excess[place]))))} times off the price"
                ),
                f"write both volumes in units of the coin and of the money: they differ by a factor of about {factor}",
                where=other,
            )
        )
    return faults, swapped


def compare_volumes(cells: Mapping[str, Floats]) -> tuple[Mask, Mask, Floats]:
    """Rows whose volumes are exchanged, rows whose volumes are otherwise off, and by how much (log)."""
    volume, price = cells["volume"], cells["close"]
    none = np.zeros(len(volume), dtype=np.bool_)
    if "quote_volume" not in cells:
        return none, none, np.zeros(len(volume))
    quote = cells["quote_volume"]
    with np.errstate(all="ignore"):
        ratio, level = np.log(quote / volume), np.log(price)
        high, low = np.log(cells["high"]), np.log(cells["low"])
        given = (volume > 0) & (quote > 0) & (price > 0) & np.isfinite(ratio) & np.isfinite(level)
        right, exchanged, near = (
            (sign * ratio <= high + slack) & (sign * ratio >= low - slack)
            for sign, slack in ((1, _ROUNDING), (-1, _ROUNDING), (1, np.log(_FACTOR)))
        )
        far = (-ratio <= high + np.log(_FACTOR)) & (-ratio >= low - np.log(_FACTOR))
    # Near a price of 1 the two cannot be told apart; elsewhere the range of the bar tells, or, where volumes are
    # rounded coarsely, the larger distance.
    swapped = given & ~right & (exchanged | (far & ~near))
    other = given & ~near & ~exchanged & ~far
    return swapped, other, np.where(given, ratio - level, 0.0)


def find_zero_volume(bars: Bars, max_still: float) -> Finding:
    """``zero_volume``: prices that moved without a trade, or too many bars without one; else a note.

    Parameters
    ----------
    bars
        Bars with positive prices.
    max_still
        Share of still bars (no volume, one price) that is left to a thin market.
    """
    volume = bars.cells["volume"]
    zero = volume == 0
    if not zero.any():
        return Finding()
    moved = zero & (bars.cells["high"] > bars.cells["low"])
    still = zero & ~moved
    reasons = []
    if moved.any():
        reasons.append(f"in {int(moved.sum())} of them the price moved")
    if still.mean() > max_still:
        reasons.append(f"{still.mean():.1%} of the bars are still (validate.max_missing_fraction is {max_still:.1%})")
    if (longest := _longest_beyond_chance(still)) > 0:
        reasons.append(f"{longest} follow one another")
    if not reasons:
        return Finding(
            notes=(f"{int(still.sum())} bars have one price and no volume ({still.mean():.2%}): nobody traded",)
        )
    fault = found_rows(
        "zero_volume",
        bars.number,
        bars.at,
        lambda place: "no volume, though the price moved" if moved[place] else "no volume, one price",
        f"leave these bars out or export them again; {', '.join(reasons)}",
        where=zero,
    )
    return Finding((fault,))


def _longest_beyond_chance(still: Mask) -> int:
    """Length of the longest run of still bars, 0 if chance makes such runs at the share of them."""
    if not still.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    longest = int((edges[1::2] - edges[::2]).max())
    share = max((int(still.sum()) - longest) / len(still), 0.02)
    return longest if longest >= 4 and len(still) * share**longest < _CHANCE else 0
