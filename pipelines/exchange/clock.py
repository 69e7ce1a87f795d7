"""The exchange's time. A bar is closed when the exchange says so, whatever the clock of this machine shows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import pandas as pd

from pipelines.exchange.moments import moment

# Local clocks that are further off than this are worth a word.
TOLERANCE = 2.0


@dataclass
class Ticker:
    """How time passes on this machine; tests let it pass faster.

    Parameters
    ----------
    elapsed
        Seconds since some moment, which never jump.
    wall
        Seconds since 1970, as this machine believes.
    sleep
        Waits for seconds.
    """

    elapsed: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass
class ExchangeClock:
    """Lower bound of the exchange's time: never ahead of it, so that no bar is taken for closed too early.

    A time that the exchange told was told before it arrived, and since then so much time has passed as this machine's
    monotonic clock counts, which nobody can set.

    Parameters
    ----------
    ticker
        How time passes here.
    """

    ticker: Ticker = field(default_factory=Ticker)
    source: str = "local"
    told: float = 0.0
    at: float = 0.0
    ahead: float | None = None

    def tell(self, milliseconds: float, source: str, sent: float) -> None:
        """Take in a time that the exchange told.

        Parameters
        ----------
        milliseconds
            Since 1970.
        source
            ``server`` (it was asked for the time) or ``header`` (of any answer, in whole seconds).
        sent
            ``ticker.elapsed()`` when it was asked.
        """
        arrived = self.ticker.elapsed()
        self.source, self.told, self.at = source, milliseconds / 1000, arrived
        # Somewhere between sending and receiving; headers are cut to whole seconds.
        half = (arrived - sent) / 2
        middle = self.told + (0.5 if source == "header" else 0.0)
        difference = self.ticker.wall() - half - middle
        self.ahead = difference if abs(difference) > TOLERANCE + half else 0.0

    def hear(self, headers: Mapping[str, str], sent: float) -> None:
        """Take in the ``Date`` of an answer, unless the exchange tells its time itself."""
        text = next((text for name, text in headers.items() if name.lower() == "date"), None)
        if self.source == "server" or not text:
            return
        try:
            told = parsedate_to_datetime(text).timestamp() * 1000
        except ValueError:
            return
        # Whole seconds, and perhaps those of a cache on the way: an earlier answer may have said more.
        if self.source == "local" or told > self.millis():
            self.tell(told, "header", sent)

    def millis(self) -> int:
        """Now, in milliseconds since 1970."""
        if self.source == "local":
            return int(self.ticker.wall() * 1000)
        return int((self.told + self.ticker.elapsed() - self.at) * 1000)

    def now(self) -> pd.Timestamp:
        """Now, in UTC."""
        return moment(self.millis())

    @property
    def warning(self) -> str:
        """A sentence about this machine's clock, or about whose clock is used; empty where all is well."""
        if self.source == "local":
            return "the exchange does not tell its time: this machine's clock decides which bars have closed"
        if self.ahead:
            way = "ahead of" if self.ahead > 0 else "behind"
            length = pd.Timedelta(seconds=round(abs(self.ahead)))
            return f"this machine's clock is {length} {way} the exchange's, whose clock decides which bars have closed"
        return ""
