"""What a request says and what is answered."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from trading.errors import EngineError, ServingError

MAX_BARS = 20_000
# Epoch milliseconds of 2001 and of 2286: what is smaller are seconds, what is larger are micro- or nanoseconds.
_EARLIEST_MS, _LATEST_MS = 10**12, 10**13


class NotServedError(ServingError):
    """A symbol or timeframe that no registered version is for."""


class UnavailableError(ServingError):
    """A symbol or timeframe that versions are registered for, none of which can be served."""


def _stamp(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not _EARLIEST_MS <= value < _LATEST_MS:
        raise ValueError("a number must be epoch milliseconds of 2001 or later")
    return pd.Timestamp(int(value), unit="ms", tz="UTC").to_pydatetime()


Stamp = Annotated[AwareDatetime, BeforeValidator(_stamp)]


class Bar(BaseModel):
    """One closed bar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timestamp: Stamp = Field(description="open of the bar: ISO 8601 with its offset, or epoch milliseconds")
    open: float
    high: float
    low: float
    close: float
    volume: float


class PredictRequest(BaseModel):
    """Which instrument, and the bars that closed since the service last heard of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbol: str = Field(description="unified symbol or slug", examples=["BTC/USD", "BTC-USD"])
    timeframe: str | None = Field(None, description="needed only where a symbol is served at several", examples=["1h"])
    bars: list[Bar] | None = Field(
        None,
        max_length=MAX_BARS,
        description="closed bars in time order; what overlaps the history must agree with it",
    )


class Signal(BaseModel):
    """What one version says about one horizon.

    Known at ``known_at``, the close of the bar; tradable from the next open.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    symbol: str
    timeframe: str
    bar_time: datetime = Field(description="open of the bar that the signal was decided on")
    known_at: datetime = Field(description="close of that bar")
    horizon: str
    prob_up: float = Field(ge=0, le=1, description="probability of a positive return over the horizon")
    interval_low: float = Field(description="lower end of the interval of the horizon's return")
    interval_high: float = Field(description="upper end")
    position: float = Field(ge=-1, le=1, description="target, as a fraction of equity, after costs")
    confidence: float = Field(ge=0, le=1, description="|2 prob_up - 1|")
    model_name: str
    model_version: str
    arm: Literal["champion", "candidate"]
    evidence: Literal["proven", "unproven"] = Field(description="unproven: for paper trading only")
    feature_hash: str = Field(description="SHA-256 of the feature row that was used")
    missing_bars: int = Field(
        ge=0,
        description="places of the time grid without a bar, from the oldest bar that the signal was computed from "
        "(features' warm-up, model's window and holding time) up to bar_time; 0: no hole",
    )
    request_id: str


class Unavailable(BaseModel):
    """A registered horizon that has no signal, and why."""

    model_config = ConfigDict(frozen=True)

    horizon: str
    reason: str


class PredictResponse(BaseModel):
    """A signal per horizon, the shortest first, all at the close of one bar; and the horizons that have none."""

    signals: list[Signal]
    unavailable: list[Unavailable] = Field(default_factory=list)


def error_response(error: EngineError) -> tuple[int, dict[str, Any]]:
    """Status and body: 404 for what is not registered, 503 for what cannot be served, 400 for mistakes to mend."""
    match error:
        case NotServedError():
            status = HTTPStatus.NOT_FOUND
        case UnavailableError():
            status = HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            status = HTTPStatus.BAD_REQUEST
    return int(status), {
        "error": error.what,
        "where": error.where,
        "rule": error.rule,
        "what_to_do": error.remedy,
    }


def bars_frame(bars: list[Bar]) -> pd.DataFrame:
    """Bars of a request as the frame that everything else takes; order and duplicates are kept as sent."""
    index = pd.DatetimeIndex([bar.timestamp for bar in bars], tz="UTC", name="timestamp")
    columns = ["open", "high", "low", "close", "volume"]
    rows = [[getattr(bar, column) for column in columns] for bar in bars]
    return pd.DataFrame(rows, index=index, columns=columns, dtype=float)
