"""dvc.yaml says all that a stage depends on: ``dvc status`` would not notice an undeclared module, param or key."""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from pipelines.params import Params, RunIdentity
from pipelines.recipe import TRAINING

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: Mapping[str, Mapping[str, Any]] = PIPELINE["stages"]
AFTER_DVC = {"gate", "register"}
SECTIONS = {field.alias or name for name, field in Params.model_fields.items()} - {"profiles"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    sys.path.insert(0, str(ROOT))
    try:
        # What only the type checker imports does not run.
        return grimp.build_graph("trading", "models", "pipelines", cache_dir=None, exclude_type_checking_imports=True)
    finally:
        sys.path.remove(str(ROOT))


def path_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(graph: grimp.ImportGraph, stage: str) -> set[str]:
    """What runs in ``python -m pipelines.<stage>``: first-party, transitively, with the packages above each module."""
    found: set[str] = set()
    waiting = {f"pipelines.{stage}.__main__"}
    while waiting:
        module = waiting.pop()
        found.add(module)
        parts = module.split(".")
        above = {".".join(parts[:length]) for length in range(1, len(parts))}
        waiting |= (graph.find_modules_directly_imported_by(module) | above) - found
    return found


def declared(stage: str) -> set[str]:
    """Sections of params.yaml that a stage declares; the whole file is all of them."""
    found = set()
    for entry in STAGES[stage]["params"]:
        if isinstance(entry, str):
            found.add(entry.split(".")[0])
        elif "params.yaml" in entry:
            found |= SECTIONS if entry["params.yaml"] is None else set(entry["params.yaml"])
    return found


def identity(stage: str) -> set[str]:
    return {key for entry in STAGES[stage]["params"] if isinstance(entry, dict) for key in entry.get("run.yaml", [])}


def test_every_stage_is_in_dvc_in_reading_order() -> None:
    on_disk = {path.parent.name for path in (ROOT / "pipelines").glob("*/__main__.py")}
    assert set(STAGES) == on_disk - AFTER_DVC
    made: set[str] = set()
    for name, stage in STAGES.items():
        assert {dep for dep in stage["deps"] if dep.startswith("data/")} <= made, f"{name} reads what comes later"
        made |= set(stage["outs"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_one_process_of_its_module(stage: str) -> None:
    # Without exec a shell would stand between DVC and the stage, and outlive a kill.
    assert STAGES[stage]["cmd"] == f"exec python -m pipelines.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_all_code_that_a_stage_imports_is_among_its_dependencies(stage: str, graph: grimp.ImportGraph) -> None:
    dependencies = [ROOT / dep for dep in STAGES[stage]["deps"]]
    missing = [
        module
        for module in sorted(imported(graph, stage))
        if not any(path_of(module).is_relative_to(dependency) for dependency in dependencies)
        and not is_only_documented(path_of(module))
    ]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_no_dependency_on_code_is_idle(stage: str, graph: grimp.ImportGraph) -> None:
    used = {path_of(module) for module in imported(graph, stage)}
    code = [ROOT / dep for dep in STAGES[stage]["deps"] if not dep.startswith(("data/", "$", "stress.yaml"))]
    assert not [path for path in code if not any(module.is_relative_to(path) for module in used)]


def is_only_documented(path: Path) -> bool:
    """Whether a package's ``__init__`` says nothing to Python."""
    body = ast.parse(path.read_text()).body
    return path.name == "__init__.py" and all(isinstance(node, ast.Expr) for node in body)


@pytest.mark.parametrize("stage", STAGES)
def test_all_params_that_a_stage_reads_are_declared(stage: str, graph: grimp.ImportGraph) -> None:
    text = "\n".join(path_of(module).read_text() for module in imported(graph, stage) if module != "pipelines.params")
    read = {name.rstrip("_") for name in re.findall(r"\bparams\.([a-z_]+)", text)}
    assert read & SECTIONS <= declared(stage)
    own = "\n".join(path.read_text() for path in (ROOT / "pipelines" / stage).glob("*.py"))
    if "params.model_dump" in own:
        assert declared(stage) >= SECTIONS


def test_what_a_bundle_stores_of_the_params_is_what_training_depends_on() -> None:
    # A threshold of the gate is none of it: changing one judges again, and trains nothing.
    assert declared("train") == {*TRAINING, "validate"}
    assert "gate" not in declared("backtest") | declared("audit") | declared("tune")


@pytest.mark.parametrize("stage", STAGES)
def test_all_of_the_runs_identity_that_a_stage_reads_is_declared(stage: str) -> None:
    own = "\n".join(path.read_text() for path in (ROOT / "pipelines" / stage).glob("*.py"))
    read = set(re.findall(r"\bcontext\.run\.([a-z_]+)", own))
    needed = (read & set(RunIdentity.model_fields)) | ({"symbol", "timeframe"} if "instrument" in read else set())
    assert needed <= identity(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_all_files_that_a_stage_names_are_its_inputs_or_outputs(stage: str) -> None:
    own = "\n".join(path.read_text() for path in (ROOT / "pipelines" / stage).glob("*.py"))
    named = {f"data/{folder}" for folder in re.findall(r"[\"']data/([a-z_]+)", own)}
    assert named <= {*STAGES[stage]["deps"], *STAGES[stage]["outs"]}


def test_whatever_is_random_depends_on_the_seed() -> None:
    assert all("seed" in declared(stage) for stage in ("tune", "train", "backtest", "audit", "monte_carlo", "evidence"))


def test_dvc_reads_it_and_keeps_git_out_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == list(STAGES), done.stderr
    assert "no_scm = true" in (ROOT / ".dvc" / "config").read_text()
    assert "/dvc.lock" in (ROOT / ".gitignore").read_text().split()
