"""The only writer of the store's files: what it has returned from survives a kill, and a power cut as well.

A file appears under its name whole or not at all: it is written to a hidden neighbour, flushed to the disk, renamed,
and the folder's entry is flushed too. Every change goes through ``os``, call by call, so that a test can end the
process before, after and in the middle of each one.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pipelines.store.errors import StoreError

_POLL = 0.01


def write_file(path: Path, content: bytes) -> None:
    """Write a file, and its folder where it is missing.

    Raises
    ------
    StoreError
        If it cannot be written; the old file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        make_folder(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each flushed to the disk; raises OSError where it cannot."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file; that it is gone already is well.

    Raises
    ------
    StoreError
        If it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def locked(path: Path, patience: float, shared: bool = False) -> Iterator[None]:
    """Hold a lock file; the kernel lets go when this process ends, however it ends.

    Parameters
    ----------
    path
        The lock file; it stays, empty.
    patience
        Seconds to wait for whoever holds it.
    shared
        Hold it beside other readers, and keep writers out.

    Raises
    ------
    StoreError
        If it is not free in time, or cannot be made.
    """
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"another process has been writing to this series for {patience:g} seconds",
                        where=str(path),
                        rule="one writer at a time in a series",
                        remedy="wait for it; if it hangs, end it, and the lock is free",
                    ) from error
                time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The error of a file or folder that cannot be written."""
    return StoreError(
        f"cannot write {path.name}: {error.strerror}",
        where=str(path.parent),
        rule="a folder this user may write to, with space left",
        remedy="free some space, or choose another folder with ENGINE_STORE",
    )
