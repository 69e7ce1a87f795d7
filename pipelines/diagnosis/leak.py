"""Columns beside the bar that hold what the bar could not know: a return or a price of later bars."""

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Fault, Floats, Mask, found_rows, number_text
from pipelines.diagnosis.rows import PRICES, Bars

# Nothing that is known at a bar's close follows the next returns like this; what holds them does.
_FOLLOWS = 0.7
# Share of rows in which a column of signs, or of later prices, must be right.
_HITS = 0.9
_ROWS = 100
_HORIZONS = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    10,
    12,
    14,
    15,
    16,
    18,
    20,
    21,
    24,
    30,
    32,
    36,
    40,
    48,
    50,
    60,
    64,
    72,
    90,
    96,
    100,
)
_LONG = (120, 128, 144, 168, 180, 192, 200, 240, 252, 256, 288, 300, 336, 360, 480, 500, 504, 672, 720, 1000, 1440)
# Judging needs no more bars than this.
_SAMPLE = 50_000
# Spans of a horizon beside one another below which two trends agree by chance, and how well changes must agree as well:
# whatever drifts slowly follows a long return somehow.
_SPANS = 30
_CHANGES = 0.3
# Multiples of the median deviation beyond which a value is drawn in: one bad print must not decide.
_CLIP = 6.0


def find_leaking_columns(bars: Bars, extra: dict[str, pd.Series]) -> tuple[list[Fault], tuple[str, ...]]:
    """``extra_column_return``: one fault for all columns that follow what comes later; and their names.

    Parameters
    ----------
    bars
        Bars in time order.
    extra
        The file's other columns, aligned with ``bars``.
    """
    guilty: dict[str, str] = {}
    for name, column in extra.items():
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if (what := _later_value(bars, values[: len(bars)])) is not None:
            guilty[name] = what
    if not guilty:
        return [], ()
    given = np.zeros(len(bars), dtype=np.bool_)
    for name in guilty:
        given |= extra[name].notna().to_numpy(dtype=np.bool_)

    def say(place: int) -> str:
        return ", ".join(f"{name}={extra[name].iloc[place]} ({what})" for name, what in guilty.items())

    return [
        found_rows(
            "extra_column_return",
            bars.number,
            bars.at,
            say,
            f"never use {' and '.join(map(repr, guilty))} as an input: known only later; leave the column out",
            where=given,
            safe_fix=True,
        )
    ], tuple(guilty)


def _later_value(bars: Bars, values: Floats) -> str | None:
    """What of later bars a column holds, in words; ``None`` if nothing."""
    count = min(len(bars), _SAMPLE)
    values = values[:count]
    given = np.isfinite(values)
    if given.sum() < _ROWS or len(np.unique(values[given][:1000])) < 2:
        return None
    cells = {name: bars.cells[name][:count] for name in PRICES}
    if (later := _later_price(cells, values, given)) is not None:
        return later
    with np.errstate(all="ignore"):
        opened, close = np.log(cells["open"]), np.log(cells["close"])
    signs = len(np.unique(values[given])) <= 3
    for horizon in _HORIZONS + _LONG:
        if horizon + _ROWS > count or horizon * _SPANS > count:
            break
        ahead = np.full(count, np.nan)
        ahead[:-horizon] = close[horizon:] - close[:-horizon]
        traded = np.full(count, np.nan)
        traded[: -horizon - 1] = opened[horizon + 1 :] - opened[1:-horizon]
        for what, outcome in (("close", ahead), ("open", traded)):
            if _follows(values, outcome, given, signs):
                bars_ahead = "the next bar" if horizon == 1 else f"{horizon} bars ahead"
                meaning = "sign of the return" if signs else "return"
                return f"{meaning} from {what} to {what}, {bars_ahead}"
    return None


def _follows(values: Floats, outcome: Floats, given: Mask, signs: bool) -> bool:
    both = given & np.isfinite(outcome)
    if both.sum() < _ROWS:
        return False
    known, later = values[both], outcome[both]
    if signs:
        moved = later != 0
        # Two or three classes of whatever names, the highest against the others.
        known, later = (known[moved] == known.max()).astype(np.float64), (later[moved] > 0).astype(np.float64)
        hits = float((known == later).mean()) if len(known) >= _ROWS else 0.5
        return (hits > _HITS or hits < 1 - _HITS) and abs(_correlation(np.diff(known), np.diff(later))) > _CHANGES
    known, later = _clipped(known), _clipped(later)
    if abs(_correlation(known, later)) <= _FOLLOWS:
        return False
    return abs(_correlation(np.diff(known), np.diff(later))) > _CHANGES


def _correlation(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0


def _clipped(values: Floats) -> Floats:
    middle = np.median(values)
    spread = np.median(np.abs(values - middle))
    return np.clip(values, middle - _CLIP * spread, middle + _CLIP * spread) if spread > 0 else values


def _later_price(cells: dict[str, Floats], values: Floats, given: Mask) -> str | None:
    """Whether a column equals a price of a later bar more often than one of its own bar or of those before."""

    def equal(price: Floats, ahead: int) -> float:
        shifted = np.full(len(price), np.nan)
        shifted[: len(price) - ahead or None] = price[ahead:]
        both = given & np.isfinite(shifted)
        if both.sum() < _ROWS:
            return 0.0
        return float(np.isclose(values[both], shifted[both], rtol=1e-9, atol=0).mean())

    now = max(
        max(equal(price, 0) for price in cells.values()),
        *(
            float(np.isclose(values[1:][given[1:]], price[:-1][given[1:]], rtol=1e-9).mean())
            for price in cells.values()
        ),
    )
    for ahead in _HORIZONS:
        if ahead + _ROWS > len(values):
            break
        for name, price in cells.items():
            share = equal(price, ahead)
            if share > _HITS and share > now + 0.3:
                return f"{name} {ahead} bar(s) ahead, in {number_text(share)} of the rows"
    return None
