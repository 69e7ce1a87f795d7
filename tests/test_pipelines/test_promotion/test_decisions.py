"""Who may become champion, what the log says about it, and what every signal says afterwards."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from filelock import FileLock

from pipelines.promotion import transaction
from pipelines.promotion.chain import Entry, append, read
from pipelines.promotion.decisions import promote, rollback
from pipelines.promotion.errors import ChainError, PromotionError, SupersededError
from pipelines.promotion.moves import Move, champions, logged, outcome, withdrawn
from pipelines.promotion.transaction import history, log_path, move, recover
from pipelines.settings import Settings
from pipelines.tracking import Tracker
from tests.test_pipelines.test_promotion.registry import MODEL, add_version

Evidence = Callable[[], tuple[str, str, str]]


def moves_of(settings: Settings) -> list[Move]:
    found, fault, contradictions = history(settings)
    assert fault is None
    assert contradictions == []
    assert {one.outcome for one in found} <= {"done"}
    return [one.move for one in found]


def test_a_passed_version_becomes_champion_and_the_log_says_all_about_it(
    tracker: Tracker, settings: Settings, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    add_version(tracker, 1)
    made = promote(tracker, "4h", "1")
    assert evidence() == ("champion", "1", "proven")
    assert moves_of(settings) == [made]
    assert made.time.endswith("+00:00")
    told = made.as_object()
    assert {key: told[key] for key in ("who", "symbol", "model", "alias", "from", "to", "kind", "why", "override")} == {
        "who": "ada",
        "symbol": "BTC/USD",
        "model": MODEL,
        "alias": "champion",
        "from": None,
        "to": "1",
        "kind": "promotion",
        "why": "passed: all rules",
        "override": None,
    }
    assert made.verdict is not None
    assert (made.verdict["question"], made.verdict["champion"], len(made.verdict["hash"])) == ("first", None, 64)
    assert Move.of({"step": "intent", **told}) == made


def test_what_the_gate_refused_needs_a_reason_and_says_so_in_every_signal(
    tracker: Tracker, settings: Settings, evidence: Evidence
) -> None:
    add_version(tracker, 1)
    add_version(tracker, 2, passed=False, champion="1")
    add_version(tracker, 3, champion="2")
    promote(tracker, "4h", "1")
    with pytest.raises(PromotionError, match=r"did not pass version 2.*too few trades") as caught:
        promote(tracker, "4h", "2")
    assert "--override" in caught.value.remedy
    with pytest.raises(PromotionError, match="needs a reason"):
        promote(tracker, "4h", "2", override="  ")
    assert evidence() == ("champion", "1", "proven")

    made = promote(tracker, "4h", "2", override=" the desk asked for it ")
    assert (made.kind, made.override) == ("override", "the desk asked for it")
    assert "too few trades" in made.why
    assert evidence() == ("champion", "2", "overridden")
    # What it stands on belongs to the version: a rollback to another one is proven again ...
    assert rollback(tracker, "4h", "enough").to == "1"
    assert evidence() == ("champion", "1", "proven")
    # ... and one to a version that was overridden is not.
    promote(tracker, "4h", "2", override="once more")
    promote(tracker, "4h", "3")
    assert evidence() == ("champion", "3", "proven")
    assert rollback(tracker, "4h", "it broke").to == "2"
    assert evidence() == ("champion", "2", "overridden")
    assert [made.kind for made in moves_of(settings)] == [
        *("promotion", "override", "rollback", "override", "promotion", "rollback")
    ]


def test_a_version_that_passes_after_an_override_is_proven(tracker: Tracker, evidence: Evidence) -> None:
    add_version(tracker, 1)
    add_version(tracker, 2, champion="1")
    promote(tracker, "4h", "2", override="in a hurry")
    assert evidence() == ("champion", "2", "overridden")
    promote(tracker, "4h", "1", override="back")
    promote(tracker, "4h", "2")
    assert evidence() == ("champion", "2", "proven")


def test_a_verdict_about_a_former_champion_moves_nothing(tracker: Tracker, settings: Settings) -> None:
    add_version(tracker, 1)
    add_version(tracker, 2, champion="1")
    add_version(tracker, 3, champion="1")
    promote(tracker, "4h", "1")
    promote(tracker, "4h", "2")
    with pytest.raises(SupersededError, match="is version 2, and the decision was about version 1"):
        promote(tracker, "4h", "3")
    with pytest.raises(PromotionError, match="champion already"):
        promote(tracker, "4h", "2")
    assert [made.to for made in moves_of(settings)] == ["1", "2"]


def test_a_move_needs_the_alias_where_it_was_seen(tracker: Tracker, settings: Settings) -> None:
    version = add_version(tracker, 1)
    with pytest.raises(SupersededError, match="is no version, and the decision was about version 9"):
        move(tracker, "4h", "candidate", version, expected="9", kind="candidate", why="stale")
    assert not log_path(settings).exists()
    move(tracker, "4h", "candidate", version, expected=None, kind="candidate", why="newest version")
    assert [(made.alias, made.verdict) for made in moves_of(settings)] == [("candidate", None)]


def test_versions_that_nobody_can_vouch_for(tracker: Tracker) -> None:
    add_version(tracker, 1, reloaded=False)
    with pytest.raises(PromotionError, match="never loaded back"):
        promote(tracker, "4h", "1", override="it will be fine")
    with pytest.raises(PromotionError, match="has no version 7") as caught:
        promote(tracker, "4h", "7")
    assert caught.value.rule == "registered versions: 1"
    with pytest.raises(PromotionError, match="has no version 1") as caught:
        promote(tracker, "8h", "1")
    assert caught.value.rule == "registered versions: none"


@pytest.mark.parametrize("file", ["verdict.json", "evidence.json"])
def test_a_verdict_that_was_written_anew_promotes_nothing(tracker: Tracker, settings: Settings, file: str) -> None:
    add_version(tracker, 1, passed=file == "evidence.json")
    (stored,) = settings.state.rglob(file)
    stored.write_text(stored.read_text().replace("refused", "passed").replace('"seed": 1', '"seed": 2'))
    for reason in (None, "it looks fine"):
        with pytest.raises(PromotionError, match=r"evidence or verdict of version 1 .* were changed"):
            promote(tracker, "4h", "1", override=reason)
    assert tracker.version("4h", "champion") is None


def test_rollbacks_go_further_back_each_time_until_there_is_nobody(tracker: Tracker, settings: Settings) -> None:
    with pytest.raises(PromotionError, match="no champion before this: it never had one"):
        rollback(tracker, "4h", "why not")
    for number in range(1, 5):
        add_version(tracker, number, champion=str(number - 1) if number > 1 else None)
        promote(tracker, "4h", str(number))
    assert rollback(tracker, "4h", "bad").to == "3"
    assert rollback(tracker, "4h", "worse").to == "2"
    assert withdrawn(logged(read(log_path(settings))), MODEL) == {"bundle3", "bundle4"}
    promote(tracker, "4h", "4", override="mended")
    assert withdrawn(logged(read(log_path(settings))), MODEL) == {"bundle3"}
    assert champions(logged(read(log_path(settings))), MODEL) == ["1", "2", "4"]
    assert [rollback(tracker, "4h", "still").to for _ in range(2)] == ["2", "1"]
    with pytest.raises(PromotionError, match="no champion before version 1"):
        rollback(tracker, "4h", "further")
    assert moves_of(settings)[-1].to == "1"
    # A version that is no longer there cannot come back.
    promote(tracker, "4h", "2")
    tracker.client.delete_model_version(MODEL, "1")
    with pytest.raises(PromotionError, match="has no version 1"):
        rollback(tracker, "4h", "gone")


class TestTampering:
    """Lines that are changed or gone stop every move, and are named."""

    @pytest.fixture(autouse=True)
    def promoted(self, tracker: Tracker) -> None:
        add_version(tracker, 1)
        add_version(tracker, 2, champion="1")
        promote(tracker, "4h", "1")
        promote(tracker, "4h", "2")

    def test_a_changed_line(self, tracker: Tracker, settings: Settings, evidence: Evidence) -> None:
        log = log_path(settings)
        log.write_bytes(log.read_bytes().replace(b'"to":"1"', b'"to":"2"', 1))
        moves, fault, contradictions = history(settings)
        assert (moves, contradictions) == ([], [])
        assert fault is not None
        assert "line 1 was changed" in fault.what
        for attempt in (lambda: promote(tracker, "4h", "1", override="r"), lambda: rollback(tracker, "4h", "r")):
            with pytest.raises(ChainError, match="line 1 was changed"):
                attempt()
        assert evidence() == ("champion", "2", "proven"), "serving goes on"

    @pytest.mark.parametrize("kept", [0, 2])
    def test_lines_gone_from_the_end(self, tracker: Tracker, settings: Settings, kept: int) -> None:
        log = log_path(settings)
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:kept]))
        moves, fault, (contradiction,) = history(settings)
        assert (len(moves), fault) == (kept // 2, None)
        assert "lines were removed from the end" in contradiction
        with pytest.raises(ChainError, match="which made version 2 the champion") as caught:
            promote(tracker, "4h", "1", override="r")
        # The remedy works.
        assert "*_moved_by" in caught.value.remedy
        tracker.client.delete_model_version_tag(MODEL, "2", "champion_moved_by")
        promote(tracker, "4h", "1", override="the old log is lost")
        assert history(settings)[1:] == (None, [])

    def test_a_lost_outcome_is_a_kill(self, settings: Settings) -> None:
        log = log_path(settings)
        whole = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(whole[:-1]))
        assert [made.to for made in moves_of(settings)] == ["1", "2"]
        assert history(settings)[0][-1].recovered

    def test_a_log_written_anew_with_new_hashes(self, tracker: Tracker, settings: Settings) -> None:
        log = log_path(settings)
        old = read(log)
        log.unlink()
        entries: list[Entry] = []
        for entry in old:
            content: dict[str, Any] = {**entry.content}
            if content["step"] == "intent":
                content["who"] = "somebody else"
            entries.append(append(log, entries, content))
        assert "registry's" in history(settings)[2][0]
        with pytest.raises(ChainError, match="lacks the line"):
            promote(tracker, "4h", "1", override="r")

    def test_an_alias_that_was_moved_behind_the_log(
        self, tracker: Tracker, settings: Settings, evidence: Evidence
    ) -> None:
        add_version(tracker, 3, champion="3")
        tracker.move_alias("4h", "champion", "3")
        (contradiction,) = history(settings)[2]
        assert contradiction == f"champion of {MODEL} is version 3 in the registry and version 2 in the log"
        with pytest.raises(SupersededError, match="is version 3, and the decision was about version 2"):
            rollback(tracker, "4h", "r")
        assert evidence() == ("champion", "3", "unproven")
        promote(tracker, "4h", "3", override="let it stay")
        assert evidence() == ("champion", "3", "overridden")
        assert history(settings)[1:] == (None, [])
        assert champions(history(settings)[0], MODEL) == ["1", "2", "3"]
        assert rollback(tracker, "4h", "r").to == "2"


class TestVoid:
    """An intent whose move can no longer be made is void, whoever finds it."""

    @pytest.fixture(autouse=True)
    def begun(self, tracker: Tracker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        add_version(tracker, 1)
        add_version(tracker, 2, champion="1")
        add_version(tracker, 3)
        promote(tracker, "4h", "1")

        def fail(*_: object) -> None:
            raise ConnectionError("the registry is away")

        with monkeypatch.context() as patch:
            patch.setattr(Tracker, "move_alias", fail)
            with pytest.raises(ConnectionError):
                promote(tracker, "4h", "2")

    def test_the_next_entry_completes_it(self, settings: Settings, evidence: Evidence) -> None:
        assert evidence() == ("champion", "2", "proven")
        last = history(settings)[0][-1]
        assert (last.outcome, last.recovered, last.move.to) == ("done", True, "2")

    def test_the_alias_went_elsewhere(self, tracker: Tracker, settings: Settings) -> None:
        tracker.move_alias("4h", "champion", "3")
        moves, fault, (contradiction,) = history(settings)
        assert fault is None
        assert (moves[-1].outcome, moves[-1].note) == ("void", "something else moved the alias to version 3")
        assert "is version 3 in the registry and version 1 in the log" in contradiction
        assert champions(moves, MODEL) == ["1"]

    def test_the_version_is_gone(self, tracker: Tracker, settings: Settings) -> None:
        tracker.client.delete_model_version(MODEL, "2")
        recover(settings)
        moves, fault, contradictions = history(settings)
        assert (fault, contradictions) == (None, [])
        assert (moves[-1].outcome, moves[-1].note) == ("void", "version 2 is no longer registered")


def test_who_waits_too_long_for_the_lock_is_told(
    tracker: Tracker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_version(tracker, 1)
    monkeypatch.setattr(transaction, "PATIENCE", 0.1)
    lock = settings.state / "state" / "locks" / "promotion.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(PromotionError, match=r"under way for 0\.1 seconds"):
        move(tracker, "4h", "candidate", version, expected=None, kind="candidate", why="newest version")
    blocked = replace_state(tracker, settings.state / "mlflow" / "mlflow.db")
    with pytest.raises(PromotionError, match="cannot lock the log"):
        move(blocked, "4h", "candidate", version, expected=None, kind="candidate", why="newest version")


def replace_state(tracker: Tracker, state: Any) -> Tracker:
    return Tracker(tracker.settings.model_copy(update={"state": state}), tracker.instrument)


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(transaction.getpass, "getuser", nobody)
    assert transaction._who().startswith("uid ")


def test_an_outcome_says_what_it_is_of() -> None:
    entry = Entry(1, "0", {"step": "intent"})
    said = outcome(entry, "2019", "ada", void="gone", recovered=True)
    assert (said["step"], said["of"], said["note"], said["recovered"]) == ("void", entry.hash, "gone", True)
    assert replace(entry, line=2).hash != entry.hash
