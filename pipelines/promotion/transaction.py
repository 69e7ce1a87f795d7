"""The only place that moves an alias: under a lock, by a line before and a line after, against what was seen.

One move is four steps: a line in the log that says what is going to be done (``intent``), tags on the version, the
alias, and a line that says that it was done. A process that is killed leaves at most one intent without an outcome, the
last line of the log. Whoever comes next brings it to its end before doing anything else: the move had been found right
under the lock, and nothing can have been decided since. Only where the alias stands at neither end of the move any
more, or the version is gone, is it void.
"""

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from filelock import FileLock, Timeout

from pipelines.promotion import chain
from pipelines.promotion.chain import Entry
from pipelines.promotion.errors import ChainError, PromotionError, SupersededError
from pipelines.promotion.moves import Kind, Logged, Move, intent, last_move, logged, outcome
from pipelines.settings import Settings
from pipelines.tracking import CANDIDATE, CHAMPION, Registered, Tracker, registered_horizons

Evidence = Literal["proven", "unproven", "overridden"]

PATIENCE = 30.0
# Tag of a version: what its signals are worth while it is the champion. Set before the alias moves.
_EVIDENCE = "evidence"
_WORTH: Mapping[Kind, Evidence] = {"promotion": "proven", "override": "overridden"}


def log_path(settings: Settings) -> Path:
    """Where moves are recorded. One log stands beside one registry: who promotes shares both."""
    return settings.state / "state" / "promotion-log.jsonl"


def evidence_of(version: Registered, alias: str) -> Evidence:
    """What signals of a version are worth while it is served under an alias.

    It belongs to the version: one that the gate passed is proven and one that was promoted over its head is overridden,
    also when a rollback brings it back. What never went through :func:`move` is unproven, whatever alias it has.
    """
    return cast(Evidence, version.tags.get(_EVIDENCE, "unproven")) if alias == CHAMPION else "unproven"


def move(
    tracker: Tracker,
    horizon: str,
    alias: str,
    to: Registered,
    *,
    expected: str | None,
    kind: Kind,
    why: str,
    override: str | None = None,
    verdict: Mapping[str, Any] | None = None,
) -> Move:
    """Point an alias at a version, provided that it still points where the decision was taken from.

    Parameters
    ----------
    tracker
        Tracker of the instrument.
    horizon, alias, to
        What moves where.
    expected
        Version that the alias pointed at when the move was decided; None for none.
    kind, why, override, verdict
        As :class:`pipelines.promotion.moves.Move` has them.

    Raises
    ------
    SupersededError
        If the alias points elsewhere by now; then nothing happens.
    ChainError
        If the log is not what moves wrote, or lacks the one that made the present version live.
    PromotionError
        If the lock is not free in time, or the log cannot be written.
    """
    with _locked(tracker.settings):
        path = log_path(tracker.settings)
        entries = _recovered(tracker.settings)
        current = tracker.version(horizon, alias)
        found = current.version if current else None
        if found != expected:
            raise SupersededError(
                f"{alias} of {to.name} is {_named(found)}, and the decision was about {_named(expected)}",
                where=tracker.settings.tracking_uri,
                rule="what was judged against must still be live when the alias moves",
                remedy="judge again with `engine run`; `engine history` shows who moved it",
            )
        if current is not None and (missing := _unknown_to(entries, current, alias)):
            raise _lost(path, missing)
        made = Move(
            time=_now(),
            who=_who(),
            kind=kind,
            symbol=tracker.instrument.symbol,
            timeframe=tracker.instrument.timeframe,
            horizon=horizon,
            model=to.name,
            alias=alias,
            origin=found,
            to=to.version,
            bundle=to.bundle_hash,
            why=why,
            override=override,
            verdict=verdict,
        )
        begun = chain.append(path, entries, intent(made))
        _carry_out(tracker, begun, made)
        chain.append(path, [*entries, begun], outcome(begun, _now(), _who()))
    return made


def recover(settings: Settings) -> None:
    """Bring to its end what a killed process left; every entry that reads aliases or the log begins with this.

    Raises
    ------
    ChainError, PromotionError
        As :func:`move`.
    """
    if log_path(settings).exists():
        with _locked(settings):
            _recovered(settings)


def history(settings: Settings) -> tuple[list[Logged], ChainError | None, list[str]]:
    """Every move, oldest first, and whether the log can be believed.

    Returns
    -------
    tuple
        Moves up to the first line that is wrong; what is wrong with that; and where registry and log contradict each
        other, a sentence each.

    Raises
    ------
    PromotionError
        As :func:`move`.
    """
    with _locked(settings):
        path = log_path(settings)
        chain.heal(path)
        entries, fault = chain.verified(path)
        if fault is None:
            entries = _recovered(settings)
        moves = logged(entries)
        return moves, fault, [] if fault else list(_contradictions(settings, entries, moves))


def _recovered(settings: Settings) -> list[Entry]:
    """The whole log, verified, without an intent that has no outcome; call it under the lock."""
    path = log_path(settings)
    chain.heal(path)
    entries = chain.read(path)
    moves = logged(entries)
    if not moves or moves[-1].outcome is not None:
        return entries
    begun, made = moves[-1].entry, moves[-1].move
    tracker = Tracker(settings, made.instrument)
    void = _obstacle(tracker, made)
    if not void:
        _carry_out(tracker, begun, made)
    ended = chain.append(path, entries, outcome(begun, _now(), _who(), void=void, recovered=True))
    return [*entries, ended]


def _obstacle(tracker: Tracker, made: Move) -> str:
    """Why a move that was begun can no longer be made; empty if it can."""
    if all(one.version != made.to for one in tracker.versions(made.horizon)):
        return f"version {made.to} is no longer registered"
    current = tracker.version(made.horizon, made.alias)
    found = current.version if current else None
    return "" if found in (made.origin, made.to) else f"something else moved the alias to {_named(found)}"


def _carry_out(tracker: Tracker, begun: Entry, made: Move) -> None:
    """Do what the log says; again, where a part has been done. The alias is last: it never shows a version bare."""
    if worth := _WORTH.get(made.kind):
        tracker.tag_version(made.horizon, made.to, _EVIDENCE, worth)
    tracker.tag_version(made.horizon, made.to, _moved_by(made.alias), begun.hash)
    tracker.move_alias(made.horizon, made.alias, made.to)


def _moved_by(alias: str) -> str:
    """Tag with the hash of the line that moved an alias to a version: the registry knows what the log must hold."""
    return f"{alias}_moved_by"


def _unknown_to(entries: list[Entry], version: Registered, alias: str) -> str:
    """What the registry remembers of a move that the log does not hold; empty if it does."""
    remembered = version.tags.get(_moved_by(alias))
    if remembered is None or any(entry.hash == remembered for entry in entries):
        return ""
    return f"the line {remembered[:12]}…, which made version {version.version} the {alias} of {version.name}"


def _contradictions(settings: Settings, entries: list[Entry], moves: list[Logged]) -> Iterator[str]:
    for instrument, horizon in registered_horizons(settings):
        tracker = Tracker(settings, instrument)
        for alias in (CHAMPION, CANDIDATE):
            live = tracker.version(horizon, alias)
            model = instrument.model_name(horizon)
            last = last_move(moves, model, alias)
            said, found = last.move.to if last else None, live.version if live else None
            if live is not None and (missing := _unknown_to(entries, live, alias)):
                yield f"lines were removed from the end of the log, or it is another registry's: it lacks {missing}"
            elif said != found:
                yield f"{alias} of {model} is {_named(found)} in the registry and {_named(said)} in the log"


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One move at a time on this machine; the kernel lets go when this process ends, however it ends."""
    path = settings.state / "state" / "locks" / "promotion.lock"
    lock = FileLock(path, timeout=PATIENCE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise PromotionError(
            f"another promotion has been under way for {PATIENCE:g} seconds",
            where=str(path),
            rule="one move at a time",
            remedy="wait for it; if it hangs, end it, and the next one brings its move to an end",
        ) from error
    except OSError as error:
        raise PromotionError(
            f"cannot lock the log of promotions: {error.strerror}",
            where=str(path),
            rule="no alias moves without the lock",
            remedy="choose a folder you may write to with ENGINE_STATE",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _lost(path: Path, missing: str) -> ChainError:
    return ChainError(
        f"the log of promotions lacks {missing}",
        where=str(path),
        rule="what the registry remembers is in the log: no line is ever removed, and one registry has one log",
        remedy="restore the log from a backup. If it is lost for good, remove the tags *_moved_by of that version in"
        " MLflow: the log then begins anew, without rollback to what was before",
    )


def _named(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # Containers run as numbers that no table of users has.
        return f"uid {os.getuid()}"
