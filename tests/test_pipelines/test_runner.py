"""The guarded entry of a stage: exit codes, messages, and inputs that move under a running stage."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import runner
from pipelines.context import Context
from pipelines.runner import ERROR, PROGRESS, fingerprint, main
from pipelines.settings import TETHER
from trading.errors import BarError

DVC = """
vars: [run.yaml]
stages:
  make:
    cmd: exec python -m pipelines.make
    deps:
      - ${source}
      - code
      - data/before
      - single.py
    outs:
      - data/made:
          cache: false
  before:
    cmd: "true"
    outs: [data/before]
"""
RUN = "symbol: BTC/USD\ntimeframe: 1h\nsource: bars.csv\ncontext: data/context\nas_of: null\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw_params: Mapping[str, Any]) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "run.yaml").write_text(RUN)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(dict(raw_params)))
    (tmp_path / "bars.csv").write_text("bars")
    (tmp_path / "single.py").write_text("x = 1")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "module.py").write_text("y = 1")
    (tmp_path / "data" / "before").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE_WORKERS", "1")
    monkeypatch.delenv("ENGINE_PROGRESS", raising=False)
    # The test process itself must not be ended with its parent.
    monkeypatch.setattr(runner, "die_with_parent", lambda: None)
    return tmp_path


def code_of(run: Callable[[Context], None], stage: str = "make") -> int:
    with pytest.raises(SystemExit) as ended:
        main(stage, run)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_stage_is_handed_the_workspace_it_stands_in(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(context: Context) -> None:
        assert context.files.root == workspace
        assert context.run.symbol == "BTC/USD"
        assert list(context.map(abs, [-1, -2])) == [1, 2]
        context.files.write_text("data/made/out.txt", str(context.params.seed))
        context.progress(1, 3, "one third")

    main("make", run)
    assert (workspace / "data/made/out.txt").read_text() == "7"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "make  1/3  one third\n")


def test_progress_for_a_program_is_one_json_line(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGINE_PROGRESS", "json")
    main("make", lambda context: context.progress(2, 4, 'half "way"'))
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    assert line.startswith(PROGRESS)
    assert json.loads(line.removeprefix(PROGRESS)) == {"stage": "make", "done": 2, "total": 4, "note": 'half "way"'}
    assert shown.err == ""


@pytest.mark.parametrize("machine", [False, True])
def test_an_error_of_the_users_ends_with_2_and_its_message(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], machine: bool
) -> None:
    if machine:
        monkeypatch.setenv("ENGINE_PROGRESS", "json")

    def run(context: Context) -> None:
        raise BarError("high below low", where="row 7", rule="high >= low", remedy="mend row 7")

    assert code_of(run) == 2
    shown = capsys.readouterr()
    assert "high below low" in shown.err
    assert "Traceback" not in shown.err
    if not machine:
        assert shown.out == ""
        return
    assert json.loads(shown.out.removeprefix(ERROR)) == {
        "kind": "BarError",
        "what": "high below low",
        "where": "row 7",
        "rule": "high >= low",
        "remedy": "mend row 7",
    }


def test_a_bug_keeps_its_traceback(workspace: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        main("make", lambda context: print(1 // 0))


def test_ctrl_c_ends_with_2(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(context: Context) -> None:
        raise KeyboardInterrupt

    assert code_of(run) == 2
    assert "make: interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["params.yaml", "run.yaml", "bars.csv", "single.py", "code/module.py", "code/new.py"])
def test_inputs_that_change_while_a_stage_runs_fail_it(
    workspace: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def run(context: Context) -> None:
        with (workspace / name).open("a") as stream:
            stream.write("# edited\n")

    assert code_of(run) == 2
    assert f"{name.split('/', maxsplit=1)[0]} changed while make ran" in capsys.readouterr().err


def test_an_input_that_vanishes_fails_the_stage(workspace: Path) -> None:
    assert code_of(lambda context: (workspace / "single.py").unlink()) == 2


@pytest.mark.parametrize("name", ["code/__pycache__/module.cpython-311.pyc", "code/x.pyc", "data/before/x", "other.py"])
def test_what_is_no_input_may_change(workspace: Path, name: str) -> None:
    def run(context: Context) -> None:
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text("new")

    main("make", run)


def test_a_stage_outside_dvc_depends_on_params_and_identity(workspace: Path) -> None:
    assert fingerprint(workspace, "gate").keys() == {"params.yaml", "run.yaml"}
    (workspace / "dvc.yaml").unlink()
    assert fingerprint(workspace, "make").keys() == {"params.yaml", "run.yaml"}


def test_invalid_params_are_the_users(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "params.yaml").write_text("seed: many\n")
    assert code_of(lambda context: None) == 2
    assert "seed" in capsys.readouterr().err


def test_a_stage_whose_parent_is_gone_does_not_start(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TETHER, str(os.getppid()))
    main("make", lambda context: None)
    monkeypatch.setenv(TETHER, "1" if os.getppid() != 1 else "2")
    assert code_of(lambda context: pytest.fail("it ran")) == 2
