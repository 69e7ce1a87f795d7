"""DVC's stages as subprocesses: what they print, raise, and leave."""

from pathlib import Path

import pytest

from flows.stages import (
    StageCrashedError,
    from_first,
    rebuilt,
    reproduce,
    settings_variables,
    stage_names,
    stale_stages,
)
from pipelines.runner import error_fields
from pipelines.settings import Settings
from trading.errors import BarError, EngineError, StageError


class Told:
    """Collects what a stage says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.progress: list[tuple[str, int, int, str]] = []

    def run(self, home: Path, stage: str, settings: Settings) -> bool:
        return reproduce(
            home,
            stage,
            settings,
            on_line=self.lines.append,
            on_progress=lambda *told: self.progress.append(told),
            child=home / "state" / "child.json",
        )


def test_from_the_first_stale_stage_on() -> None:
    assert from_first("abc", {"c", "b"}) == ["b", "c"]
    assert from_first("abc", set()) == []
    assert from_first("abc", {"a"}) == ["a", "b", "c"]


def test_names_come_in_reading_order(home: Path) -> None:
    assert stage_names(home) == ["one", "two", "three"]


def test_a_child_reads_the_same_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for own in (settings, settings.model_copy(update={"store": settings.home / "elsewhere"})):
        with monkeypatch.context() as patch:
            for name, value in settings_variables(own).items():
                patch.setenv(name, value)
            assert Settings() == own


def test_errors_come_back_as_what_they_were() -> None:
    error = BarError("a", where="b", rule="c", remedy="d")
    again = rebuilt(error_fields(error))
    assert type(again) is BarError
    assert again.args == error.args
    for kind in ("Nonsense", "re", "_rebuild"):
        assert type(rebuilt({**error_fields(error), "kind": kind})) is EngineError


@pytest.mark.slow
def test_a_stage_runs_once_and_is_then_clean(home: Path, settings: Settings) -> None:
    told = Told()
    assert stale_stages(home, settings) == {"one", "two", "three"}
    assert told.run(home, "one", settings)
    assert told.progress == [("one", 0, 2, "half way"), ("one", 2, 2, "done")]
    assert not any(line.startswith("::") for line in told.lines)
    assert "Running stage 'one':" in told.lines
    assert "one" not in stale_stages(home, settings)
    assert not told.run(home, "one", settings)
    assert not (home / "state" / "child.json").exists()


@pytest.mark.slow
def test_what_dvc_restores_did_not_run(home: Path, settings: Settings) -> None:
    assert Told().run(home, "one", settings)
    (home / "dvc.lock").unlink()
    assert not Told().run(home, "one", settings)
    assert (home / "ran.log").read_text() == "one\n"


@pytest.mark.slow
def test_an_error_of_the_users_is_raised_here(home: Path, settings: Settings) -> None:
    (home / "trouble.one").write_text("mend")
    with pytest.raises(BarError, match="bad bars") as caught:
        Told().run(home, "one", settings)
    assert caught.value.remedy == "mend row 7"


@pytest.mark.slow
def test_a_bug_keeps_its_traceback(home: Path, settings: Settings) -> None:
    (home / "trouble.one").write_text("bug")
    with pytest.raises(StageCrashedError, match=r"(?s)Traceback.*ZeroDivisionError: a bug"):
        Told().run(home, "one", settings)
    assert "one" in stale_stages(home, settings)


@pytest.mark.slow
def test_params_edited_while_a_stage_runs_are_not_locked(home: Path, settings: Settings) -> None:
    (home / "trouble.one").write_text("edit")
    with pytest.raises(StageError, match=r"params.yaml changed while one ran"):
        Told().run(home, "one", settings)
    (home / "trouble.one").unlink()
    assert "one" in stale_stages(home, settings)
    assert Told().run(home, "one", settings)


def test_a_broken_dvc_yaml_is_said(home: Path, settings: Settings) -> None:
    (home / "dvc.yaml").write_text("stages: 7\n")
    with pytest.raises(StageCrashedError, match="dvc status failed"):
        stale_stages(home, settings)


@pytest.mark.slow
def test_a_watcher_that_fails_leaves_no_stage_behind(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.processes._GRACE", 0.5)
    (home / "trouble.one").write_text("hang")

    def stop(*told: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(home, "one", settings, on_line=print, on_progress=stop, child=home / "state" / "child.json")
    assert not (home / "data" / "one").exists()
    assert not (home / "state" / "child.json").exists()
