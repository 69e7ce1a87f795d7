"""What an exchange's refusal means: whether asking again can help, when, and what to tell the reader. Pure.

ccxt puts most failures into classes, but by its exchange's adapter: the same HTTP 403 can be an address that is not
served, and ``ExchangeNotAvailable``. The status of the answer decides where there is one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipelines.exchange.errors import ExchangeError, RefusedError, UnreachableError, UnsupportedError

_SHOWN = 160
_PASSING = frozenset({408, 409, 418, 425, 429})
_TOO_MANY = frozenset({418, 429})
# ccxt raises these by name; their bases are passing or not as the base is.
_PASSING_KINDS = ("RequestTimeout", "NetworkError", "BadResponse", "OperationFailed")
_MIRROR = "a mirror that ENGINE_EXCHANGE_URL names"


@dataclass(frozen=True)
class Answer:
    """The head of an HTTP answer.

    Parameters
    ----------
    status
        Such as 429.
    headers
        By name.
    """

    status: int
    headers: Mapping[str, str]

    def header(self, name: str) -> str | None:
        """A header whatever the case of its name."""
        return next((text for key, text in self.headers.items() if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Failure:
    """A request that failed.

    Parameters
    ----------
    passing
        Whether the same request can succeed later.
    wait
        Seconds that the exchange asks to wait; None where it does not say.
    said
        What happened, in words that follow the exchange's name.
    error
        What to raise if it is not tried again.
    """

    passing: bool
    wait: float | None
    said: str
    error: ExchangeError


def diagnose(name: str, host: str, error: Exception, now: datetime) -> Failure:
    """What a failed request means.

    Parameters
    ----------
    name, host
        The exchange, and the address that was asked.
    error
        As ccxt raised it; ``answer`` is the :class:`Answer`, where there was one.
    now
        The time, for a ``Retry-After`` that is a date.
    """
    answer: Answer | None = getattr(error, "answer", None)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    status = answer.status if answer else None
    if status in (403, 451) or "RestrictedLocation" in kinds:
        return _refused(
            f"does not serve this address ({_because(error, status)})",
            RefusedError(
                f"{name} does not serve this address",
                where=_place(host, status),
                rule="an exchange decides which countries and networks it answers",
                remedy=f"use the exchange's own site for your region, another exchange, or {_MIRROR}",
            ),
        )
    if status in (401, 407) or "AuthenticationError" in kinds:
        return _refused(
            "asks for a key",
            RefusedError(
                f"{name} asks for a key: {_text(error)}",
                where=_place(host, status),
                rule="only public data is fetched, without a key",
                remedy="choose another exchange",
            ),
        )
    if "NotSupported" in kinds or "BadSymbol" in kinds:
        return _refused(
            _text(error),
            UnsupportedError(f"{name} does not have this: {_text(error)}", remedy="choose another symbol or exchange"),
        )
    if status in _TOO_MANY or kinds & {"RateLimitExceeded", "DDoSProtection"}:
        asked = retry_after(answer, now)
        said = "says that there were too many requests" + (f", and asks for {asked:g} s" if asked else "")
        return Failure(
            True,
            asked,
            said,
            UnreachableError(
                f"{name} {said}",
                where=_place(host, status),
                rule="an exchange serves so many requests in a while, and for some hours none after too many",
                remedy="wait, end what else asks it from this address, or raise ENGINE_EXCHANGE_PATIENCE",
            ),
        )
    if status is None:
        return _without_answer(name, host, error, kinds)
    if status >= 500 or status in _PASSING or (status < 400 and kinds & set(_PASSING_KINDS)):
        said = f"answers {_because(error, status)}"
        unreachable = UnreachableError(
            f"{name} {said}",
            where=_place(host, status),
            rule="a whole answer",
            remedy="run the same command again later: what was fetched is kept",
        )
        return Failure(True, retry_after(answer, now), said, unreachable)
    return _refused(
        f"refuses the request: {_text(error)}",
        ExchangeError(
            f"{name} refuses the request: {_text(error)}",
            where=_place(host, status),
            remedy="check the symbol and the times; if ENGINE_EXCHANGE_URL is set, check what it names",
        ),
    )


def _without_answer(name: str, host: str, error: Exception, kinds: set[str]) -> Failure:
    # A body that broke off is an aiohttp error, which ccxt turns into its least specific class.
    broken = type(error.__cause__).__name__ if error.__cause__ is not None else ""
    if not kinds & set(_PASSING_KINDS) and not broken.startswith(("Client", "Server")):
        return _refused(f"cannot be understood: {_text(error)}", ExchangeError(f"{name}: {_text(error)}", where=host))
    if "RequestTimeout" in kinds:
        said = "does not answer in time"
    elif "Payload" in broken or "BadResponse" in kinds:
        said = "breaks off in the middle of an answer"
    else:
        said = f"cannot be reached ({_reason(error)})"
    unreachable = UnreachableError(
        f"{name} {said}",
        where=host,
        rule="a network that reaches the exchange",
        remedy="check the connection, HTTPS_PROXY, and ENGINE_EXCHANGE_URL if it is set; then run the same command "
        "again: what was fetched is kept",
    )
    return Failure(True, None, said, unreachable)


def retry_after(answer: Answer | None, now: datetime) -> float | None:
    """Seconds that the exchange asks to wait: ``Retry-After`` as a number or a date; None if it does not say."""
    text = answer.header("Retry-After") if answer else None
    if not text:
        return None
    try:
        wait = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait = ((date.replace(tzinfo=UTC) if date.tzinfo is None else date) - now).total_seconds()
    return max(wait, 0.0) if math.isfinite(wait) else None


def back_off(attempt: int, pause: float) -> float:
    """Seconds before the next attempt after ``attempt`` failed ones, without chance: twice as long each time."""
    return pause * min(2.0 ** (attempt - 1), 60.0)


def _refused(said: str, error: ExchangeError) -> Failure:
    return Failure(False, None, said, error)


def _place(host: str, status: int | None) -> str:
    return f"{host}, HTTP {status}" if status else host


def _because(error: Exception, status: int | None) -> str:
    if status is None:
        return _text(error)
    return f"HTTP {status}" if status >= 400 else f"HTTP {status}, but {_text(error)}"


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    return _text(cause) if str(cause) else type(cause).__name__


def _text(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
