"""One instrument as it is served: a version and bars per horizon, and signals at the newest bar."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from serving.contracts import Signal, Unavailable
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
    signal
        At the close of the last of them, with an empty ``request_id``.
    refused
        Why it did not take the newest bars that its siblings took, if so.
    """

    predictor: Predictor
    history: History
    signal: Signal
    refused: str = ""

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
    place, and no hole is stepped over.

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

    def signals(self, newer: pd.DataFrame | None, *, request_id: str) -> list[Signal]:
        """A signal per horizon; see :meth:`answer`."""
        return self.answer(newer, request_id=request_id)[0]

    def answer(self, newer: pd.DataFrame | None, *, request_id: str) -> tuple[list[Signal], list[Unavailable]]:
        """A signal per horizon at the close of the newest bar, and the horizons that have none.

        Newer bars are remembered if every one of them is good.

        Raises
        ------
        ServingError
            As :meth:`History.extended` and :meth:`Predictor.signal`; then nothing is remembered.
        """
        state = self._state if newer is None or newer.empty else self._extend(newer)
        current, unavailable = self._split(state)
        return [one.signal.model_copy(update={"request_id": request_id}) for one in current], unavailable

    def _split(self, state: Sequence[Horizon]) -> tuple[list[Horizon], list[Unavailable]]:
        newest = max(one.last for one in state)
        late = [Unavailable(horizon=o.predictor.horizon, reason=_late(o, newest)) for o in state if o.last < newest]
        return [one for one in state if one.last == newest], [*self._unopened, *late]

    def _extend(self, newer: pd.DataFrame) -> tuple[Horizon, ...]:
        with self._lock:
            now, newest = self._clock(), max(one.last for one in self._state)
            after = []
            for one in self._state:
                try:
                    after.append(_moved(one, one.history.extended(newer, now)))
                except ServingError as error:
                    if one.last == newest:
                        raise
                    after.append(replace(one, refused=error.what))
            self._state = tuple(after)
            return self._state


def _moved(one: Horizon, history: History) -> Horizon:
    if history is one.history:
        return one
    return Horizon(one.predictor, history, one.predictor.signal(history.bars, request_id=""))


def _late(one: Horizon, newest: pd.Timestamp) -> str:
    ends = one.last.isoformat()
    return (
        f"its bars end at {ends}, and the newest bar of the instrument is {newest.isoformat()}"
        f"{f' ({one.refused})' if one.refused else ''};"
        f" send the bars after {ends}, or run `engine run` with {one.predictor.horizon} among labels.horizons"
    )
