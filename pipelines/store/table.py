"""One series on disk: a folder of immutable Parquet files, and a log that says which of them count.

An append writes new files beside the old ones and then replaces the log, so there is one moment at which it happens.
Small files are merged as they come: a new file takes in every file of its period that has no more rows than it, as a
carry goes through the digits of a binary number. A period that is fed bar by bar so never has more files than its
number of bars has binary digits, and each bar is written as often.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.store import query
from pipelines.store.durable import locked, remove, write_file
from pipelines.store.errors import DamagedStoreError, StoreError
from pipelines.store.files import decode, describe, encode
from pipelines.store.log import NAME, Entry, Log, read_log, write_log
from pipelines.store.moments import micros
from pipelines.store.observations import RECORDED, Appended, fresh, merged

# Readers look again when a writer has merged a file away under them, and hold writers up if it happens that often.
_TRIES = 3


@dataclass(frozen=True)
class Table:
    """The observations of one series.

    Parameters
    ----------
    folder
        Where its files are.
    lock
        Its lock file: outside the folder, which DVC versions.
    key
        Name of the column of times: ``timestamp`` or ``published_at``.
    about
        What the series is: its kind, and its name in parts.
    resolution
        What one file's period is, as numpy's unit: ``M`` a month, ``Y`` a year.
    patience
        Seconds to wait for another writer.
    """

    folder: Path
    lock: Path
    key: str
    about: dict[str, str]
    resolution: str
    patience: float = 60.0

    def log(self) -> Log | None:
        """The log; None where the series was never written.

        Raises
        ------
        DamagedStoreError
            If it cannot be read, or is lost.
        StoreError
            If it is that of another series, or another version's.
        """
        log = read_log(self.folder)
        if log is None:
            if next(self.folder.glob("period=*/*.parquet"), None):
                raise DamagedStoreError(
                    "this series has files but no log",
                    where=str(self.folder),
                    rule=f"{NAME} says which files count",
                    remedy="restore it (`dvc checkout`), or run `engine data repair`, which rebuilds it",
                )
            return None
        if dict(log.about) != self.about:
            raise StoreError(
                f"this folder holds {_spell(log.about)}, not {_spell(self.about)}",
                where=str(self.folder / NAME),
                rule="a series stays in the folder of its name",
                remedy="move the folder back to where it came from",
            )
        return log

    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out."""
        return locked(self.lock, self.patience)

    def append(self, rows: pd.DataFrame, recorded_at: pd.Timestamp) -> Appended:
        """Store what new rows say that was not known; all of it, or nothing if the process ends meanwhile.

        Parameters
        ----------
        rows
            Float values on a strictly increasing index in UTC, named as the key.
        recorded_at
            When they were recorded, in UTC.

        Returns
        -------
        Appended
            How many rows were added, unchanged and corrected.

        Raises
        ------
        DamagedStoreError
            If a file that the rows must be compared or merged with is not whole.
        StoreError
            If the folder cannot be written, or another writer does not let go.
        """
        if rows.empty:
            return Appended()
        rows = rows.set_axis(pd.DatetimeIndex(rows.index).as_unit("us").rename(self.key))
        moment = recorded_at.as_unit("us")
        with self.writing():
            log = self.log()
            if log is None:
                # From here on files without a log mean a lost log, and not a first append that was killed.
                log = Log(self.about)
                write_log(self.folder, log)
            total = Appended()
            entries = {entry.file: entry for entry in log.entries}
            for period, part in self.periods(rows):
                self.remove_orphans(log, period)
                old = [entry for entry in log.entries if entry.period == period]
                tally, change = self._extended(old, period, part, moment)
                total += tally
                if change:
                    absorbed, entry = change
                    entries = {name: kept for name, kept in entries.items() if name not in absorbed}
                    entries[entry.file] = entry
            if total.added or total.corrected:
                self.commit(log, tuple(entries.values()))
        return total

    def commit(self, log: Log, entries: tuple[Entry, ...]) -> None:
        """Make these files the series, and remove those that it no longer needs; call it while :meth:`writing`."""
        write_log(self.folder, log.next(entries))
        kept = {entry.file for entry in entries}
        for entry in log.entries:
            if entry.file not in kept:
                remove(self.folder / entry.file)

    def read(
        self,
        log: Log,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
        as_of: pd.Timestamp | None = None,
        columns: list[str] | None = None,
    ) -> pd.DataFrame:
        """Values of each time in ``[start, end)``, newest observation first recorded by ``as_of``.

        Returns
        -------
        DataFrame
            ``columns`` (default: all of the series), NaN where nothing is known, on the index of times in UTC.

        Raises
        ------
        DamagedStoreError
            If a file is missing or not whole.
        """
        wanted = log.columns if columns is None else columns
        low, high, moment = (None if at is None else micros(at) for at in (start, end, as_of))

        def ask(log: Log) -> pd.DataFrame:
            entries = query.needed(log.entries, low, high, moment)
            for entry in entries:
                self.whole(entry)
            newest = query.newest(self.folder, entries, self.key, wanted, low, high, moment)
            return query.fetch(query.without_recorded(newest, self.key, wanted), self.key)

        return self.reading(log, ask).set_index(self.key)[wanted]

    def reading(self, log: Log, ask: Callable[[Log], pd.DataFrame]) -> pd.DataFrame:
        """What a query answers; it is asked again where a writer has meanwhile merged its files into others."""
        import duckdb

        for _ in range(_TRIES):
            try:
                return ask(log)
            except (DamagedStoreError, duckdb.Error):
                newer = self.log() or log
                if newer.commit == log.commit:
                    raise
                log = newer
        with locked(self.lock, self.patience, shared=True):
            return ask(self.log() or log)

    def observations(self, entries: list[Entry]) -> pd.DataFrame:
        """Every observation in some files, which must be whole."""
        return merged([decode(self.whole(entry)) for entry in entries], self.key)

    def write(self, observations: pd.DataFrame, period: str) -> Entry:
        """Write a file of observations; it counts once the log names it."""
        content = encode(observations)
        digest = hashlib.sha256(content).hexdigest()
        entry = describe(observations, self.key, f"{period}/{digest[:20]}.parquet", len(content), digest)
        write_file(self.folder / entry.file, content)
        return entry

    def whole(self, entry: Entry) -> bytes:
        """Content of a file of the log.

        Raises
        ------
        DamagedStoreError
            If it is missing, or not what was written.
        """
        path = self.folder / entry.file
        try:
            content = path.read_bytes()
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        else:
            if hashlib.sha256(content).hexdigest() == entry.sha256:
                return content
            fault = f"has {len(content)} bytes, {entry.size} were written"
            if len(content) == entry.size:
                fault = "is of the right size, but its bytes have changed"
        raise DamagedStoreError(
            f"a file of {_spell(self.about)} {fault}",
            where=str(path),
            rule="every file is what the log says it is",
            remedy="restore it (`dvc checkout`, a backup); or `engine data repair --drop-damaged`, and fetch again",
        )

    def periods(self, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """Rows by period, in order of time."""
        stamps = pd.DatetimeIndex(rows.index).tz_localize(None).to_numpy()
        periods = stamps.astype(f"datetime64[{self.resolution}]")
        bounds = [0, *(np.flatnonzero(periods[1:] != periods[:-1]) + 1), len(rows)]
        for low, high in pairwise(bounds):
            yield f"period={periods[low]}", rows.iloc[low:high]

    def orphans(self, log: Log, period: str = "period=*") -> list[Path]:
        """Files that a kill has left: not named by the log, or not finished. Only a writer may take them for dead."""
        kept = {entry.file for entry in log.entries}
        found = [*self.folder.glob(f"{period}/*.parquet"), *self.folder.glob(f"{period}/.*.tmp")]
        found += self.folder.glob(f".{NAME}.*.tmp")
        return sorted(path for path in found if path.relative_to(self.folder).as_posix() not in kept)

    def remove_orphans(self, log: Log, period: str = "period=*") -> list[Path]:
        """Remove the :meth:`orphans`, and say which there were; call it while :meth:`writing`."""
        found = self.orphans(log, period)
        for path in found:
            remove(path)
        return found

    def _extended(
        self, old: list[Entry], period: str, rows: pd.DataFrame, moment: pd.Timestamp
    ) -> tuple[Appended, tuple[set[str], Entry] | None]:
        """Write what the rows add to a period: the count, and which files the new one stands for."""
        first, last = micros(rows.index[0]), micros(rows.index[-1])
        compared = [entry for entry in old if entry.first <= last and entry.last >= first]
        parts = {entry.file: decode(self.whole(entry)) for entry in compared}
        nothing = rows.iloc[:0].reset_index().assign(**{RECORDED: pd.Series(dtype=_STAMP)})
        stored = merged([nothing, *parts.values()], self.key) if parts else nothing
        new, tally = fresh(stored, rows, moment)
        if new.empty:
            return tally, None
        absorbed, size = [], len(new)
        for entry in sorted(old, key=lambda entry: entry.rows):
            if entry.rows > size:
                break
            absorbed.append(entry)
            size += entry.rows
        kept = [parts[entry.file] if entry.file in parts else decode(self.whole(entry)) for entry in absorbed]
        entry = self.write(merged([new, *kept], self.key), period)
        return tally, ({entry.file for entry in absorbed}, entry)


_STAMP = "datetime64[us, UTC]"


def _spell(about: object) -> str:
    return " ".join(about.values()) if isinstance(about, dict) else str(about)
