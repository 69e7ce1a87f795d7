"""Processes that end at every step of a move, or race: ``python -m tests.test_pipelines.test_promotion.killed``.

Every call that changes the log or the registry counts; a child is killed before the one whose turn it is (which is
after the one before it), or in the middle of it where it writes. Children are forked from a process that has used
MLflow, each on a copy of the state that nobody has open, so that dozens of them cost no more than seconds.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.promotion.decisions import promote, rollback
from pipelines.promotion.transaction import recover
from pipelines.tracking import Tracker
from tests.forks import child, ended
from tests.test_pipelines.test_promotion.registry import BITCOIN, add_version, settings_in
from trading.errors import EngineError

CALLS = ("open", "write", "fsync", "truncate")
WRITERS = ("pipelines.promotion.chain", "pipelines.store.durable")
REGISTRY = ("tag_version", "move_alias")


def tracker_in(state: Path) -> Tracker:
    """A tracker with a store of its own."""
    return Tracker(settings_in(state), BITCOIN)


def prepare_versions(state: Path) -> None:
    """One that passed, one that passed against it, and one that did not."""
    for number, (passed, champion) in enumerate([(True, None), (True, "1"), (False, "1"), (True, "1")], start=1):
        add_version(tracker_in(state), number, passed=passed, champion=champion)


def prepare_champion(state: Path) -> None:
    """The first is champion."""
    prepare_versions(state)
    promote(tracker_in(state), "4h", "1")


def prepare_two(state: Path) -> None:
    """The second was promoted after it."""
    prepare_champion(state)
    promote(tracker_in(state), "4h", "2")


def prepare_pending(state: Path) -> None:
    """What a kill between the intent and the alias leaves, and half a line after it."""
    prepare_champion(state)

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    whole, Tracker.move_alias = Tracker.move_alias, kill  # type: ignore[method-assign, assignment]
    try:
        promote(tracker_in(state), "4h", "2")
    except Killed:
        pass
    finally:
        Tracker.move_alias = whole  # type: ignore[method-assign]
    with (state / "state" / "promotion-log.jsonl").open("ab") as log:
        log.write(b'{"content":{"note"')


def promote_one(state: Path) -> None:
    """The first line of a log."""
    promote(tracker_in(state), "4h", "1")


def promote_two(state: Path) -> None:
    """On a verdict about the first."""
    promote(tracker_in(state), "4h", "2")


def override(state: Path) -> None:
    """Over the gate's head."""
    promote(tracker_in(state), "4h", "3", override="asked for")


def roll_back(state: Path) -> None:
    """From the second to the first."""
    rollback(tracker_in(state), "4h", "it lost money")


def heal(state: Path) -> None:
    """What serving, the gate and every command begin with."""
    recover(settings_in(state))


SCENARIOS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "first": (prepare_versions, promote_one),
    "override": (prepare_champion, override),
    "rollback": (prepare_two, roll_back),
    "recovery": (prepare_pending, heal),
}


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count = fatal, 0

    def take(self) -> None:
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def install(self) -> None:
        """Count every call that changes the log or the registry."""
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name), WRITERS, half=name == "write"))
        for name in REGISTRY:
            setattr(Tracker, name, self._counted(getattr(Tracker, name)))

    def _counted(self, call: Callable[..., Any], callers: tuple[str, ...] = (), half: bool = False) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if callers and sys._getframe(1).f_globals["__name__"] not in callers:
                return call(*args, **kwargs)
            self.take()
            if half:
                if self.count == self.fatal:
                    call(args[0], bytes(args[1])[: len(args[1]) // 2])
                self.take()
            return call(*args, **kwargs)

        return counted


def at_every_step(empty: Path, top: Path, name: str) -> int:
    """Leave ``<top>/<step>`` as the kill at each step left it, and ``<top>/base`` as it was before; count the steps."""
    prepare, act = SCENARIOS[name]
    base = top / "base"
    shutil.copytree(empty, base)
    prepare(base)

    def run(state: Path, fatal: int) -> None:
        tracker_in(state).client.search_registered_models()
        steps = Steps(fatal)
        steps.install()
        act(state)
        steps.take()

    step = 0
    while True:
        state = top / f"{step:03d}"
        shutil.copytree(base, state)
        code = ended(child(lambda state=state, step=step: run(state, step)))  # type: ignore[misc]
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"step {step} ended with {code}")
        step += 1
    return step


def race(state: Path, reason: str | None, *versions: str) -> None:
    """Processes that promote a version each, all at once: ``reason`` is that of an override, or empty."""
    # Before the forks, once; their stores they open themselves.
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    answers, starts = [], []
    for version in versions:
        heard, say = os.pipe()
        wait, go = os.pipe()

        def work(version: str = version, say: int = say, wait: int = wait) -> None:
            tracker = tracker_in(state)
            tracker.versions("4h")
            os.write(say, b"ready\n")
            os.read(wait, 1)
            try:
                made = promote(tracker, "4h", version, override=reason or None)
                said = {"from": made.origin, "to": made.to}
            except EngineError as error:
                said = {"error": type(error).__name__, "what": error.what}
            os.write(say, json.dumps(said).encode())

        pid = child(work)
        os.close(say)
        answers.append((pid, heard))
        starts.append(go)
    for _, heard in answers:
        os.read(heard, 6)
    for go in starts:
        os.write(go, b".")
    codes = [ended(pid) for pid, _ in answers]
    print(json.dumps({"codes": codes, "said": [json.loads(os.read(heard, 4096)) for _, heard in answers]}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["steps", empty, top]:
            print(json.dumps({name: at_every_step(Path(empty), Path(top) / name, name) for name in SCENARIOS}))
        case ["race", state, reason, *versions]:
            race(Path(state), reason, *versions)
