"""``engine data fetch`` and ``engine data watch``: bars and funding rates of an exchange, into the store."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.context import Progress
    from pipelines.exchange.connection import Say
    from pipelines.exchange.terms import Terms
    from pipelines.exchange.update import Updated
    from pipelines.settings import Settings
    from pipelines.store.bar_store import Series

_LINE_EVERY = 5.0

Exchange = Annotated[str, typer.Option(help="As ccxt spells it, such as kraken, binance or bitfinex.")]
Symbol = Annotated[str, typer.Option(help="Such as BTC/USD or BTC-USD; BTC/USDT:USDT is a perpetual.")]
Timeframe = Annotated[str, typer.Option(help="Length of a bar, such as 1m, 1h or 1d.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one line of JSON for each bar.")]


@mendable
def fetch(
    exchange: Exchange,
    symbol: Symbol,
    timeframe: Timeframe,
    since: Annotated[
        str | None, typer.Option(help="ISO time (UTC) of the first bar. Default: continue what was fetched before.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Bars that open before this ISO time (UTC). Default: all closed ones.")
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(min=0, help="Newest bars to ask for again, for corrections. Default: the environment's."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask for all of it, also for what was answered before.")
    ] = False,
    funding: Annotated[bool, typer.Option(help="Fetch the funding rates of a perpetual as well.")] = True,
    as_json: Json = False,
) -> None:
    """Fetch an exchange's closed bars into the store: what is missing, and the newest ones again for corrections.

    Can be stopped or killed at any time: what was fetched is kept, and the next run goes on from there.
    """
    from dataclasses import asdict, replace

    from pipelines.exchange.fetch import as_object, gaps_within
    from pipelines.exchange.terms import Terms
    from pipelines.exchange.update import update
    from pipelines.store.bar_store import BarStore, Series

    settings = load_settings()
    series = Series.parse(exchange, symbol, timeframe)
    span = _moment(since, "--since"), _moment(until, "--until")
    _ordered(*span)
    terms = Terms.of(settings)
    terms = terms if overlap is None else replace(terms, overlap=overlap)
    folder = settings.store_folder
    with stdout_reserved(), _progress() as (tell, say):
        done = update(terms, folder, series, *span, again=again, funding=funding, progress=tell, say=say)
        gaps = gaps_within(BarStore(folder), series, done.bars.since, done.bars.until)
    if as_json:
        rates = None if done.funding is None else asdict(done.funding)
        print_json({**as_object(done.bars, gaps), "funding": rates, "store": folder})
        return
    for line in _lines(done, gaps):
        typer.echo(line)


@mendable
def watch(
    exchange: Exchange,
    symbol: Symbol,
    timeframe: Timeframe,
    as_json: JsonLines = False,
) -> None:
    """Print and store each bar as it closes, until Ctrl-C; live over the exchange's WebSocket where it has one.

    Goes on behind the newest stored bar: what closed since is fetched first. No bar is printed twice, or unfinished.
    """
    import asyncio
    import os

    from pipelines.exchange.terms import Terms
    from pipelines.store.bar_store import Series

    settings = load_settings()
    series = Series.parse(exchange, symbol, timeframe)
    write = _bar_json if as_json else _bar_line
    try:
        asyncio.run(_watched(settings, Terms.of(settings), series, lambda bars: _print_bars(bars, series, write)))
    except KeyboardInterrupt:
        typer.echo("stopped; every printed bar is stored", err=True)
    except BrokenPipeError:
        # Whoever read has enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _watched(
    settings: "Settings", terms: "Terms", series: "Series", write: "Callable[[pd.DataFrame], None]"
) -> None:
    from contextlib import aclosing

    from pipelines.exchange.connection import Connection
    from pipelines.exchange.watch import watch as closed_bars
    from pipelines.store.bar_store import BarStore

    async with Connection(series.venue, terms, _note) as connection:
        await connection.open(series)
        async with aclosing(closed_bars(connection, BarStore(settings.store_folder), series)) as stream:
            async for bars in stream:
                write(bars)


def _print_bars(bars: "pd.DataFrame", series: "Series", write: "Callable[[Any, Series], str]") -> None:
    for bar in bars.itertuples():
        sys.stdout.write(f"{write(bar, series)}\n")
    sys.stdout.flush()


def _bar_line(bar: Any, series: "Series") -> str:
    cells = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return "  ".join([f"{bar.Index:%Y-%m-%d %H:%M}", *(f"{cell:.12g}" for cell in cells)])


def _bar_json(bar: Any, series: "Series") -> str:
    import json

    return json.dumps(
        {
            "exchange": series.venue,
            "symbol": series.symbol,
            "timeframe": series.timeframe,
            "timestamp": bar.Index.isoformat(),
            "known_at": (bar.Index + series.bar).isoformat(),
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": bar.volume,
        }
    )


def _lines(updated: "Updated", gaps: "pd.DataFrame") -> Iterator[str]:
    done, funded = updated.bars, updated.funding
    came = "nothing new" if done.first is None else f"{done.first:%Y-%m-%d %H:%M} to {done.last:%Y-%m-%d %H:%M}"
    yield (
        f"{done.series}: {came}; {done.added:,} bars added, {done.corrected:,} corrected, {done.unchanged:,} unchanged"
        f" ({done.requests} requests, {done.retries} of them again)"
    )
    if len(gaps):
        longest = gaps.iloc[int(gaps["missing"].to_numpy().argmax())]
        yield (
            f"  {len(gaps):,} gaps, {gaps['missing'].sum():,} bars missing, the longest {longest['missing']:,}"
            f" from {longest['start']:%Y-%m-%d %H:%M}; `engine data gaps` lists them"
        )
    if funded is not None:
        yield (
            f"  funding rates ({funded.name}): {funded.added:,} added, {funded.corrected:,} corrected,"
            f" {funded.unchanged:,} unchanged"
        )
    for note in done.notes:
        yield f"  note: {note}"


def _moment(text: str | None, option: str) -> "pd.Timestamp | None":
    """A time in UTC from ISO 8601, as an option says it."""
    from datetime import datetime

    import pandas as pd

    from trading.errors import ParamsError

    if text is None:
        return None
    try:
        moment = pd.Timestamp(datetime.fromisoformat(text.strip()))
    except ValueError as error:
        raise ParamsError(
            f"{text!r} is not a time",
            where=option,
            rule="ISO 8601, in UTC where it names no offset",
            remedy="write it as 2024-01-01 or 2024-01-01T12:00:00+00:00",
        ) from error
    return moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")


def _ordered(since: "pd.Timestamp | None", until: "pd.Timestamp | None") -> None:
    from trading.errors import ParamsError

    if since is not None and until is not None and since >= until:
        raise ParamsError(
            f"--since {since} is not before --until {until}",
            rule="bars that open at --since or later, and before --until",
            remedy="swap them, or leave --until out",
        )


def _note(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _progress() -> "Iterator[tuple[Progress, Say]]":
    """Progress on stderr: one line that moves on a terminal, else a line now and then; notes on lines of their own."""
    import time

    terminal = sys.stderr.isatty()
    last = [float("-inf") if terminal else time.monotonic()]
    drawn = [False]

    def tell(done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if now - last[0] < (0.1 if terminal else _LINE_EVERY):
            return
        last[0] = now
        text = f"{done:,} of {total:,} ({done / max(total, 1):.0%}), {note}"
        sys.stderr.write(f"\r\033[K{text}" if terminal else f"{text}\n")
        sys.stderr.flush()
        drawn[0] = terminal

    def wipe() -> None:
        if drawn[0]:
            sys.stderr.write("\r\033[K")
            drawn[0] = False

    def say(text: str) -> None:
        wipe()
        _note(text)

    try:
        yield tell, say
    finally:
        wipe()
