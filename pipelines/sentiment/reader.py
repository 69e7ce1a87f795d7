"""External series from a file or the store, as frames that the join takes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.sentiment import arrivals, fear_greed, funding, headlines
from pipelines.sentiment.cells import moments
from pipelines.sentiment.declared import ExternalSeries
from pipelines.sentiment.errors import SeriesError
from pipelines.sentiment.lexicon import Scorer, vader
from pipelines.sentiment.tables import load

if TYPE_CHECKING:
    from pipelines.store.external_store import ExternalStore

STORED = "store:"
# Two machines' clocks need not agree better than this.
_TOLERANCE = pd.Timedelta("1min")


def read_series(
    series: ExternalSeries,
    source: str,
    *,
    now: pd.Timestamp,
    as_of: pd.Timestamp | None = None,
    store: "ExternalStore | None" = None,
    score: Scorer | None = None,
) -> pd.DataFrame:
    """A series in the form in which it is joined.

    Parameters
    ----------
    series
        Which one; headlines are counted from its ``delay`` on.
    source
        Path of a file, or ``store:NAME`` for a series of the store.
    now
        The wall clock; nothing was published after it.
    as_of
        Only what was public by then; None for everything.
    store
        Where ``store:`` leads to.
    score
        What scores headlines that bring no score; None for VADER.

    Returns
    -------
    DataFrame
        The series' columns (float64) on ``published_at`` (UTC, increasing), and ``not_before`` (UTC) where something
        came late, corrects an older value, or changes with time.

    Raises
    ------
    SeriesError
        If the source cannot be read, has no stamps of publication, naive, future or contradicting ones, or values that
        are not those of the series.
    """
    table, where = _table(source, store)
    match series.name:
        case "fear_greed":
            rows = fear_greed.rows(table, where)
        case "funding_rate":
            rows = funding.rows(table, where)
        case _:
            rows = headlines.rows(table, where)
    recorded = moments(table["recorded_at"], f"{where}, column recorded_at") if "recorded_at" in table else None
    rows = _observations(rows, recorded, now, where)
    if as_of is not None:
        rows = rows[(rows["published_at"] <= as_of) & (rows["not_before"] <= as_of)]
    if series.name == "headlines":
        return headlines.prepare(rows, series.delay.as_unit("ns").value, score or vader())
    transform = fear_greed.prepare if series.name == "fear_greed" else funding.prepare
    frame = rows.assign(**{series.columns[0]: transform(rows["value"])}).set_index("published_at")
    late = (frame["not_before"] > frame.index).any()
    return frame[[*series.columns, *(["not_before"] if late else [])]]


def _table(source: str, store: "ExternalStore | None") -> tuple[pd.DataFrame, str]:
    if not source.startswith(STORED):
        return load(Path(source)), source
    name = source.removeprefix(STORED)
    if store is None:
        raise SeriesError(
            f"{source} without a store", rule="store:NAME names a series of the store", remedy="name a file"
        )
    table = store.table(name)
    rows = table.reading(store.log(name), lambda log: table.observations(list(log.entries)))
    return rows.set_axis([str(column).lower() for column in rows.columns], axis=1), source


def _observations(rows: pd.DataFrame, recorded: pd.Series | None, now: pd.Timestamp, where: str) -> pd.DataFrame:
    """Rows in order of publication, each moment's values in the order they were recorded, with ``not_before``."""
    stamps = rows["published_at"].dt.as_unit("ns")
    if (ahead := stamps > now + _TOLERANCE).any():
        raise SeriesError(
            f"{int(ahead.sum())} of {len(rows)} values are published in the future, the first at {stamps[ahead].min()}",
            where=where,
            rule=f"published by now, {now}",
            remedy="look at the unit and the zone of the stamps; a forecast is published when it is made",
        )
    written = stamps if recorded is None else recorded.dt.as_unit("ns")
    if (early := written < stamps - _TOLERANCE).any():
        raise SeriesError(
            f"{int(early.sum())} of {len(rows)} values were recorded before they were published, "
            f"the first at {written[early].min()}",
            where=where,
            rule="recorded_at is not before published_at",
            remedy="look at which column is which, and at their zones",
        )
    rows = rows.assign(published_at=stamps, recorded_at=written)
    rows = rows.sort_values(["published_at", "recorded_at"], kind="stable", ignore_index=True)
    if "value" in rows:
        rows = rows[rows["value"].notna()].drop_duplicates()
        twice = rows.duplicated(["published_at", "recorded_at"], keep=False)
        if twice.any():
            raise SeriesError(
                f"two values for {rows['published_at'][twice].iloc[0]}",
                where=where,
                rule="one value for each moment of publication; a correction says when it was recorded",
                remedy="keep the first, or add the column recorded_at",
            )
    else:
        rows = rows[rows["title"].isna() | ~rows.duplicated(["published_at", "title"])]
        dated = headlines.dated(_nanoseconds(rows["published_at"]))
        rows = rows.assign(published_at=pd.to_datetime(dated, utc=True)).sort_values("published_at", kind="stable")
    published = _nanoseconds(rows["published_at"])
    since = arrivals.not_before(published, np.maximum(published, _nanoseconds(rows["recorded_at"])))
    return rows.assign(not_before=pd.DatetimeIndex(since, tz="UTC")).reset_index(drop=True)


def _nanoseconds(stamps: pd.Series) -> arrivals.Moments:
    return pd.DatetimeIndex(stamps).as_unit("ns").asi8
