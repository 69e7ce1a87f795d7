"""One instrument as it is served: a version and bars per horizon, and signals at the newest bar."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from serving.context_history import Frames
from serving.contracts import Signal, Unavailable
from serving.feature_tail import FeatureTail
from serving.history import History
from serving.predictor import Predictor
from trading.errors import ServingError

Clock = Callable[[], pd.Timestamp]


def utc_now() -> pd.Timestamp:
    """The time."""
    return pd.Timestamp.now(tz="UTC")


@dataclass(frozen=True)
class Horizon:
    """One horizon at one moment.

    Parameters
    ----------
    predictor
        The version that is served.
    history
        Its bars: those that its own versions stored, and what callers brought since.
    features
        At the last of these bars and before; the same object for all horizons that have the same.
    signal
        At the close of the last of them, with an empty ``request_id``.
    refused
        Why it did not take the newest bars that its siblings took, if so.
    """

    predictor: Predictor
    history: History
    features: FeatureTail
    signal: Signal
    refused: str = ""

    @classmethod
    def at(cls, predictor: Predictor, history: History, features: FeatureTail) -> "Horizon":
        """A horizon with its signal.

        Raises
        ------
        ServingError
            As :meth:`Predictor.signal`.
        """
        signal = predictor.signal(history.bars, features.table, request_id="", since=features.since)
        return cls(predictor, history, features, signal)

    @property
    def last(self) -> pd.Timestamp:
        """Stamp of its newest bar."""
        stamp: pd.Timestamp = self.history.bars.index[-1]
        return stamp


class Served:
    """One instrument: its horizons, the shortest first. Safe to use from several threads.

    The same bars give the same signals, so they are computed when bars come, and a request that brings none is answered
    with what is at hand. All signals of an answer are about one bar, the newest that any horizon knows. A horizon whose
    stored bars end earlier is unavailable until callers bring the bars between: no other horizon's are put in their
    place, and no hole is stepped over. What stands beside the bars is seen from the next bar on.

    Parameters
    ----------
    horizons
        What could be opened, one or more.
    clock
        The time, against which unfinished bars are told.
    unavailable
        What could not be opened.
    """

    def __init__(
        self, horizons: Sequence[Horizon], *, clock: Clock = utc_now, unavailable: Sequence[Unavailable] = ()
    ) -> None:
        self._clock = clock
        self._unopened = tuple(unavailable)
        self._lock = threading.Lock()
        # One assignment replaces all of it, so that no request sees the bars of one moment and the signals of another.
        self._state = tuple(horizons)

    @property
    def horizons(self) -> tuple[Horizon, ...]:
        """Horizons as of now."""
        return self._state

    @property
    def unavailable(self) -> list[Unavailable]:
        """Horizons without a signal as of now."""
        return self._split(self._state)[1]

    def signals(self, newer: pd.DataFrame | None, context: Frames | None = None, *, request_id: str) -> list[Signal]:
        """A signal per horizon; see :meth:`answer`."""
        return self.answer(newer, context, request_id=request_id)[0]

    def answer(
        self, newer: pd.DataFrame | None, context: Frames | None = None, *, request_id: str
    ) -> tuple[list[Signal], list[Unavailable]]:
        """A signal per horizon at the close of the newest bar, and the horizons that have none.

        Newer bars and observations are remembered if every one of them is good.

        Parameters
        ----------
        newer
            Closed bars in time order, or None.
        context
            What was published beside the bars, see :meth:`ContextHistory.extended`. It is taken before the bars, so
            that they see it.
        request_id
            Whose answer it is.

        Raises
        ------
        EngineError
            As :meth:`History.extended`, :meth:`ContextHistory.extended` and :meth:`Predictor.signal`, or if no horizon
            reads a series; then nothing is remembered.
        """
        bars = None if newer is None or newer.empty else newer
        state = self._extend(bars, context or {}) if bars is not None or context else self._state
        current, unavailable = self._split(state)
        return [one.signal.model_copy(update={"request_id": request_id}) for one in current], unavailable

    def _split(self, state: Sequence[Horizon]) -> tuple[list[Horizon], list[Unavailable]]:
        newest = max(one.last for one in state)
        late = [Unavailable(horizon=o.predictor.horizon, reason=_late(o, newest)) for o in state if o.last < newest]
        return [one for one in state if one.last == newest], [*self._unopened, *late]

    def _extend(self, newer: pd.DataFrame | None, context: Frames) -> tuple[Horizon, ...]:
        with self._lock:
            now, newest = self._clock(), max(one.last for one in self._state)
            self._require_readers(context)
            told = {id(one.features): one.features for one in self._state}
            told = {key: features.told(context, now) for key, features in told.items()}
            after, moved = [], dict[int, FeatureTail]()
            for one in self._state:
                known = replace(one, features=told[id(one.features)])
                try:
                    after.append(known if newer is None else _moved(known, newer, now, moved))
                except ServingError as error:
                    if one.last == newest:
                        raise
                    after.append(replace(known, refused=error.what))
            self._state = tuple(after)
            return self._state

    def _require_readers(self, context: Frames) -> None:
        contexts = [one.features.context for one in self._state]
        read = sorted({name for one in contexts for name in one.names})
        for name, frame in context.items():
            if not any(one.named({name: frame}) for one in contexts):
                raise ServingError(
                    f"nobody reads {name}",
                    where="context",
                    rule=f"what the served models read beside the bars: {', '.join(read) or 'nothing'}",
                    remedy="leave it out",
                )


def _moved(one: Horizon, newer: pd.DataFrame, now: pd.Timestamp, moved: dict[int, FeatureTail]) -> Horizon:
    """A horizon with newer bars. Features that several horizons share are computed by the first of them."""
    history = one.history.extended(newer, now)
    if history is one.history:
        return one
    key = id(one.features)
    if key not in moved:
        moved[key] = one.features.extended(one.history.fresh(newer))
    return Horizon.at(one.predictor, history, moved[key])


def _late(one: Horizon, newest: pd.Timestamp) -> str:
    ends = one.last.isoformat()
    return (
        f"its bars end at {ends}, and the newest bar of the instrument is {newest.isoformat()}"
        f"{f' ({one.refused})' if one.refused else ''};"
        f" send the bars after {ends}, or run `engine run` with {one.predictor.horizon} among labels.horizons"
    )
