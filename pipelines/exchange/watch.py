"""Closed bars as they close: from the exchange's WebSocket where it has one, else by asking; stored, then told.

The stream only ever shortens the way. Whatever it does not show (a gap while the line was cut, a bar that began before
it, a quiet market) is asked for, and every bar that it showed is asked for once more before it leaves the overlap, so
that the history ends as if it had been fetched.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial

import pandas as pd

from pipelines.exchange.candles import Row, to_bars
from pipelines.exchange.connection import Connection
from pipelines.exchange.coverage import Coverage
from pipelines.exchange.errors import UnreachableError
from pipelines.exchange.fetch import coverage_file, fetch_bars
from pipelines.exchange.live import LiveBars
from pipelines.exchange.moments import millis, milliseconds_in, moment
from pipelines.exchange.stream import Cut, Event, Over, Rows, mode_of, pump, stop
from pipelines.store.bar_store import BarStore, Series

# Clocks drift, and machines sleep.
_CLOCK_EVERY = 300.0
_CORRECTED = "the exchange corrected {} bar(s) after their end; both versions are stored"
_SAID = {
    "bars": "live bars come over the WebSocket",
    "trades": "{name} has no live bars: its live trades say when a bar has ended, and then it is asked for",
    "polling": "{name} has no WebSocket here: bars are asked for as they end",
}


async def watch(connection: Connection, store: BarStore, series: Series) -> AsyncGenerator[pd.DataFrame]:
    """Closed bars from now on, for as long as it is iterated; after the store's newest bar if it has one.

    Parameters
    ----------
    connection
        Open for the series. What it says is said to its listener.
    store
        Where bars are stored before they are yielded.
    series
        Which.

    Yields
    ------
    DataFrame
        One or more bars of the contract. Over all of them time increases strictly: each bar once.

    Raises
    ------
    ExchangeError
        What waiting cannot mend. That the exchange cannot be reached is said, and waited for.
    StoreError
        If the store cannot be written.
    """
    watcher = _Watcher(connection, store, series)
    mode = mode_of(connection)
    connection.say(_SAID[mode].format(name=connection.name))
    known = store.last(series)
    await watcher.catch_up()
    if known is not None and watcher.live.last > millis(known):
        yield store.read(series, known + series.bar, moment(watcher.live.last) + series.bar)
    events: asyncio.Queue[Event] = asyncio.Queue()
    reader = asyncio.create_task(pump(connection, series, mode, events))
    try:
        while True:
            if reader.done():
                reader.result()
            await watcher.take(await watcher.next_event(events))
            bars = await watcher.finished()
            if not bars.empty:
                yield bars
    finally:
        await stop(reader)


class _Watcher:
    """The state of one watch: what is finished, when the clock was read, whether the line holds."""

    def __init__(self, connection: Connection, store: BarStore, series: Series) -> None:
        self.connection, self.store, self.series = connection, store, series
        # Whoever waits for a bar anyway need not wait within one request.
        self.connection.terms = replace(connection.terms, attempts=min(connection.terms.attempts, 2))
        self.bar = milliseconds_in(series.bar)
        self.clock = connection.clock
        self.live = LiveBars(self.bar, int(connection.terms.settle * 1000), 0)
        self.notes = coverage_file(store.root, series)
        self.cut = self.unreachable = False
        self.unconfirmed = 0
        self.read_at = self.clock.ticker.elapsed()

    async def catch_up(self) -> None:
        """Bring the history up to now, and begin behind its newest bar."""
        closed = self.clock.millis() // self.bar * self.bar
        since = None if self.store.last(self.series) else moment(closed - self.connection.terms.overlap * self.bar)
        done = await fetch_bars(self.connection, self.store, self.series, since)
        last = self.store.last(self.series)
        newest = closed - self.bar if last is None else millis(last)
        self.live = LiveBars(self.bar, self.live.settle, newest)
        self.connection.say(
            f"caught up with {done.added} bars; the newest is {'none' if last is None else f'of {last}'}"
        )

    async def next_event(self, events: "asyncio.Queue[Event]") -> Event | None:
        """The next event of the stream; None once it is time to look at the clock."""
        now = self.clock.millis()
        wait = max(self.live.wake(now) - now, 1) / 1000
        if not events.empty():
            return events.get_nowait()
        getting = asyncio.ensure_future(events.get())
        sleeping = asyncio.ensure_future(self.clock.ticker.sleep(min(wait, _CLOCK_EVERY)))
        try:
            await asyncio.wait({getting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            sleeping.cancel()

    async def take(self, event: Event | None) -> None:
        """Take in an event; what it changes about finished bars is stored as a correction."""
        match event:
            case Rows(rows, recent):
                if self.cut:
                    self.cut = False
                    self.connection.say("the WebSocket is back")
                self.live.see(rows, self.clock.millis())
                if late := self.live.changed(recent):
                    self.store_rows(late)
                    self.connection.say(_CORRECTED.format(len(late)))
                if self.live.newest > self.clock.millis():
                    await self.read_clock()
            case Cut(reason):
                self.live.lose()
                if not self.cut:
                    self.cut = True
                    self.connection.say(f"the WebSocket was cut ({reason}): bars are asked for until it is back")
            case Over(reason):
                self.live.lose()
                self.connection.say(f"no WebSocket ({reason}): bars are asked for as they end")
            case None:
                if self.clock.ticker.elapsed() - self.read_at > _CLOCK_EVERY:
                    await self.read_clock()

    async def finished(self) -> pd.DataFrame:
        """Bars that are finished by now; stored."""
        due = self.live.due(self.clock.millis())
        if due.rows:
            bars = self.store_rows(due.rows)
            self.unconfirmed += len(bars)
            if self.unconfirmed * 2 > self.connection.terms.overlap:
                await self.ask()
            return bars
        if due.ask is None:
            return to_bars(())
        start, end = due.ask
        if not await self.ask():
            self.live.answered(None, self.clock.millis())
            return to_bars(())
        bars = self.store.read(self.series, moment(start), moment(end))
        self.live.answered(None if bars.empty else millis(bars.index[-1]), self.clock.millis())
        return bars

    async def ask(self) -> bool:
        """Ask for what follows the last finished bar, and for the overlap before it; whether the exchange answered."""
        since = moment(max(self.live.last - self.connection.terms.overlap * self.bar, 0))
        try:
            done = await fetch_bars(self.connection, self.store, self.series, since)
        except UnreachableError as error:
            if not self.unreachable:
                self.connection.say(f"{error.what}; waiting for it")
            self.unreachable = True
            return False
        if self.unreachable:
            self.connection.say(f"{self.connection.name} answers again")
        self.unreachable, self.unconfirmed = False, 0
        if done.corrected:
            self.connection.say(_CORRECTED.format(done.corrected))
        return True

    async def read_clock(self) -> None:
        """Read the exchange's time again, if it can be reached."""
        self.read_at = self.clock.ticker.elapsed()
        try:
            await self.connection.read_time()
        except UnreachableError:
            return

    def store_rows(self, rows: tuple[Row, ...] | list[Row]) -> pd.DataFrame:
        """Store finished rows of the stream, and note them as answered."""
        bars = to_bars(sorted(rows, key=lambda row: int(row[0])))
        if not bars.empty:
            self.store.append(self.series, bars, self.clock.now())
            stamps = [millis(stamp) for stamp in bars.index]
            self.notes.update(partial(_noted, opens=stamps, bar=self.bar))
        return bars


def _noted(old: Coverage, opens: list[int], bar: int) -> Coverage:
    for start in opens:
        old = old.add(start, start + bar)
    return old
