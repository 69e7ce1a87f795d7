"""What is served: every instrument with a registered version, the versions behind its aliases, and its bars."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from models.bundle import HISTORY, load_bundle
from pipelines.settings import Settings
from pipelines.tracking import CANDIDATE, CHAMPION, Registered, Tracker, registered_horizons
from serving.contracts import NotServedError, Signal
from serving.history import History
from serving.predictor import Arm, Predictor
from trading.errors import InstrumentError, ServingError
from trading.instrument import Instrument

Clock = Callable[[], pd.Timestamp]


@dataclass(frozen=True)
class Live:
    """The version of one horizon that is served, and the newest one, whose bars are the most recent."""

    tracker: Tracker
    horizon: str
    arm: Arm
    version: Registered
    newest: Registered


def utc_now() -> pd.Timestamp:
    """The time."""
    return pd.Timestamp.now(tz="UTC")


def live_versions(settings: Settings) -> dict[Instrument, list[Live]]:
    """Champion of every registered horizon, or its candidate where nothing ever passed the gate.

    Raises
    ------
    ServingError
        If nothing is registered.
    """
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


class Served:
    """One instrument: its predictors, the shortest horizon first, and its bars. Safe to use from several threads.

    The same bars give the same signals, so they are computed when bars come, and a request that brings none is answered
    with what is at hand.

    Parameters
    ----------
    predictors
        One per horizon.
    history
        Newest bars.
    clock
        The time, against which unfinished bars are told.

    Raises
    ------
    ServingError
        As :meth:`Predictor.signal`.
    """

    def __init__(self, predictors: Sequence[Predictor], history: History, *, clock: Clock = utc_now) -> None:
        self.predictors = predictors
        self._clock = clock
        self._lock = threading.Lock()
        # One assignment replaces both, so that no request sees the bars of one moment and the signals of another.
        self._state = (history, self._computed(history))

    @property
    def history(self) -> History:
        """Bars as of now."""
        return self._state[0]

    def signals(self, newer: pd.DataFrame | None, *, request_id: str) -> list[Signal]:
        """A signal per horizon at the close of the newest bar; newer bars are remembered if every one of them is good.

        Raises
        ------
        ServingError
            As :meth:`History.extended` and :meth:`Predictor.signal`; then nothing is remembered.
        """
        signals = self._state[1] if newer is None or newer.empty else self._extend(newer)
        return [signal.model_copy(update={"request_id": request_id}) for signal in signals]

    def _extend(self, newer: pd.DataFrame) -> list[Signal]:
        with self._lock:
            history, signals = self._state
            extended = history.extended(newer, self._clock())
            if extended is not history:
                signals = self._computed(extended)
                self._state = (extended, signals)
            return signals

    def _computed(self, history: History) -> list[Signal]:
        shared = {predictor.feature_hash: predictor for predictor in self.predictors}
        features = {key: predictor.features(history.bars) for key, predictor in shared.items()}
        return [
            predictor.signal(history.bars, request_id="", features=features[predictor.feature_hash])
            for predictor in self.predictors
        ]


class Catalog:
    """Everything that is served.

    Parameters
    ----------
    served
        By instrument.
    """

    def __init__(self, served: Mapping[Instrument, Served]) -> None:
        self.served = served

    def find(self, symbol: str, timeframe: str | None) -> Served:
        """What serves a symbol.

        Raises
        ------
        NotServedError
            If nothing does; says what is served.
        ServingError
            If several timeframes do and none was named.
        """
        offered = ", ".join(f"{i.symbol} {i.timeframe}" for i in self.served)
        try:
            wanted = Instrument.parse(symbol, timeframe or next(iter(self.served)).timeframe)
        except InstrumentError as error:
            raise ServingError(error.what, rule=error.rule, remedy=error.remedy) from error
        found = [i for i in self.served if i.symbol == wanted.symbol and timeframe in (None, i.timeframe)]
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

    Raises
    ------
    ServingError
        If nothing is registered, or a version cannot be served by this code.
    """
    served: dict[Instrument, Served] = {}
    for instrument, live in live_versions(settings).items():
        predictors, parts, gaps = [], [], []
        for item in live:
            bundle = load_bundle(item.tracker.download(item.horizon, item.version.version))
            predictors.append(Predictor(bundle, item.version.version, item.arm))
            gaps.append(int(bundle.spec["max_gap"]))
            newest = item.tracker.download(item.horizon, item.newest.version)
            parts += [bundle.history(), pd.read_parquet(newest / HISTORY)]
        rows = max(predictor.rows for predictor in predictors)
        history = History.union(instrument, parts, rows=rows, max_gap=min(gaps))
        served[instrument] = Served(predictors, history, clock=clock)
    return Catalog(served)
