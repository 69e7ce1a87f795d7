"""The log of one series: which files hold its observations, and how each can be told to be whole.

A commit is the replacement of ``log.json`` by the next one. A file that the log does not name is not part of the
series, whatever it holds: a kill left it, before a commit or after one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.store.durable import write_file
from pipelines.store.errors import DamagedStoreError, SchemaVersionError

NAME = "log.json"
SCHEMA = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("first", "last", "recorded_first", "recorded_last")


@dataclass(frozen=True)
class Entry:
    """One file of the series. Times are microseconds since 1970 in UTC.

    Parameters
    ----------
    file
        Path below the series' folder: ``period=2024-01/<digest>.parquet``.
    rows
        Observations in it.
    keys
        Different times (of bars, of publication) that they are about.
    first, last
        Smallest and greatest of these times.
    recorded_first, recorded_last
        When the first and the last of the observations was recorded.
    columns
        Columns of values.
    size, sha256
        Of the file.
    """

    file: str
    rows: int
    keys: int
    first: int
    last: int
    recorded_first: int
    recorded_last: int
    columns: tuple[str, ...]
    size: int
    sha256: str

    @property
    def period(self) -> str:
        """Name of the folder that the file is in."""
        return self.file.split("/", 1)[0]


@dataclass(frozen=True)
class Log:
    """What a series consists of.

    Parameters
    ----------
    about
        What the series is: its kind, and its name in parts.
    commit
        Number of commits so far.
    entries
        Its files, in order of time.
    """

    about: Mapping[str, str]
    commit: int = 0
    entries: tuple[Entry, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Every column of values that any file has, in the order they came."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.columns))

    def next(self, entries: tuple[Entry, ...]) -> "Log":
        """The log after one more commit."""
        order = tuple(sorted(entries, key=lambda entry: (entry.first, entry.recorded_first, entry.file)))
        return replace(self, commit=self.commit + 1, entries=order)


def read_log(folder: Path) -> Log | None:
    """The log of a series' folder; None where there is none.

    Raises
    ------
    DamagedStoreError
        If it cannot be read, or was changed by anything but a commit.
    SchemaVersionError
        If another version of the engine wrote it.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
        if content["schema"] != SCHEMA:
            raise SchemaVersionError(
                f"the store has schema {content['schema']}, this engine reads {SCHEMA}",
                where=str(path),
                rule="one schema for store and engine",
                remedy="use the engine that wrote it, or export with that one and append here",
            )
        if content.pop("sha256") != _digest(content):
            raise ValueError("its digest is not that of its content")
        return Log(content["about"], content["commit"], tuple(_entry(file) for file in content["files"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedStoreError(
            f"the log of this series is damaged: {error}",
            where=str(path),
            rule="a log changes by commits only",
            remedy="restore it (`dvc checkout`), or run `engine data repair`, which rebuilds it from the files",
        ) from error


def write_log(folder: Path, log: Log) -> None:
    """Commit: replace the log; raises :class:`~pipelines.store.errors.StoreError` if it cannot be written."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "about": dict(log.about),
        "commit": log.commit,
        "files": [_plain(entry) for entry in log.entries],
    }
    digest = _digest(content)
    # One file a line: people read it, and compare two of them.
    lines = ",\n".join(json.dumps(file) for file in content.pop("files"))
    head = json.dumps(content)[1:-1]
    write_file(folder / NAME, f'{{{head}, "sha256": "{digest}", "files": [\n{lines}\n]}}\n'.encode())


def to_text(moment: int) -> str:
    """ISO 8601 in UTC of microseconds since 1970."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat()


def from_text(text: str) -> int:
    """Microseconds since 1970 of ISO 8601."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def _plain(entry: Entry) -> dict[str, Any]:
    plain = {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
    return {**plain, **{name: to_text(plain[name]) for name in _TIMES}, "columns": list(entry.columns)}


def _entry(plain: Mapping[str, Any]) -> Entry:
    times = {name: from_text(plain[name]) for name in _TIMES}
    return Entry(**{**plain, **times, "columns": tuple(plain["columns"])})


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
