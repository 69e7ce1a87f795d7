"""Series that are no bars: funding rates, sentiment, on-chain figures; kept by when each value became public.

``ExternalStore.append(name, frame, recorded_at)`` and ``.read(name)`` are all that a source needs. The guarantees are
those of the bars: repeated appends change nothing, a changed value is a correction beside the older one, writers do not
get in each other's way, and a kill leaves the old state or the new one. Below the root::

    external/funding/binance/BTC-USDT_USDT/log.json
    external/funding/binance/BTC-USDT_USDT/period=2024/….parquet
"""

import re
from pathlib import Path

import pandas as pd

from pipelines.store.errors import StoreError, UnknownSeriesError
from pipelines.store.log import NAME, Log
from pipelines.store.moments import from_micros, utc, utc_or_none
from pipelines.store.observations import Appended
from pipelines.store.shape import shaped_values
from pipelines.store.table import Table

KEY = "published_at"
_NAME = re.compile(r"[A-Za-z0-9][\w-]*(/[A-Za-z0-9][\w-]*)*")


class ExternalStore:
    """Series of values by time of publication, in the same folder as the bars.

    Parameters
    ----------
    root
        The store's folder; it is made by the first append.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def append(self, name: str, frame: pd.DataFrame, recorded_at: pd.Timestamp) -> Appended:
        """Store values.

        Parameters
        ----------
        name
            Words of letters, digits, ``_`` and ``-``, with ``/`` between them: ``sentiment/fear-greed``. A name is not
            the beginning of another one.
        frame
            Float columns of any names, NaN where nothing is known, on a strictly increasing index of the times (UTC)
            at which the values became public. Which event they are about may be a column.
        recorded_at
            When they were received, in UTC.

        Returns
        -------
        Appended
            How many rows were added, unchanged and corrected.

        Raises
        ------
        StoreError
            If the name or the frame does not have this shape, or the folder cannot be written.
        """
        return self.table(name).append(shaped_values(name, frame, KEY), utc(recorded_at, "recorded_at"))

    def read(
        self,
        name: str,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
        as_of: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Values published in ``[start, end)``, as last recorded (by ``as_of``); index ``published_at`` in UTC.

        Raises
        ------
        UnknownSeriesError
            If nothing is stored under this name.
        DamagedStoreError
            If a file that is needed is not whole.
        """
        bounds = utc_or_none(start, "start"), utc_or_none(end, "end"), utc_or_none(as_of, "as_of")
        return self.table(name).read(self.log(name), *bounds)

    def last(self, name: str) -> pd.Timestamp | None:
        """Time of the newest value; None where nothing is stored."""
        log = self.table(name).log()
        if log is None or not log.entries:
            return None
        return from_micros(max(entry.last for entry in log.entries))

    def names(self) -> list[str]:
        """Names of what is stored, in order; a series whose log is lost is among them."""
        top = self.root / "external"
        found = {path.parent for pattern in (NAME, "period=*") for path in top.rglob(pattern)}
        return sorted(folder.relative_to(top).as_posix() for folder in found)

    def log(self, name: str) -> Log:
        """The log of a series that has values; raises as :meth:`read` does."""
        log = self.table(name).log()
        if log is None or not log.entries:
            raise UnknownSeriesError(
                f"no series {name}",
                where=str(self.root / "external"),
                rule=f"the store holds {', '.join(self.names()) or 'nothing'}",
                remedy="choose one of these, or append it first",
            )
        return log

    def table(self, name: str) -> Table:
        """The files of a series."""
        if not _NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} cannot be the name of a series",
                rule="words of letters, digits, _ and -, with / between them",
                remedy="write it as sentiment/fear-greed",
            )
        return Table(
            folder=self.root / "external" / name,
            lock=self.root / ".locks" / f"external_{name.replace('/', '.')}.lock",
            key=KEY,
            about={"kind": "external", "name": name},
            resolution="Y",
        )
