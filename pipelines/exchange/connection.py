"""A conversation with one exchange: the only caller of ccxt.

Everything that can pass is tried again, as often and as slowly as the terms say; everything else becomes an error that
its reader can mend.
"""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pipelines.exchange.candles import Row
from pipelines.exchange.catalogue import exchange_class, exchange_id, market_of, timeframe_of
from pipelines.exchange.clock import ExchangeClock
from pipelines.exchange.errors import ExchangeError, UnsupportedError
from pipelines.exchange.failure import Answer, back_off, diagnose
from pipelines.exchange.terms import Terms
from pipelines.store.bar_store import Series

T = TypeVar("T")
Say = Callable[[str], None]
_ADDRESS = re.compile(r"(http|ws)s?://([^/:]+)(:\d+)?")
_TARGET = re.compile(r"http(s?)://([^/\s].*?)/*")
_JITTER = 0.2
_CLOSING = 3.0


def unheard(note: str) -> None:
    """Notes for callers who do not listen."""


class Connection:
    """Ask for markets, time, bars and funding rates of one exchange, in an ``async with``.

    Parameters
    ----------
    exchange
        Its name, as ccxt spells it.
    terms
        How it is talked to.
    say
        Told about every attempt that failed, and about a clock that is off.
    clock
        Where the exchange's time is kept.
    """

    def __init__(self, exchange: str, terms: Terms, say: Say = unheard, clock: ExchangeClock | None = None) -> None:
        self.name = exchange_id(exchange)
        self.terms, self.say = terms, say
        self.clock = clock or ExchangeClock()
        self.requests = self.retries = 0
        self._sent = 0.0
        self.api = _watched(exchange_class(self.name), self._hear)(
            {
                "enableRateLimit": terms.rate_limit,
                "timeout": max(int(terms.timeout * 1000), 1),
                # A company's proxy and its certificate, as every other tool of this machine takes them.
                "aiohttp_trust_env": True,
                "options": {"include_OS_certificates": True},
                # A plain address has no certificate to check; those of the others take a moment to load.
                "verify": not terms.url.startswith("http://"),
            }
        )
        if not self.api.has.get("fetchOHLCV"):
            raise UnsupportedError(
                f"{self.name} does not give bars",
                rule="a source of bars has them ready: bars made of trades here would be other bars than its own",
                remedy="choose another exchange",
            )
        if terms.url:
            self.api.urls["api"] = redirected(self.api.urls["api"], terms.url)
            # Closing waits for connections that TLS keeps open; to an address of one's own there are none.
            self.api.timeout_on_exit = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A socket is closed politely, but not for long: whoever presses Ctrl-C has no network, perhaps.
        with suppress(TimeoutError):
            await asyncio.wait_for(self.api.close(), _CLOSING)

    async def open(self, series: Series) -> Mapping[str, Any]:
        """Read the markets and the time; the market of a series.

        Raises
        ------
        UnsupportedError
            If the exchange does not have the symbol or the timeframe.
        UnreachableError, RefusedError
            As :meth:`call`.
        """
        timeframe_of(self.name, self.api.timeframes, series.timeframe)
        markets = await self.call(lambda: self.api.load_markets())
        market = market_of(self.name, markets, series.symbol)
        await self.read_time()
        if self.clock.warning:
            self.say(self.clock.warning)
        return market

    async def read_time(self) -> None:
        """Set the clock by the exchange's; where it does not tell its time, by what its answers are stamped with."""
        if not self.api.has.get("fetchTime"):
            return
        told = await self.call(lambda: self.api.fetch_time())
        if told:
            self.clock.tell(float(told), "server", self._sent)
            # ccxt computes some ends of spans by this machine's clock.
            self.api.milliseconds = self.clock.millis

    async def rows(self, series: Series, since: int, limit: int | None, timeframe: str | None = None) -> Sequence[Row]:
        """Rows of bars from ``since`` (milliseconds) on, as the exchange sends them."""
        found = await self.call(
            lambda: self.api.fetch_ohlcv(series.symbol, timeframe or series.timeframe, since, limit)
        )
        return found or ()

    async def funding(self, series: Series, since: int, limit: int | None) -> Sequence[Mapping[str, Any]]:
        """Funding rates from ``since`` (milliseconds) on, as ccxt unifies them."""
        found = await self.call(lambda: self.api.fetch_funding_rate_history(series.symbol, since, limit))
        return found or ()

    def page(self, series: Series, method: str = "fetchOHLCV") -> int | None:
        """Most rows that one answer holds; None where ccxt does not know it."""
        limit = self.api.feature_value(series.symbol, method, "limit")
        return int(limit) if limit else None

    async def call(self, request: Callable[[], Awaitable[T]]) -> T:
        """Make a request until it is answered.

        Raises
        ------
        UnreachableError
            After as many attempts as the terms allow, or if the exchange asks for more patience than they have.
        RefusedError, UnsupportedError, ExchangeError
            At once, where asking again cannot help.
        """
        import ccxt

        for attempt in range(1, self.terms.attempts + 1):
            self.requests += 1
            self._sent = self.clock.ticker.elapsed()
            try:
                return await request()
            except ccxt.BaseError as error:
                failure = diagnose(self.name, self._host(), error, datetime.now(UTC))
                wait = back_off(attempt, self.terms.pause) * random.uniform(1, 1 + _JITTER)
                if failure.wait is not None:
                    wait = max(wait, failure.wait)
                asked_too_much = (failure.wait or 0.0) > self.terms.patience
                if not failure.passing or asked_too_much or attempt == self.terms.attempts:
                    raise failure.error from error
                self.retries += 1
                self.say(
                    f"{self.name} {failure.said}; asking again in {wait:.3g} s ({attempt} of {self.terms.attempts - 1})"
                )
            await self.clock.ticker.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _host(self) -> str:
        url = self.terms.url or getattr(self.api, "last_request_url", None) or ""
        return urlsplit(url).netloc or self.name

    def _hear(self, headers: Mapping[str, str]) -> None:
        self.clock.hear(headers, self._sent)


def redirected(urls: Any, target: str) -> Any:
    """An exchange's addresses, each led to ``target``; its own host becomes the first part of the path.

    Parameters
    ----------
    urls
        A text, or mappings of texts as deep as they come.
    target
        Such as ``http://127.0.0.1:8080``. Addresses of WebSockets keep their scheme (``ws``, or ``wss`` for https).

    Raises
    ------
    ExchangeError
        If the target is no address.
    """
    if isinstance(urls, Mapping):
        return {name: redirected(url, target) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    to = _TARGET.fullmatch(target)
    if to is None:
        raise ExchangeError(
            f"{target!r} is no address",
            where="ENGINE_EXCHANGE_URL",
            rule="http:// or https://, a host, and perhaps a port and a path",
            remedy="write it as http://127.0.0.1:8080, or unset it",
        )
    return _ADDRESS.sub(lambda found: f"{found[1]}{to[1]}://{to[2]}/{found[2]}", urls, count=1)


def _watched(kind: Any, hear: Callable[[Mapping[str, str]], None]) -> Any:
    """The class with one difference: its errors carry the answer they are about, and half an answer is an error.

    ccxt hands a body that is no JSON on as text, which some adapters take for an empty list: a page that was cut off
    would be a hole in history.
    """
    import ccxt

    class Watched(kind):
        def handle_errors(
            self,
            code: int,
            reason: str,
            url: str,
            method: str,
            headers: Mapping[str, str],
            body: str,
            response: Any,
            request_headers: Any,
            request_body: Any,
        ) -> None:
            try:
                if code < 400 and response is None and not _is_json(body):
                    raise ccxt.BadResponse(f"the body is not whole ({len(body or '')} characters)")
                super().handle_errors(code, reason, url, method, headers, body, response, request_headers, request_body)
                self.handle_http_status_code(code, reason, url, method, body)
            except ccxt.BaseError as error:
                error.answer = Answer(code, dict(headers))
                raise
            hear(headers)

    Watched.__name__ = kind.__name__
    return Watched


def _is_json(body: str) -> bool:
    try:
        json.loads(body)
    except (TypeError, ValueError):
        return False
    return True
