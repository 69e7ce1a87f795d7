"""The folder mlflow/ is a home for data: a Python file in it would shadow the installed package for everybody."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_folder_holds_no_python():
    assert (ROOT / "mlflow" / "README.md").exists()
    # Artifacts of runs, which hold the code of models, lie deeper and are no package of this name's.
    assert [path.name for path in (ROOT / "mlflow").glob("*.py*")] == []
    tracked = subprocess.run(["git", "ls-files", "mlflow"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert tracked.stdout.split() == ["mlflow/README.md"]


def test_the_name_means_the_installed_package_from_the_root():
    code = "import importlib.util as u; print(u.find_spec('mlflow').origin)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    origin = Path(found.stdout.strip())
    assert origin.name == "__init__.py"
    assert origin.parent.parent.name == "site-packages"


def test_the_name_means_the_installed_package_under_pytest():
    spec = importlib.util.find_spec("mlflow")
    assert spec is not None
    assert spec.origin is not None
    assert not Path(spec.origin).is_relative_to(ROOT / "mlflow")


def test_a_wheel_does_not_ship_the_folder():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert isinstance(packages, list), "packages must be listed: discovery would ship mlflow/"
    assert not [name for name in packages if name.split(".")[0] == "mlflow"]


def test_the_linter_knows_it_as_third_party():
    isort = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["isort"]
    assert "mlflow" in isort["known-third-party"]
