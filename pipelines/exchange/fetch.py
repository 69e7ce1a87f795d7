"""Bring a series of the bar store up to date with its exchange.

Every page is stored before it is noted as answered: a kill in between costs one request, never a bar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.context import Progress, silent
from pipelines.exchange.backfill import FEW, Step, walk
from pipelines.exchange.candles import DAY, Page, to_page, usable
from pipelines.exchange.connection import Connection
from pipelines.exchange.coverage import Coverage, CoverageFile, to_ask
from pipelines.exchange.errors import ExchangeError
from pipelines.exchange.moments import millis, milliseconds_in, moment
from pipelines.store.bar_store import BarStore, Series
from trading.errors import ParamsError

_EXAMPLES = 3


@dataclass
class Fetched:
    """What a fetch did.

    Parameters
    ----------
    series
        The series.
    since, until
        What was wanted: bars that open in ``[since, until)``.
    added, unchanged, corrected
        Bars, as the store counted them.
    requests, retries
        Made of the exchange, and made again.
    first, last
        Opens of the first and the last bar that came; None where none came.
    dropped
        Rows that are no bars, by what is wrong with them.
    notes
        Sentences.
    """

    series: Series
    since: pd.Timestamp
    until: pd.Timestamp
    added: int = 0
    unchanged: int = 0
    corrected: int = 0
    requests: int = 0
    retries: int = 0
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def coverage_file(root: Path, series: Series) -> CoverageFile:
    """Where the coverage of a series is noted: beside the bars of its store."""
    return CoverageFile(root / "coverage" / series.venue / f"{series.instrument.name}.json")


async def fetch_bars(
    connection: Connection,
    store: BarStore,
    series: Series,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    *,
    again: bool = False,
    progress: Progress = silent,
) -> Fetched:
    """Fetch what the store lacks of a series, and the newest bars once more.

    Parameters
    ----------
    connection
        Open: :meth:`~pipelines.exchange.connection.Connection.open` was called for the series.
    store
        Where the bars go.
    series
        Which.
    since
        Open of the first bar that is wanted. None: continue what was fetched before.
    until
        Bars that open at or after it are not wanted. None: up to the last one that the exchange has closed.
    again
        Ask for everything between the two, also for what was answered before.
    progress
        Told how many bars of time are done.

    Raises
    ------
    ParamsError
        If ``since`` is missing though nothing was fetched before, or not before ``until``.
    ExchangeError
        If the exchange cannot be asked any more (what came before is stored), or has no bar on the grid.
    StoreError
        If the store cannot be written.
    """
    bar = milliseconds_in(series.bar)
    notes_of = coverage_file(store.root, series)
    known = _known(store, series, notes_of)
    closed = connection.clock.millis() - bar + 1
    start = _start(series, since, known)
    end = closed if until is None else min(millis(until), closed)
    grid = min(bar, DAY)
    done = Fetched(series, moment(start), moment(max(start, -(-end // grid) * grid)))
    before = connection.requests, connection.retries
    limit = connection.page(series)
    spans = [(start, end)] if again else to_ask(known, start, end, connection.terms.overlap * bar, (limit or FEW) * bar)
    spans = [(a, b) for a, b in spans if a < b]
    total, finished = sum(b - a for a, b in spans) // bar, 0
    answers = _Answers(connection, series)
    for span in spans:
        async for step in walk(answers.ask(span[1]), answers.days, span, bar, limit):
            _take(store, series, connection, step, done)
            notes_of.update(partial(_noted, step=step))
            progress(min(finished + (step.covered[1] - span[0]) // bar, total), total, f"to {moment(step.covered[1])}")
        finished += (span[1] - span[0]) // bar
    done.requests, done.retries = connection.requests - before[0], connection.retries - before[1]
    done.dropped = {name: count for name, count in answers.dropped.items() if count}
    done.notes += _remarks(connection, series, done, known, limit, spans)
    return done


def unfetched(series: Series) -> ParamsError:
    """What to say of a series that nobody can continue, because it was never begun."""
    return ParamsError(
        f"nothing of {series} was fetched before",
        rule="the first fetch says where to begin, later ones continue",
        remedy=f"fetch it once with `engine data fetch --exchange {series.venue} --symbol {series.symbol}"
        f" --timeframe {series.timeframe} --since 2024-01-01`",
    )


def gaps_within(store: BarStore, series: Series, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Holes among the stored bars of a time, as :meth:`~pipelines.store.bar_store.BarStore.gaps` says them."""
    if store.last(series) is None:
        return pd.DataFrame({"start": [], "end": [], "missing": []})
    found = store.gaps(series)
    return found[(found["end"] > since) & (found["start"] < until)].reset_index(drop=True)


class _Answers:
    """Asks a connection for pages of one series, and counts what was no bar."""

    def __init__(self, connection: Connection, series: Series) -> None:
        self.connection, self.series = connection, series
        self.bar = milliseconds_in(series.bar)
        self.dropped = {"unusable": 0, "off_grid": 0, "repeated": 0}
        self._days: list[int] = []
        daily = self.bar < DAY and "1d" in (connection.api.timeframes or {})
        self.days = self._ask_days if daily else None

    def ask(self, end: int) -> Any:
        async def ask(since: int, limit: int | None) -> Page:
            rows = await self.connection.rows(self.series, since, limit)
            page = to_page(rows, self.bar, since, end, self.connection.clock.millis())
            for name in self.dropped:
                self.dropped[name] += getattr(page, name)
            if page.first is None and page.off_grid:
                raise _off_grid(self.connection.name, self.series)
            return page

        return ask

    async def _ask_days(self, since: int) -> list[int]:
        """Opens of daily bars from the day of ``since`` on: as many as it takes to find one."""
        day = since - since % DAY
        # History is walked through forwards: what was told of later days still holds.
        self._days = [one for one in self._days if one >= day]
        limit, asked = self.connection.page(self.series), day
        while not self._days and asked < self.connection.clock.millis():
            rows = await self.connection.rows(self.series, asked, limit, "1d")
            self._days = sorted({int(row[0]) for row in rows if usable(row) and int(row[0]) >= day})
            asked += (limit or FEW) * DAY
        return self._days


def _known(store: BarStore, series: Series, notes: CoverageFile) -> Coverage:
    """What was answered before. Where the notes are lost, the bars themselves stand for them, without their holes."""
    last = store.last(series)
    if last is None:
        return Coverage()
    found = notes.read()
    if found is not None:
        return found
    first, holes = millis(store.read(series).index[0]), store.gaps(series)
    rebuilt = Coverage()
    for start, end in zip(holes["start"], holes["end"], strict=True):
        rebuilt = rebuilt.add(first, millis(start))
        first = millis(end)
    rebuilt = rebuilt.add(first, millis(last) + milliseconds_in(series.bar))
    notes.update(lambda _: rebuilt)
    return rebuilt


def _start(series: Series, since: pd.Timestamp | None, known: Coverage) -> int:
    if since is not None:
        bar = min(milliseconds_in(series.bar), DAY)
        return -(-millis(since) // bar) * bar
    if known.start is None:
        raise unfetched(series)
    return known.start


def _take(store: BarStore, series: Series, connection: Connection, step: Step, done: Fetched) -> None:
    if step.bars.empty:
        return
    counted = store.append(series, step.bars, connection.clock.now())
    done.added += counted.added
    done.unchanged += counted.unchanged
    done.corrected += counted.corrected
    done.first = done.first or step.bars.index[0]
    done.last = step.bars.index[-1]


def _noted(old: Coverage, step: Step) -> Coverage:
    """With what a step answered; a window that it answered with nothing counts only once enough runs agree."""
    begun = step.covered[0]
    new = old
    for start, end in step.empty:
        new = new.add(begun, start).doubt(start, end)
        begun = end
    return new.add(begun, step.covered[1])


def _off_grid(name: str, series: Series) -> ExchangeError:
    return ExchangeError(
        f"{name}'s {series.timeframe} bars of {series.symbol} do not open at whole multiples of {series.timeframe}",
        rule="bars open at multiples of their length from midnight UTC",
        remedy="fetch shorter bars and export them to a file; `engine run --bars` makes longer bars of it",
    )


def _remarks(
    connection: Connection,
    series: Series,
    done: Fetched,
    known: Coverage,
    limit: int | None,
    spans: Sequence[tuple[int, int]],
) -> list[str]:
    said = []
    if done.first is None and spans and known.end is None:
        said.append(f"{connection.name} has no bar of {series.symbol} {series.timeframe} in this time")
    if done.first is not None and spans and millis(done.first) > spans[0][0] + milliseconds_in(series.bar):
        shortly = limit is not None and (done.last - done.first) // series.bar < limit  # type: ignore[operator]
        why = (
            f"it may give no more than its newest {limit} bars of this length; shorter bars reach less far back"
            if shortly and done.until - done.last <= 2 * series.bar  # type: ignore[operator]
            else "it was not traded there before, or that is as far back as the exchange gives bars"
        )
        said.append(f"asked from {moment(spans[0][0])}, but the first bar is of {done.first}: {why}")
    words = {
        "unusable": "rows without a number in every cell were left out",
        "off_grid": "rows that open between two bars were left out",
        "repeated": "rows came twice; the last one counts",
    }
    said += [f"{done.dropped[name]} {text}" for name, text in words.items() if done.dropped.get(name)]
    return said


def as_object(done: Fetched, gaps: pd.DataFrame) -> Mapping[str, Any]:
    """What a fetch did, for JSON."""
    return {
        "exchange": done.series.venue,
        "symbol": done.series.symbol,
        "timeframe": done.series.timeframe,
        "since": done.since,
        "until": done.until,
        "first": done.first,
        "last": done.last,
        "added": done.added,
        "unchanged": done.unchanged,
        "corrected": done.corrected,
        "requests": done.requests,
        "retries": done.retries,
        "gaps": {
            "count": len(gaps),
            "missing": int(gaps["missing"].sum()),
            "examples": gaps.head(_EXAMPLES).to_dict(orient="records"),
        },
        "notes": done.notes,
    }
