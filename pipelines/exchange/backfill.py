"""A span of history page by page, whatever an exchange makes of ``since``. Pure: it is handed what asks.

Exchanges differ in what an empty page means. Some answer with the first bars at or after ``since``: then nothing is
left. Some answer for a window that begins there: then the window may lie in an outage, or before the market began.
Daily bars tell the difference, and where the next bar can be, in a request or two. And some pages are empty by
mistake: each is asked for twice, and what was skipped is named, so that later runs ask again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pandas as pd

from pipelines.exchange.candles import DAY, Page
from pipelines.exchange.coverage import Span
from pipelines.exchange.moments import millis

# Of an exchange that does not say how many rows an answer holds.
FEW = 100

# (since, limit) to a page of what was asked for; to opens of daily bars at or after ``since``'s day.
Ask = Callable[[int, int | None], Awaitable[Page]]
Days = Callable[[int], Awaitable[list[int]]]


@dataclass(frozen=True)
class Step:
    """A piece of history.

    Parameters
    ----------
    bars
        Closed bars, in order; those of the next step are later. May be none.
    covered
        What this answers, in milliseconds: up to the end of the last bar, or to the end of what was asked for if there
        are later bars.
    empty
        Windows within it that were answered with nothing.
    """

    bars: pd.DataFrame
    covered: Span
    empty: tuple[Span, ...]


async def walk(ask: Ask, days: Days | None, span: Span, bar: int, limit: int | None) -> AsyncIterator[Step]:
    """Go through ``[start, end)`` in order of time.

    What lies behind the last bar that the exchange has is not part of any step: it may be written yet.

    Parameters
    ----------
    ask
        Asks for bars.
    days
        Asks for daily bars; None where there are none, or the bars are as long.
    span
        Start and end, in milliseconds.
    bar
        Length of a bar in milliseconds.
    limit
        Most rows of an answer; None where it is not known.
    """
    begun, end = span
    cursor, empty = begun, list[Span]()
    while cursor < end:
        wanted = None if limit is None else min(limit, (end - cursor) // bar + 2)
        page = await ask(cursor, wanted)
        if page.first is None:
            page = await ask(cursor, wanted)
        if page.first is None:
            later = await _next(days, cursor, end, bar, limit)
            if later is None:
                return
            empty.append((cursor, min(later, end)))
            cursor = later
            continue
        # An answer with repeated rows may have been cut between two that belong together: its last bar is asked again.
        bars = page.bars.iloc[:-1] if page.repeated and len(page.bars) > 1 else page.bars
        # Where no bar came, the next one is not closed yet, or not asked for: nothing lies between here and there.
        upto = min(page.first, end) if bars.empty else millis(bars.index[-1]) + bar
        yield Step(bars, (begun, upto), tuple(empty))
        if bars.empty:
            return
        begun = cursor = upto
        empty = []


async def _next(days: Days | None, cursor: int, end: int, bar: int, limit: int | None) -> int | None:
    """Where to ask next after nothing came from ``cursor`` on; None if nothing later is there."""
    window = cursor + (limit or FEW) * bar
    if days is None or end - cursor < DAY:
        return window if window < end else None
    traded = [day for day in await days(cursor) if day + DAY > cursor]
    if not traded:
        return None
    if traded[0] > cursor:
        return traded[0] if traded[0] < end else None
    # Trading on this very day, before or after: window by window, but not beyond the day.
    later = min(window, traded[0] + DAY)
    return later if later < end else None
