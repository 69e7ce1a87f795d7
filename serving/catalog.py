"""What is registered: every instrument, the versions behind its aliases, and which of them can be served."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from models.bundle import Bundle, load_bundle
from pipelines.promotion.errors import PromotionError
from pipelines.promotion.transaction import Evidence, evidence_of, recover
from pipelines.settings import Settings
from pipelines.tracking import CANDIDATE, CHAMPION, Registered, Tracker, registered_horizons
from serving.context_history import ContextHistory
from serving.contracts import NotServedError, Unavailable, UnavailableError
from serving.feature_tail import FeatureTail
from serving.history import History
from serving.predictor import Arm, Predictor
from serving.served import Clock, Horizon, Served, utc_now
from trading.errors import EngineError, InstrumentError, ServingError
from trading.instrument import Instrument

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Live:
    """The version of one horizon that is served, and the newest one, whose bars are the most recent."""

    tracker: Tracker
    horizon: str
    arm: Arm
    version: Registered
    newest: Registered

    @property
    def evidence(self) -> Evidence:
        """What its signals are worth."""
        return evidence_of(self.version, self.arm)


def live_versions(settings: Settings) -> dict[Instrument, list[Live]]:
    """Champion of every registered horizon, or its candidate where nothing ever passed the gate.

    A promotion that was killed is brought to its end first. A damaged log stops promotions, and not the signals.

    Raises
    ------
    ServingError
        If nothing is registered.
    """
    try:
        recover(settings)
    except PromotionError as error:
        _log.warning("aliases are served as they are: %s", error)
    trackers: dict[Instrument, Tracker] = {}
    found: dict[Instrument, list[Live]] = {}
    for instrument, horizon in registered_horizons(settings):
        tracker = trackers.setdefault(instrument, Tracker(settings, instrument))
        champion, candidate = tracker.version(horizon, CHAMPION), tracker.version(horizon, CANDIDATE)
        served, newest = champion or candidate, candidate or champion
        if served is None or newest is None:
            continue  # registered, and killed before an alias moved: the next run moves it
        arm: Arm = "champion" if champion else "candidate"
        found.setdefault(instrument, []).append(Live(tracker, horizon, arm, served, newest))
    if not found:
        raise ServingError(
            "no model is registered, so there is nothing to serve",
            where=settings.tracking_uri,
            rule="a version behind the alias champion or candidate",
            remedy="run `engine run` first",
        )
    return found


class Catalog:
    """Everything that is registered: what is served, and what is not and why.

    Parameters
    ----------
    served
        By instrument.
    unavailable
        Instruments none of whose horizons could be opened.
    """

    def __init__(
        self, served: Mapping[Instrument, Served], unavailable: Mapping[Instrument, Sequence[Unavailable]] | None = None
    ) -> None:
        self.served = served
        self.unavailable = unavailable or {}

    def __str__(self) -> str:
        parts = []
        for instrument, served in self.served.items():
            signals = ", ".join(
                f"{one.horizon} ({one.arm} version {one.model_version})" for one in served.signals(None, request_id="")
            )
            parts.append(f"serving {instrument.symbol} {instrument.timeframe}: {signals}{_listed(served.unavailable)}")
        parts += [f"not serving {i.symbol} {i.timeframe}{_listed(why)}" for i, why in self.unavailable.items()]
        return " | ".join(parts)

    def find(self, symbol: str, timeframe: str | None) -> Served:
        """What serves a symbol.

        Raises
        ------
        NotServedError
            If nothing is registered for it; says what is served.
        UnavailableError
            If what is registered for it cannot be served; says why.
        ServingError
            If several timeframes are served and none was named.
        """
        offered = ", ".join(f"{i.symbol} {i.timeframe}" for i in self.served) or "nothing"
        try:
            wanted = Instrument.parse(symbol, timeframe or next(iter(self.served)).timeframe)
        except InstrumentError as error:
            raise ServingError(error.what, rule=error.rule, remedy=error.remedy) from error

        def meant(instrument: Instrument) -> bool:
            return instrument.symbol == wanted.symbol and timeframe in (None, instrument.timeframe)

        found = [i for i in self.served if meant(i)]
        closed = {i: why for i, why in self.unavailable.items() if meant(i)}
        if not found and closed:
            raise UnavailableError(
                "; ".join(f"{i.symbol} {i.timeframe} cannot be served{_listed(why)}" for i, why in closed.items()),
                where="symbol" if timeframe is None else "symbol, timeframe",
                rule=f"served: {offered}",
                remedy=f"run `engine run --symbol {wanted.symbol}` and start the service again",
            )
        if not found:
            raise NotServedError(
                f"{wanted.symbol}{f' at {timeframe}' if timeframe else ''} is not served",
                where="symbol" if timeframe is None else "symbol, timeframe",
                rule=f"served: {offered}",
                remedy=f"run `engine run --symbol {wanted.symbol}` and start the service again",
            )
        if len(found) > 1:
            raise ServingError(
                f"{wanted.symbol} is served at several timeframes",
                where="timeframe",
                rule=f"served: {offered}",
                remedy="name one",
            )
        return self.served[found[0]]


def open_catalog(settings: Settings, *, clock: Clock = utc_now) -> Catalog:
    """Open what the aliases point at, and compute a first signal with it, which warms everything up.

    Each horizon is opened on its own: one that cannot be is logged, and the others are served.

    Raises
    ------
    ServingError
        If nothing is registered, or nothing of it can be served.
    """
    served: dict[Instrument, Served] = {}
    closed: dict[Instrument, list[Unavailable]] = {}
    for instrument, live in live_versions(settings).items():
        horizons, refused = _horizons(instrument, live)
        if horizons:
            served[instrument] = Served(horizons, clock=clock, unavailable=refused)
        else:
            closed[instrument] = refused
    if not served:
        raise ServingError(
            "nothing can be served: " + "; ".join(f"{i.name}{_listed(why)}" for i, why in closed.items()),
            where=settings.tracking_uri,
            rule="one version or more that this code can serve",
            remedy="run `engine run` with this code, or serve with the code of the versions' commit",
        )
    return Catalog(served, closed)


@dataclass(frozen=True)
class _Opened:
    """A version that can be asked, and what it starts from."""

    predictor: Predictor
    history: History
    context: ContextHistory


def _horizons(instrument: Instrument, live: Sequence[Live]) -> tuple[list[Horizon], list[Unavailable]]:
    """Every horizon that can be served, in the order given, and why the others cannot."""
    refused: dict[str, Unavailable] = {}

    def attempt(item: Live, function: Callable[[], T]) -> T | None:
        try:
            return function()
        # Whatever is wrong with one version, an unreadable file or a bug, must not end the others.
        except Exception as error:
            expected = isinstance(error, EngineError)
            refused[item.horizon] = Unavailable(horizon=item.horizon, reason=_reason(error))
            _log.warning(
                "%s %s version %s cannot be served: %s",
                instrument.name,
                item.horizon,
                item.version.version,
                error,
                exc_info=not expected,
            )
            return None

    opened = [(item, found) for item in live if (found := attempt(item, partial(_open, instrument, item)))]
    rows = max((found.predictor.tail for _, found in opened), default=0)
    begun: list[tuple[_Opened, FeatureTail]] = []
    horizons: dict[str, Horizon] = {}
    # The longest history first: its stream serves all that end as it does.
    for item, found in sorted(opened, key=lambda one: -len(one[1].history.bars)):
        horizon = attempt(item, partial(_horizon, found, begun, rows))
        if horizon is not None:
            horizons[item.horizon] = horizon
    in_order = [item.horizon for item in live]
    return [horizons[h] for h in in_order if h in horizons], [refused[h] for h in in_order if h in refused]


def _open(instrument: Instrument, item: Live) -> _Opened:
    bundle = load_bundle(item.tracker.download(item.horizon, item.version.version))
    predictor = Predictor(bundle, item.version.version, item.arm, item.evidence)
    newest = _newest(instrument, item, predictor.engine.columns)
    max_jump = float(bundle.spec["max_jump"])
    history = History.union(
        instrument,
        [bundle.history(), *([newest.history()] if newest else [])],
        rows=predictor.rows,
        max_gap=int(bundle.spec["max_gap"]),
        max_jump=max_jump,
        columns=predictor.engine.columns,
    )
    context = ContextHistory.union(
        instrument,
        predictor.engine,
        [bundle.context(), *([newest.context()] if newest else [])],
        max_jump=max_jump,
    )
    return _Opened(predictor, history, context)


def _horizon(found: _Opened, begun: list[tuple[_Opened, FeatureTail]], rows: int) -> Horizon:
    """A horizon on features that were begun for another one, where they are of the same bars, else on its own."""
    features = next((tail for other, tail in begun if _ends_as(found, other)), None)
    if features is None:
        features = FeatureTail.begin(found.predictor.engine, found.history.bars, found.context, rows=rows)
        begun.append((found, features))
    return Horizon.at(found.predictor, found.history, features)


def _ends_as(found: _Opened, longer: _Opened) -> bool:
    """Whether two versions compute the same of the same: definitions, bars, and what is beside them."""
    if found.predictor.feature_hash != longer.predictor.feature_hash:
        return False
    ours, theirs = found.context.frames, longer.context.frames
    pairs = [(found.history.bars, longer.history.bars), *((ours[name], theirs[name]) for name in ours)]
    return all(len(one) <= len(other) and one.equals(other.iloc[len(other) - len(one) :]) for one, other in pairs)


def _newest(instrument: Instrument, item: Live, columns: Sequence[str]) -> Bundle | None:
    """The newest version, which need not be the one that is served, for its bars; without them, older ones do."""
    if item.newest.version == item.version.version:
        return None
    try:
        bundle = load_bundle(item.tracker.download(item.horizon, item.newest.version))
        if missing := [name for name in columns if name not in bundle.history()]:
            raise ServingError(f"bars without {', '.join(missing)}")
        return bundle
    except Exception as error:
        _log.warning(
            "%s %s: the bars of version %s cannot be read, so version %s starts from its own: %s",
            instrument.name,
            item.horizon,
            item.newest.version,
            item.version.version,
            error,
        )
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, EngineError):
        return f"{error.what}{f' ({error.where})' if error.where else ''}"
    return f"{type(error).__name__}: {error}"


def _listed(unavailable: Sequence[Unavailable]) -> str:
    return "".join(f"; {one.horizon} unavailable: {one.reason}" for one in unavailable)
