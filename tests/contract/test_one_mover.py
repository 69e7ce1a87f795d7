"""Aliases move in one place: under its lock, with its lines in the log."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("trading", "models", "pipelines", "serving", "dashboard", "flows", "commands", "benchmarks", "tools")
# Who may call what: the transaction alone calls the tracker, and the tracker alone calls MLflow.
ALLOWED = {
    "move_alias": "pipelines/promotion/transaction.py",
    "set_registered_model_alias": "pipelines/tracking.py",
    "delete_registered_model_alias": "",
}


def breaches(source: str, file: str) -> list[str]:
    """Calls in a file by which it moves an alias though it is not the place for that."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [call.attr for call in calls if isinstance(call, ast.Attribute)]
    return [name for name in names if name in ALLOWED and ALLOWED[name] != file]


def test_nobody_else_moves_an_alias() -> None:
    files = {path.relative_to(ROOT).as_posix(): path for name in FOLDERS for path in (ROOT / name).rglob("*.py")}
    assert all(not allowed or allowed in files for allowed in ALLOWED.values())
    found = {name: what for name, path in files.items() if (what := breaches(path.read_text(), name))}
    assert found == {}


@pytest.mark.parametrize("call", [f"x.{name}(horizon, 'champion', '1')" for name in ALLOWED])
def test_a_breach_is_found(call: str) -> None:
    assert breaches(f"def f(x, horizon):\n    {call}\n", "pipelines/register/stage.py")
