"""How this machine talks to exchanges: addresses, patience, and how much of the past is asked for twice."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.settings import Settings


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of every conversation with an exchange. Lengths of time are seconds.

    Parameters
    ----------
    url
        Address that stands for every address of the exchange: a mirror, or a server on this machine. The exchange's own
        host becomes the first part of the path, ``<url>/api.kraken.com/0/public/OHLC``. Empty: the exchange itself.
    timeout
        How long to wait for an answer.
    attempts
        How often a request is made before its failure is reported.
    pause
        Wait before the second attempt; it doubles with each further one, up to 60 times itself.
    patience
        The longest wait that an exchange may ask for (``Retry-After``). Beyond it, it is reported.
    rate_limit
        Keep to the rate that the exchange publishes. Off only for a mirror of one's own.
    overlap
        Newest bars that every update asks for again, so that corrections of them are seen.
    settle
        How long after a live bar's end its last changes are waited for.
    """

    url: str
    timeout: float
    attempts: int
    pause: float
    patience: float
    rate_limit: bool
    overlap: int
    settle: float

    @classmethod
    def of(cls, settings: "Settings") -> "Terms":
        """The terms that the environment sets."""
        return cls(
            url=settings.exchange_url,
            timeout=settings.exchange_timeout,
            attempts=settings.exchange_attempts,
            pause=settings.exchange_pause,
            patience=settings.exchange_patience,
            rate_limit=settings.exchange_rate_limit,
            overlap=settings.exchange_overlap,
            settle=settings.exchange_settle,
        )
