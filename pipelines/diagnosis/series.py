"""Several series of bars in one file: by a column that names them, or by levels that no one market has at once."""

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import NAT, Fault, Finding, Ints, found_rows, number_text
from pipelines.diagnosis.rows import Rows
from pipelines.diagnosis.source import Source
from pipelines.ingest.columns import key

# More values than this name no series.
_MOST = 10_000
# Share of stamps that several series have in common.
_SHARED = 0.1
# Two levels this far apart (in logs) at the same time are two markets, if each of them moves much less.
_APART = 0.25
_STABLE = 0.25


def split_series(rows: Rows, source: Source) -> tuple[list[tuple[str, Ints]], list[Fault], tuple[str, ...]]:
    """Places of the rows of each series, the fault ``long_format`` if they are several, and remarks.

    Returns
    -------
    tuple
        Pairs of a label (empty for the only one) and positions in ``rows``; at most one fault; notes.
    """
    everything = [("", np.arange(len(rows)))]
    for name in source.series_columns:
        column = source.frame[name]
        codes, values = pd.factorize(column.astype("string"), use_na_sentinel=True)
        if not 1 < len(values) <= _MOST:
            continue
        first = key(name)
        named = first in ("symbol", "ticker", "tic", "pair", "instrument", "instrument_id", "inst_id", "product_id")
        if not named and not _overlap(rows, codes):
            continue
        labels = [str(value) for value in values]
        parts = [(f"{name}={label}", np.flatnonzero(codes == at)) for at, label in enumerate(labels)]
        starts = np.array([places[0] for _, places in parts])
        sizes = {int(places[0]): f"{label}: {len(places)} rows" for label, places in parts}
        fault = found_rows(
            "long_format",
            rows.number,
            rows.at,
            lambda place, sizes=sizes: sizes[place],  # type: ignore[misc]
            f"split the file by {name!r}: one file for each of {', '.join(labels[:6])}"
            + (", ..." if labels[6:] else ""),
            where=starts,
            count=len(rows),
        )
        return parts, [_spanning(fault, rows)], ()
    return _by_level(rows) or (everything, [], ())


def tidy_finding(source: Source, rows: int) -> Finding:
    """``long_format`` for a table with one row for each price instead of each bar."""
    name = str(source.tidy)
    examples = tuple(
        {"row": at, "timestamp": None, "found": f"{name}={source.frame[name].iloc[at]}"} for at in range(min(3, rows))
    )
    remedy = f"turn the values of {name!r} into columns: one row for each bar, with open, high, low, close and volume"
    return Finding((Fault("long_format", rows, None, None, examples, remedy),))


def _overlap(rows: Rows, codes: Ints) -> bool:
    """Whether several values of a column occur at one stamp."""
    pairs = pd.DataFrame({"at": rows.at, "code": codes})
    pairs = pairs[(pairs["at"] != NAT) & (pairs["code"] >= 0)]
    several = pairs.groupby("at")["code"].nunique()
    return bool((several > 1).mean() > _SHARED)


def _by_level(rows: Rows) -> tuple[list[tuple[str, Ints]], list[Fault], tuple[str, ...]] | None:
    """Series of one file without a name, told by the rank of their price at each stamp."""
    close = rows.cells["close"]
    usable = np.flatnonzero((rows.at != NAT) & np.isfinite(close) & (close > 0))
    if len(usable) < 40:
        return None
    _, inverse, counts = np.unique(rows.at[usable], return_inverse=True, return_counts=True)
    many = int(np.median(counts))
    if many < 2 or (counts > 1).mean() < 0.5:
        return None
    order = np.lexsort((close[usable], inverse))
    rank = np.empty(len(usable), dtype=np.int64)
    start = np.append(0, np.cumsum(counts))[:-1]
    rank[order] = np.arange(len(usable)) - np.repeat(start, counts)
    logs = np.log(close[usable])
    full = counts == many
    told, moves = [], []
    for series in range(many):
        # Only stamps at which all of them stand: np.unique sorted them by time.
        inside = np.flatnonzero((rank == series) & full[inverse])
        inside = inside[np.argsort(inverse[inside], kind="stable")]
        told.append(logs[inside])
        moves.append(float(np.median(np.abs(np.diff(logs[inside])))))
    gaps = np.diff(np.array(told), axis=0)
    if np.quantile(gaps, 0.05) < _APART or max(moves) > _STABLE * np.median(gaps):
        return None
    levels = [float(np.median(level)) for level in told]
    parts = [(f"level {number_text(float(np.exp(level)))}", usable[rank == at]) for at, level in enumerate(levels)]
    sizes = {int(places.min()): f"{label}: {len(places)} rows" for label, places in parts}
    fault = found_rows(
        "long_format",
        rows.number,
        rows.at,
        lambda place: sizes[place],
        f"split the file: each time stands {many} times, at prices of {many} markets, and no column names them",
        where=np.array(sorted(sizes)),
        count=len(rows),
    )
    return parts, [_spanning(fault, rows)], ()


def _spanning(fault: Fault, rows: Rows) -> Fault:
    timed = rows.at[rows.at != NAT]
    if not len(timed):
        return fault
    return Fault(
        fault.kind, fault.count, int(timed.min()), int(timed.max()), fault.examples, fault.remedy, fault.safe_fix
    )
