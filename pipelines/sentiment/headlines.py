"""Headlines as a series: how many there were in the last hours, and their mean score."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.sentiment.cells import first_of, numbers, published, within
from pipelines.sentiment.declared import WINDOWS
from pipelines.sentiment.errors import SeriesError
from pipelines.sentiment.lexicon import Scorer

_TITLES = ("title", "headline")
_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
# Scores are whole millionths inside, so that a sum does not depend on where it began.
_UNIT = 1_000_000

Moments = NDArray[np.int64]


def rows(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Headlines of a table.

    Parameters
    ----------
    table
        ``published_at`` and a ``title`` (or ``headline``), a ``score`` in [-1, 1] from elsewhere, or both.
    where
        File, for the message.

    Returns
    -------
    DataFrame
        ``published_at`` (UTC), ``title`` and ``score``, NaN where there is none; rows with neither are left out.

    Raises
    ------
    SeriesError
        If a column is missing, all rows are empty, or a score is not in [-1, 1].
    """
    title = first_of(table, _TITLES)
    if title is None and "score" not in table:
        raise SeriesError(
            "no column for headlines",
            where=f"{where}, columns {', '.join(map(str, table.columns))}",
            rule="a title to be scored, or a score in [-1, 1]",
            remedy="name the column title or score",
        )
    stamps = published(table, where)
    texts = pd.Series(pd.NA, index=table.index, dtype="string") if title is None else table[title].astype("string")
    texts = texts.str.strip()
    texts = texts.mask(texts == "")
    if "score" in table and (title is None or table["score"].notna().any()):
        scores = numbers(table["score"], f"{where}, column score")
        within(scores, -1.0, 1.0, "score", f"{where}, column score", "scale scores to [-1, 1]")
    else:
        scores = pd.Series(np.nan, index=table.index)
    said = texts.notna() | scores.notna()
    if not said.any():
        raise SeriesError(
            f"all {len(table)} headlines are empty", where=where, rule="a title or a score", remedy="export them again"
        )
    return pd.DataFrame({"published_at": stamps, "title": texts, "score": scores}).loc[said]


def prepare(rows: pd.DataFrame, delay: int, score: Scorer) -> pd.DataFrame:
    """Windows over headlines, in the form in which they are joined.

    Parameters
    ----------
    rows
        m headlines: ``published_at``, ``not_before`` (UTC), ``title`` and ``score``. A score that is there is taken,
        else the title's.
    delay
        ns from publication to use.
    score
        What scores titles.

    Returns
    -------
    DataFrame
        As :func:`windows`.
    """
    stamps, since = (pd.DatetimeIndex(rows[name]).as_unit("ns").asi8 for name in ("published_at", "not_before"))
    scores = rows["score"].to_numpy(dtype=np.float64, copy=True)
    unscored = np.isnan(scores)
    if unscored.any():
        scores[unscored] = score(rows["title"][unscored].tolist())
    return windows(stamps, since, scores, delay)


def dated(published: Moments) -> Moments:
    """Moments of publication, where midnight sharp stands for a date: the day is over before it is used."""
    return np.where(published % _DAY == 0, published + _DAY, published)


def windows(published: Moments, not_before: Moments, scores: NDArray[np.float64], delay: int) -> pd.DataFrame:
    """Count and mean score of the headlines usable in the last hours, at every moment at which they change.

    A headline enters when it may be used, ``max(published + delay, not_before)``, and leaves ``hours`` after
    ``published + delay``. What holds at a moment depends on headlines usable by then and on nothing else.

    Parameters
    ----------
    published, not_before
        m moments, ns, in any order.
    scores
        m scores in [-1, 1].
    delay
        ns from publication to use.

    Returns
    -------
    DataFrame
        On ``published_at``, the publication of the newest usable headline: ``headlines_score_4h`` and so on, and
        ``not_before``, the moment from which the row holds. Sorted by both.
    """
    enters = np.maximum(published + delay, not_before)
    moments = np.unique(np.concatenate([enters, *(published + delay + hours * _HOUR for hours in WINDOWS)]))
    moments = moments[moments >= enters.min()] if len(enters) else moments
    order = np.argsort(enters, kind="stable")
    newest = np.maximum.accumulate(published[order])
    newest = newest[np.searchsorted(enters[order], moments, side="right") - 1]
    whole = np.rint(scores * _UNIT).astype(np.int64)
    columns: dict[str, NDArray[np.float64]] = {}
    for hours in WINDOWS:
        leaves = published + delay + hours * _HOUR
        stays = enters < leaves
        count = _passed(moments, enters[stays]) - _passed(moments, leaves[stays])
        total = _passed(moments, enters[stays], whole[stays]) - _passed(moments, leaves[stays], whole[stays])
        columns[f"headlines_score_{hours}h"] = total / (_UNIT * np.maximum(count, 1))
        columns[f"headlines_count_{hours}h"] = np.log1p(count)
    index = pd.DatetimeIndex(newest, tz="UTC", name="published_at")
    return pd.DataFrame(columns, index=index).assign(not_before=pd.DatetimeIndex(moments, tz="UTC"))


def _passed(moments: Moments, events: Moments, amounts: Moments | None = None) -> Moments:
    """Sum of the amounts, or count, of the events up to each moment."""
    order = np.argsort(events, kind="stable")
    sizes = np.ones(len(events), dtype=np.int64) if amounts is None else amounts[order]
    sums = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    return sums[np.searchsorted(events[order], moments, side="right")]
