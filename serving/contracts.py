"""What a request says and what is answered."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from trading.bars import COLUMNS, ORDER_FLOW
from trading.errors import EngineError, ServingError

MAX_BARS = 20_000
MAX_SERIES = 50
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
    taker_buy_volume: float | None = Field(None, description="needed where features read order flow")
    trades: float | None = Field(None, description="needed where features read order flow")


class Observation(BaseModel):
    """What an external series said, once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    published_at: Stamp = Field(description="when it became public: ISO 8601 with its offset, or epoch milliseconds")
    value: float | None = Field(None, description="Fear & Greed Index from 0 to 100; funding rate as a fraction")
    title: str | None = Field(None, max_length=1000, description="a headline")
    score: float | None = Field(None, description="of a headline, in [-1, 1], in place of the lexicon's")


def _kind(entries: object) -> str:
    """What a list beside the bars holds, by its first entry: it is complained about as what it looks like."""
    first = entries[0] if isinstance(entries, list) and entries else {}
    looks = isinstance(first, Bar) or (isinstance(first, dict) and not {"timestamp", *COLUMNS}.isdisjoint(first))
    return "bars" if looks else "observations"


Beside = Annotated[
    Annotated[list[Bar], Field(max_length=MAX_BARS), Tag("bars")]
    | Annotated[list[Observation], Field(max_length=MAX_BARS), Tag("observations")],
    Discriminator(_kind),
]


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
    context: dict[str, Beside] | None = Field(
        None,
        max_length=MAX_SERIES,
        description="what was published beside the bars since: by symbol closed bars of another instrument, by name "
        "observations of fear_greed, funding_rate or headlines",
        examples=[{"fear_greed": [{"published_at": "2019-10-01T00:00:00Z", "value": 42}]}],
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
    interval_levels: tuple[float, float] = Field(
        description="shares of recent outcomes that the interval leaves below and above it now; they adapt"
    )
    interval_outcomes: int = Field(ge=0, description="how many outcomes it was drawn from")
    position: float = Field(ge=-1, le=1, description="target, as a fraction of equity, after costs")
    confidence: float = Field(ge=0, le=1, description="|2 prob_up - 1|")
    model_name: str
    model_version: str
    arm: Literal["champion", "candidate"]
    evidence: Literal["proven", "unproven", "overridden"] = Field(
        description="proven: the gate passed it; overridden: somebody promoted it over the gate's head; unproven: "
        "neither, for paper trading only"
    )
    feature_hash: str = Field(description="SHA-256 of the feature row that was used")
    features_since: datetime = Field(
        description="open of the oldest bar that features were computed from: the same bars from there on give the "
        "same row, to the bit"
    )
    missing_bars: int = Field(
        ge=0,
        description="places of the time grid without a bar, from the oldest bar that the signal was computed from "
        "(features' warm-up, model's window and holding time) up to bar_time; 0: no hole",
    )
    stale: list[str] = Field(
        description="series beside the bars of which nothing young enough was known at the close of the bar: their "
        "features said so, and were neutral"
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


def bars_frame(bars: Sequence[Bar]) -> pd.DataFrame:
    """Bars of a request as the frame that everything else takes; order and duplicates are kept as sent.

    The columns of the order flow are there where any bar has them, NaN in bars that do not.
    """
    index = pd.DatetimeIndex([bar.timestamp for bar in bars], tz="UTC", name="timestamp")
    columns = [*COLUMNS, *(name for name in ORDER_FLOW if any(getattr(bar, name) is not None for bar in bars))]
    rows = [[getattr(bar, column) for column in columns] for bar in bars]
    return pd.DataFrame(rows, index=index, columns=columns, dtype=float)


def context_frames(context: Mapping[str, Sequence[Bar] | Sequence[Observation]]) -> dict[str, pd.DataFrame]:
    """What a request says beside the bars: frames of :func:`bars_frame`, and of observations as tables have them.

    A table has the column ``published_at`` (UTC), and those of ``value``, ``title`` and ``score`` that any of its
    observations has. A series with an empty list is left out.
    """
    frames = {}
    for name, entries in context.items():
        bars = [one for one in entries if isinstance(one, Bar)]
        if bars:
            frames[name] = bars_frame(bars)
        elif entries:
            frames[name] = pd.DataFrame([dict(one) for one in entries]).dropna(axis=1, how="all")
            frames[name]["published_at"] = pd.to_datetime(frames[name]["published_at"], utc=True)
    return frames
