"""A file that is only ever added to, in which every line holds the hash of the line before it and its own.

A line that was changed, removed, put in or moved is found by reading; that the last lines are gone can only be found by
somebody who remembers a hash (here the registry, see :mod:`pipelines.promotion.transaction`). Nothing is secret: who
writes the whole file anew with new hashes is found in the same way.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.promotion.errors import ChainError, PromotionError
from pipelines.store.durable import make_folder, sync_folder

# What the first line holds in place of a hash.
BEGINNING = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One line.

    Parameters
    ----------
    line
        Its number, from 1.
    previous
        Hash of the line before it.
    content
        What it says; what JSON can hold.
    """

    line: int
    previous: str
    content: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of all that the line holds besides."""
        return hashlib.sha256(_canonical(self._hashed()).encode()).hexdigest()

    @property
    def text(self) -> str:
        """The line as it stands in the file, without its end."""
        return _canonical({**self._hashed(), "hash": self.hash})

    def _hashed(self) -> dict[str, Any]:
        return {"line": self.line, "previous": self.previous, "content": self.content}


def read(path: Path) -> list[Entry]:
    """Every line of a log, verified; none where there is no file.

    Raises
    ------
    ChainError
        If a line is not what was written after the one before it; names its number.
    """
    entries, fault = verified(path)
    if fault is not None:
        raise fault
    return entries


def verified(path: Path) -> tuple[list[Entry], ChainError | None]:
    """The lines up to the first one that is wrong, and what is wrong with that.

    Bytes after the last end of a line are no line: they are what a kill leaves of one, and :func:`heal` removes them.
    """
    entries: list[Entry] = []
    lines = _content(path).split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        previous = entries[-1].hash if entries else BEGINNING
        entry = _parsed(line)
        if entry is None:
            return entries, _broken(path, number, f"line {number} was changed: its hash is not that of what it says")
        if entry.line != number:
            what = f"line {number} was removed" if entry.line > number else f"line {number} was put in"
            return entries, _broken(path, number, f"{what}: line {entry.line} stands in its place")
        if entry.previous != previous:
            what = f"line {number} does not follow what stands before it: one of the two was written anew"
            return entries, _broken(path, number, what)
        entries.append(entry)
    return entries, None


def heal(path: Path) -> None:
    """Cut off what a kill left of a last line: nothing follows a line before it is whole and on the disk."""
    content = _content(path)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        try:
            os.truncate(path, whole)
        except OSError as error:
            raise _cannot_write(path, error) from error


def append(path: Path, entries: Sequence[Entry], content: Mapping[str, Any]) -> Entry:
    """Add a line, and have it on disk before returning.

    Parameters
    ----------
    path
        The log.
    entries
        All of its lines.
    content
        What the new one says.

    Raises
    ------
    PromotionError
        If it cannot be written.
    """
    entry = Entry(len(entries) + 1, entries[-1].hash if entries else BEGINNING, content)
    rest = memoryview(entry.text.encode() + b"\n")
    try:
        make_folder(path.parent)
        begins = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if begins:
            sync_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    return entry


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise PromotionError(
            f"cannot read the log of promotions: {error.strerror}",
            where=str(path),
            rule="no alias moves without the log",
            remedy="make the file readable for this user",
        ) from error


def _parsed(line: bytes) -> Entry | None:
    """The entry of which this is the text, to the byte; None if there is none."""
    try:
        found = json.loads(line)
        entry = Entry(int(found["line"]), str(found["previous"]), dict(found["content"]))
        return entry if entry.text.encode() == line else None
    except (ValueError, KeyError, TypeError):
        return None


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _broken(path: Path, line: int, what: str) -> ChainError:
    return ChainError(
        f"the log of promotions is not as it was written: {what}",
        where=f"{path}, line {line}",
        rule="every line holds the hash of the one before it, and none is ever changed or removed",
        remedy="restore the file from a backup; until then no alias moves, and serving goes on as the registry says",
    )


def _cannot_write(path: Path, error: OSError) -> PromotionError:
    return PromotionError(
        f"cannot write the log of promotions: {error.strerror}",
        where=str(path),
        rule="no alias moves without a line in it",
        remedy="free some space, or choose a folder you may write to with ENGINE_STATE",
    )
