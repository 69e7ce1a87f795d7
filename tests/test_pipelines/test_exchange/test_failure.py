from datetime import UTC, datetime
from typing import Any

import aiohttp
import ccxt
import pytest

from pipelines.exchange.errors import ExchangeError, RefusedError, UnreachableError, UnsupportedError
from pipelines.exchange.failure import Answer, Failure, back_off, diagnose, retry_after

NOW = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)


def failure(kind: type[Exception], text: str = "", status: int | None = None, **headers: str) -> Failure:
    error = kind(text)
    if status is not None:
        error.answer = Answer(status, headers)  # type: ignore[attr-defined]
    return diagnose("kraken", "api.kraken.com", error, NOW)


@pytest.mark.parametrize(
    ("kind", "status", "passing", "becomes"),
    [
        (ccxt.ExchangeNotAvailable, 503, True, UnreachableError),
        (ccxt.ExchangeNotAvailable, 500, True, UnreachableError),
        (ccxt.OnMaintenance, 200, True, UnreachableError),
        (ccxt.RequestTimeout, 504, True, UnreachableError),
        (ccxt.RequestTimeout, None, True, UnreachableError),
        (ccxt.NetworkError, None, True, UnreachableError),
        (ccxt.BadResponse, 200, True, UnreachableError),
        (ccxt.RateLimitExceeded, 429, True, UnreachableError),
        (ccxt.RateLimitExceeded, 200, True, UnreachableError),
        (ccxt.DDoSProtection, 418, True, UnreachableError),
        # ccxt's class says that these will pass; they will not.
        (ccxt.ExchangeNotAvailable, 451, False, RefusedError),
        (ccxt.ExchangeNotAvailable, 403, False, RefusedError),
        (ccxt.ExchangeNotAvailable, 404, False, ExchangeError),
        (ccxt.ExchangeNotAvailable, 400, False, ExchangeError),
        (ccxt.RestrictedLocation, 200, False, RefusedError),
        (ccxt.AuthenticationError, 401, False, RefusedError),
        (ccxt.PermissionDenied, 200, False, RefusedError),
        (ccxt.BadSymbol, 400, False, UnsupportedError),
        (ccxt.NotSupported, None, False, UnsupportedError),
        (ccxt.BadRequest, 200, False, ExchangeError),
        (ccxt.ExchangeError, None, False, ExchangeError),
    ],
)
def test_whether_asking_again_can_help(
    kind: type[Exception], status: int | None, passing: bool, becomes: type[ExchangeError]
) -> None:
    found = failure(kind, "some words", status)
    assert found.passing is passing
    assert type(found.error) is becomes
    assert "kraken" in found.error.what
    assert found.error.remedy or becomes is ExchangeError


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (aiohttp.ClientPayloadError("broken"), "breaks off in the middle"),
        (aiohttp.ServerDisconnectedError(), "cannot be reached"),
        (aiohttp.ClientConnectionError("no route"), "cannot be reached (no route)"),
    ],
)
def test_an_answer_that_broke_off_is_the_network_s_affair_whatever_ccxt_calls_it(cause: Exception, said: str) -> None:
    error = ccxt.ExchangeError("kraken GET https://...")
    error.__cause__ = cause
    found = diagnose("kraken", "api.kraken.com", error, NOW)
    assert found.passing
    assert said in found.said


def test_the_message_is_no_book() -> None:
    found = failure(ccxt.ExchangeError, "word " * 500, 400)
    assert len(str(found.error)) < 500


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Mon, 01 Jan 2024 12:00:30 GMT", 30.0),
        ("Mon, 01 Jan 2024 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(Answer(429, {"retry-AFTER": text}), NOW) == seconds


def test_who_does_not_say_when_is_asked_ever_more_slowly() -> None:
    assert retry_after(None, NOW) is None
    assert retry_after(Answer(429, {}), NOW) is None
    waits = [back_off(attempt, 0.5) for attempt in range(1, 12)]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == 30.0


def test_too_many_requests_say_how_long_is_asked_for() -> None:
    found = failure(ccxt.RateLimitExceeded, "", 429, **{"Retry-After": "12"})
    assert found.wait == 12
    assert "asks for 12 s" in found.said


def test_every_class_of_ccxt_is_diagnosed() -> None:
    def kinds(of: type[Any]) -> list[type[Any]]:
        return [of, *(deeper for one in of.__subclasses__() for deeper in kinds(one))]

    for kind in kinds(ccxt.BaseError):
        for status in (None, 200, 400, 500):
            assert isinstance(failure(kind, "words", status).error, ExchangeError)
