"""Observations: what was said about a time, and when it was recorded. Pure functions of frames.

A frame of observations has the columns ``<key>`` (the time it is about), ``recorded_at`` and float values; both times
are in UTC at microseconds. It is sorted by both, and holds each pair of them once.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

RECORDED = "recorded_at"
_INSTANT = pd.Timedelta(1, "us")


@dataclass(frozen=True)
class Appended:
    """What an append came to, in rows.

    Parameters
    ----------
    added
        Times that nothing was known about.
    unchanged
        Times whose known values are the same; nothing is stored for them.
    corrected
        Times whose known values differ: the new observation stands beside the older ones.
    """

    added: int = 0
    unchanged: int = 0
    corrected: int = 0

    def __add__(self, other: "Appended") -> "Appended":
        return Appended(self.added + other.added, self.unchanged + other.unchanged, self.corrected + other.corrected)


def fresh(stored: pd.DataFrame, rows: pd.DataFrame, recorded_at: pd.Timestamp) -> tuple[pd.DataFrame, Appended]:
    """The observations among new rows that say something new.

    A row is compared with the observation in effect at ``recorded_at``: the last one recorded by then. A row that comes
    late, recorded before what is stored, so finds its place in the past and does not become current. NaN says nothing:
    the value known before is carried on.

    Parameters
    ----------
    stored
        Observations, at least all about the times in ``rows``.
    rows
        Values on an index of times, named as the key.
    recorded_at
        When the rows were recorded. A second, different observation of the same moment is put one microsecond later,
        so that time and moment name one observation.

    Returns
    -------
    tuple of DataFrame and Appended
        Observations to store, and the count of each kind.
    """
    key = str(rows.index.name)
    new = rows.rename_axis(key).reset_index()
    new.insert(1, RECORDED, recorded_at)
    stored = stored[stored[key].isin(rows.index)]
    if stored.empty:
        return new, Appended(added=len(new))
    columns = [name for name in dict.fromkeys([*stored.columns, *new.columns]) if name not in (key, RECORDED)]
    in_effect = stored[stored[RECORDED] <= recorded_at].drop_duplicates(key, keep="last").set_index(key)
    before = in_effect.reindex(index=rows.index, columns=columns)
    said = rows.reindex(columns=columns)
    completed = said.where(said.notna(), before)
    is_known = rows.index.isin(stored[key])
    is_same = rows.index.isin(in_effect.index) & _equal(completed, before)
    moments = pd.DatetimeIndex(np.full(len(rows), recorded_at.to_datetime64())).tz_localize("UTC").as_unit("us")
    taken = pd.MultiIndex.from_frame(stored[[key, RECORDED]])
    values = stored.reindex(columns=columns)
    while True:
        at = taken.get_indexer(pd.MultiIndex.from_arrays([rows.index, moments]))
        clash = (at >= 0) & ~is_same
        if not clash.any():
            break
        is_same[clash] = _equal(completed[clash], values.iloc[at[clash]])
        moments = moments.where(~clash, moments + _INSTANT)
    tally = Appended(
        added=int((~is_known).sum()), unchanged=int(is_same.sum()), corrected=int((is_known & ~is_same).sum())
    )
    new = completed.reset_index()
    new.insert(1, RECORDED, moments)
    return new[~is_same].reset_index(drop=True), tally


def merged(parts: list[pd.DataFrame], key: str) -> pd.DataFrame:
    """Observations of several frames as one; what several of them hold is there once."""
    if len(parts) == 1:
        return parts[0]
    together = pd.concat(parts, ignore_index=True).sort_values([key, RECORDED], kind="stable", ignore_index=True)
    return together.drop_duplicates([key, RECORDED], ignore_index=True)


def _equal(left: pd.DataFrame, right: pd.DataFrame) -> np.ndarray:
    mine, other = left.to_numpy(dtype=np.float64), right.to_numpy(dtype=np.float64)
    return np.asarray(((mine == other) | (np.isnan(mine) & np.isnan(other))).all(axis=1))
