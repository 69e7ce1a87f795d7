"""Which version is live: when an alias may move, and the log of every move."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from pipelines.tracking import Registered, Tracker
from pipelines.tracking_store import store_lock
from trading.errors import WorkspaceError


def promotions_log(state: Path) -> Path:
    """Where moves are recorded."""
    return state / "state" / "promotions.jsonl"


def is_older(new: Registered, current: Registered | None) -> bool:
    """Whether a version knows less than the current one: it was made as of an earlier moment."""
    return current is not None and pd.Timestamp(new.tags["as_of"]) < pd.Timestamp(current.tags["as_of"])


def move(tracker: Tracker, horizon: str, alias: str, to: Registered, *, expected: str | None, why: str) -> bool:
    """Point an alias at a version, provided that it still points where the decision was taken from.

    The log is written first: a kill between the two leaves a line whose move the next run makes, never a move without a
    line.

    Parameters
    ----------
    tracker
        Tracker of the instrument.
    horizon, alias, to
        What moves where.
    expected
        Version that the alias pointed at when the move was decided; None for none.
    why
        One sentence.

    Returns
    -------
    bool
        False if somebody else moved the alias meanwhile; then nothing happens.
    """
    with store_lock(tracker.settings):
        current = tracker.version(horizon, alias)
        found = current.version if current else None
        if found != expected:
            return False
        line = {
            "time": datetime.now(UTC).isoformat(),
            "name": to.name,
            "alias": alias,
            "from": found,
            "to": to.version,
            "why": why,
        }
        append(promotions_log(tracker.settings.state), line)
        tracker.move_alias(horizon, alias, to.version)
    return True


def append(log: Path, entry: dict[str, str | None]) -> None:
    """Add one line to a log that is only ever added to, and have it on disk before returning.

    Raises
    ------
    WorkspaceError
        If the log cannot be written.
    """
    line = json.dumps(entry, sort_keys=True).encode() + b"\n"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the log of promotions: {error.strerror}",
            where=str(log),
            rule="no alias moves without a line in it",
            remedy="choose a folder you may write to with ENGINE_STATE",
        ) from error
