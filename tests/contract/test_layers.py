"""The layers are contracts of import-linter in pyproject.toml; here they are run, and seen to bite."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LINTER, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def empty_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and stages that pyproject.toml names, without a line of code."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    stages = next(contract["modules"] for contract in tool["importlinter"]["contracts"] if "modules" in contract)
    for name in tool["setuptools"]["packages"]:
        folder = tree / name.replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    for name in [*stages, "pipelines.splits"]:
        (tree / f"{name.replace('.', '/')}.py").touch()
    assert lint(tree).returncode == 0, "without imports there is no breach"
    return tree


def test_every_import_respects_the_layers() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("trading/upwards.py", "import models"),
        ("models/upwards.py", "import pipelines.splits"),
        ("pipelines/upwards.py", "def f():\n    import serving"),
        ("serving/upwards.py", "import flows"),
        ("serving/sideways.py", "import dashboard"),
        ("pipelines/orchestrated.py", "import prefect"),
        ("models/tracked.py", "import mlflow"),
        ("pipelines/train/stage.py", "import pipelines.features.stage"),
    ],
)
def test_a_breach_is_found(empty_tree: Path, module: str, statement: str) -> None:
    file = empty_tree / module
    before = file.read_text() if file.exists() else None
    file.write_text(statement + "\n")
    assert lint(empty_tree).returncode == 1
    file.unlink() if before is None else file.write_text(before)
