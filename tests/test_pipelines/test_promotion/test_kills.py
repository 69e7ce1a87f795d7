"""A promotion that is killed at any step is found as not begun or as done; of two at once, one is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.promotion.decisions import promote, rollback
from pipelines.promotion.transaction import history
from pipelines.tracking import Tracker
from serving.catalog import live_versions
from tests.test_pipelines.test_promotion.registry import BITCOIN, add_version, settings_in
from tests.workspace import ROOT
from trading.errors import EngineError, ServingError

Found = tuple[str, str] | None


def run(*words: object) -> Any:
    """Run a mode of ``killed.py`` in a process of its own, and return what it printed."""
    command = [sys.executable, "-m", "tests.test_pipelines.test_promotion.killed", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def served(state: Path) -> Found:
    """Version and evidence that serving finds when it starts; None for no champion."""
    try:
        (live,) = live_versions(settings_in(state))[BITCOIN]
    except ServingError:
        return None
    return live.version.version, live.evidence


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> tuple[Path, dict[str, int]]:
    """Where the states lie that kills have left, and how many there are of each scenario."""
    top = tmp_path_factory.mktemp("killed")
    return top, run("steps", empty_registry, top)


@pytest.mark.parametrize(
    ("name", "old", "new", "again"),
    [
        ("first", None, ("1", "proven"), lambda tracker: promote(tracker, "4h", "1")),
        ("override", ("1", "proven"), ("3", "overridden"), lambda tracker: promote(tracker, "4h", "3", override="r")),
        ("rollback", ("2", "proven"), ("1", "proven"), lambda tracker: rollback(tracker, "4h", "r")),
        ("recovery", None, ("2", "proven"), lambda tracker: promote(tracker, "4h", "2")),
    ],
)
def test_a_move_killed_at_any_step(
    killed: tuple[Path, dict[str, int]],
    name: str,
    old: Found,
    new: Found,
    again: Callable[[Tracker], object],
) -> None:
    top, steps = killed
    assert steps[name] >= 9
    happened = []
    for step in range(steps[name]):
        state = top / name / f"{step:03d}"
        settings = settings_in(state)
        # Serving, or a look at the history: either finds one state in registry, log and signals.
        if step % 2:
            history(settings)
        found = served(state)
        assert found in (old, new), f"step {step}"
        moves, fault, contradictions = history(settings)
        assert (fault, contradictions) == (None, []), f"step {step}"
        assert {one.outcome for one in moves} <= {"done"}, f"step {step}"
        champion = Tracker(settings, BITCOIN).version("4h", "champion")
        said = next((one.move.to for one in reversed(moves) if one.move.alias == "champion"), None)
        assert (champion and champion.version) == said == (found and found[0]), f"step {step}"
        happened.append(found == new)
        # Doing it again ends in the same state: it is done now, or refused because it was.
        try:
            again(Tracker(settings, BITCOIN))
            assert not happened[-1], f"step {step}"
        except EngineError:
            assert happened[-1], f"step {step}"
        assert served(state) == new
        assert len(history(settings)[0]) == len(moves) + (not happened[-1]), "no move twice"
    # There is one moment at which it happens; what was begun before a recovery has happened.
    assert happened == sorted(happened)
    assert happened[-1]
    assert happened[0] == (name == "recovery")


@pytest.fixture
def contested(tracker: Tracker) -> Path:
    """A champion, and two versions that both passed against it."""
    add_version(tracker, 1)
    add_version(tracker, 2, champion="1")
    add_version(tracker, 3, champion="1")
    promote(tracker, "4h", "1")
    return tracker.settings.state


def test_of_two_promotions_at_once_one_is_refused(contested: Path) -> None:
    found = run("race", contested, "", "2", "3")
    assert found["codes"] == [0, 0]
    (winner,) = [said for said in found["said"] if "to" in said]
    (loser,) = [said for said in found["said"] if "error" in said]
    assert winner["from"] == "1"
    assert loser["error"] == "SupersededError"
    assert f"is version {winner['to']}, and the decision was about version 1" in loser["what"]
    assert served(contested) == (winner["to"], "proven")
    assert history(settings_in(contested))[1:] == (None, [])


def test_overrides_at_once_follow_each_other_or_are_refused(contested: Path) -> None:
    found = run("race", contested, "both asked", "2", "3", "2")
    assert found["codes"] == [0, 0, 0]
    moves, fault, contradictions = history(settings_in(contested))
    assert (fault, contradictions) == (None, [])
    assert [one.move.origin for one in moves] == [None, *(one.move.to for one in moves[:-1])]
    assert len(moves) == 1 + sum("to" in said for said in found["said"])
    assert served(contested) == (moves[-1].move.to, "overridden")
