"""Which live bars are finished, and which must be asked for. Pure: it is told rows and times, and never waits.

A stream shows the bar that is being made, over and over. It is finished when its time is over, its last changes have
had time to arrive, the stream has shown it after its end, *and* has moved on to a later bar. Where one of these is
missing, a quiet market, a slow exchange and a dead socket look alike, and the bar is asked for instead. So is all that
the stream has not shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.exchange.candles import Row, usable
from pipelines.exchange.coverage import Span

# Late changes of so many finished bars are told from what is known of them.
_REMEMBERED = 10


@dataclass(frozen=True)
class Due:
    """What is to be done now.

    Parameters
    ----------
    rows
        Finished bars, in order.
    ask
        Span of bars that only the exchange's history can tell; None if nothing is to be asked.
    """

    rows: tuple[Row, ...] = ()
    ask: Span | None = None


class LiveBars:
    """Bars of one series as they are finished: each once, in order.

    Times are milliseconds of the exchange's clock.

    Parameters
    ----------
    bar
        Length of a bar.
    settle
        How long after its end a bar may still change.
    last
        Open of the newest bar that is finished already.
    """

    def __init__(self, bar: int, settle: int, last: int) -> None:
        self.bar, self.settle, self.last = bar, settle, last
        self.newest = last
        self._held: dict[int, tuple[float, ...]] = {}
        self._ended: set[int] = set()
        self._finished: dict[int, tuple[float, ...]] = {}
        self._retry = 0
        self._wait = 0

    def see(self, rows: Sequence[Row], now: int) -> None:
        """Take in what the stream shows at a time."""
        for stamp, values in self._bars(rows):
            if stamp > self.last:
                self._held[stamp] = values
                self.newest = max(self.newest, stamp)
                if now >= stamp + self.bar:
                    self._ended.add(stamp)

    def changed(self, rows: Sequence[Row]) -> list[Row]:
        """Those of some rows that say something else of a bar which the stream finished before; each change once.

        Of a bar that the history finished, a stream may repeat how far it once had come: that is no change.
        """
        late: list[Row] = []
        for stamp, values in self._bars(rows):
            if self._finished.get(stamp, values) != values:
                self._finished[stamp] = values
                late.append((stamp, *values))
        return late

    def lose(self) -> None:
        """The stream broke off: what it showed last of a bar need not be its end."""
        self._held.clear()
        self._ended.clear()
        self.newest = self.last

    def due(self, now: int) -> Due:
        """What is finished at a time, or must be asked for."""
        over = self._newest_over(now)
        if over <= self.last:
            return Due()
        stamps = range(self.last + self.bar, over + self.bar, self.bar)
        if self.newest > over and self._ended.issuperset(stamps):
            rows = tuple((stamp, *self._held[stamp]) for stamp in stamps)
            self._finished.update({stamp: self._held[stamp] for stamp in stamps})
            self._finish(over)
            return Due(rows=rows)
        return Due(ask=(stamps[0], over + self.bar)) if now >= self._retry else Due()

    def answered(self, last: int | None, now: int) -> None:
        """Take in what the history told: open of the last bar it has of what was asked; None for none.

        A bar that is not there yet is asked for again later and later: it may come, or nobody traded.
        """
        if last is not None and last > self.last:
            self._finish(last)
        if self._newest_over(now) > self.last:
            self._wait = min(max(2 * self._wait, self.settle, self.bar // 60, 1), self.bar)
            self._retry = now + self._wait

    def wake(self, now: int) -> int:
        """When to look again if the stream says nothing."""
        if self._newest_over(now) > self.last:
            return max(self._retry, now)
        return self.last + 2 * self.bar + self.settle

    def _newest_over(self, now: int) -> int:
        """Open of the newest bar that is over and settled; at least the last finished one."""
        return self.last + max((now - self.settle - self.last) // self.bar - 1, 0) * self.bar

    def _finish(self, upto: int) -> None:
        self._held = {stamp: values for stamp, values in self._held.items() if stamp > upto}
        self._ended = {stamp for stamp in self._ended if stamp > upto}
        for stamp in sorted(self._finished)[:-_REMEMBERED]:
            del self._finished[stamp]
        self.last, self.newest = upto, max(self.newest, upto)
        self._retry = self._wait = 0

    def _bars(self, rows: Sequence[Row]) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Open and values of the rows that are bars."""
        for row in rows:
            if usable(row) and int(row[0]) % self.bar == self.last % self.bar:
                yield int(row[0]), tuple(float(cell) for cell in row[1:6])
