"""Set-up by the Makefile, with a Python that only pretends: what is done, when, and what a kill leaves."""

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("run", "test", "check", "serve", "ui", "schedule", "bench", "lock", "clean", "help")

# Stands for python, uv and the engine at once, and writes down what it was asked.
PRETENDER = """#!/bin/sh
echo "$(basename "$0") $*" >>"$DIARY"
case "$(basename "$0") $*" in
*"-m venv --clear "*)
    rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
"python -m pip install"*)
    cp "$0" "$(dirname "$0")/uv" ;;
"python -m pip config list")
    echo "global.cert='/etc/pips.pem'" ; echo "global.index-url='mirror'" ;;
"uv pip install"*"-r requirements.lock")
    echo "uv sees $UV_DEFAULT_INDEX $SSL_CERT_FILE" >>"$DIARY"
    [ -z "${UV_BREAKS:-}" ] || exit 1
    cp "$0" "$(dirname "$0")/engine" ;;
*"-V") echo "Python 3.12.0" ;;
esac
"""


class Project:
    """A folder with our Makefile and next to nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.diary = root.parent / "diary"
        root.mkdir(parents=True)
        (root / "tools").mkdir()
        for name in ("Makefile", "tools/environment.sh", "tools/uv.sh", "pyproject.toml"):
            shutil.copy(ROOT / name, root / name)
        for name in ("requirements.lock", "requirements-uv.lock"):
            (root / name).write_text("some==1\n")
        self.python = self.script("python3", PRETENDER)

    def script(self, name: str, text: str) -> Path:
        folder = self.root.parent / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.diary.write_text("")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return subprocess.run(
            ["make", f"PYTHON={self.python}", *arguments],
            cwd=self.root,
            env={**kept, "DIARY": str(self.diary), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        return self.diary.read_text().splitlines()

    def made_anew(self) -> bool:
        return any("-m venv --clear" in line for line in self.asked)

    def installed(self) -> bool:
        return any(line.startswith("uv pip install") for line in self.asked)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a folder with spaces")


def test_help_lists_every_target_and_is_the_default(project: Project) -> None:
    shown = project.make()
    assert shown.returncode == 0
    for target in TARGETS:
        assert f"\n  {target} " in shown.stdout
    assert shown.stdout == project.make("help").stdout
    assert project.asked == []


def test_set_up_happens_once(project: Project) -> None:
    first = project.make("run", "ARGS=--json")
    assert first.returncode == 0, first.stderr
    assert project.made_anew()
    assert project.asked[-1] == "engine run --json"
    assert first.stdout == "", "stdout belongs to the engine"
    assert "3 GB" in first.stderr

    second = project.make("run")
    assert second.returncode == 0
    assert project.asked == ["engine run "] or project.asked == ["engine run"]
    assert second.stderr == ""


def test_packages_come_with_their_hashes_checked_and_bytecode(project: Project) -> None:
    project.make("setup")
    pip = next(line for line in project.asked if " pip install" in line)
    uv, editable = (line for line in project.asked if line.startswith("uv pip install"))
    assert "uv sees mirror /etc/pips.pem" in project.asked, "what pip was told of holds for uv"
    assert "--require-hashes" in pip
    assert "--require-hashes" in uv
    assert "--build-constraints requirements.lock" in uv
    assert "--compile-bytecode" in uv
    assert "--no-deps --no-build-isolation --editable ." in editable


@pytest.mark.parametrize("changed", ["requirements.lock", "requirements-uv.lock", "pyproject.toml"])
def test_a_new_lock_updates_the_environment(project: Project, changed: str) -> None:
    project.make("setup")
    stamp = project.root / ".venv" / ".stamp"
    later = stamp.stat().st_mtime + 5
    os.utime(project.root / changed, (later, later))
    assert project.make("setup").returncode == 0
    assert project.installed()
    assert not project.made_anew()


def test_an_interrupted_set_up_heals(project: Project) -> None:
    broken = project.make("run", UV_BREAKS="yes")
    assert broken.returncode != 0
    assert "Run the same command again" in broken.stderr
    assert not (project.root / ".venv" / ".stamp").exists()
    assert project.make("run").returncode == 0
    assert project.made_anew()


def test_an_interrupted_update_heals(project: Project) -> None:
    project.make("setup")
    (project.root / "requirements.lock").write_text("some==2\n")
    later = (project.root / ".venv" / ".stamp").stat().st_mtime + 5
    os.utime(project.root / "requirements.lock", (later, later))
    assert project.make("setup", UV_BREAKS="yes").returncode != 0
    assert project.make("setup").returncode == 0
    assert project.made_anew()


def test_a_folder_that_was_moved_is_set_up_again(project: Project) -> None:
    project.make("setup")
    project.root = project.root.rename(project.root.with_name("elsewhere"))
    assert project.make("run").returncode == 0
    assert project.made_anew()


def test_a_python_that_went_away_is_replaced(project: Project) -> None:
    project.make("setup")
    (project.root / ".venv" / "bin" / "python").unlink()
    assert project.make("run").returncode == 0
    assert project.made_anew()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('case "$2" in *exit*) exit 1 ;; *version_info*) echo 3.10.13 ;; esac', "3.10.13"),
        ('case "$2" in *exit*|"import venv"*) exit 1 ;; *) echo 3.12.1 ;; esac', "without venv or ensurepip"),
        ("echo 'python3: command not found' >&2; exit 127", "does not run"),
    ],
    ids=["too old", "without venv", "a shim that does not run"],
)
def test_an_unusable_python_is_named_with_what_to_do(project: Project, script: str, said: str) -> None:
    project.python = project.script("other", f"#!/bin/sh\n{script}\n")
    result = project.make("run")
    assert result.returncode == 2
    assert said in result.stderr
    assert "Python 3.11, 3.12 or 3.13" in result.stderr
    assert "make PYTHON=" in result.stderr
    assert not (project.root / ".venv").exists()


def test_the_plain_python_is_taken_and_shims_that_fail_are_passed_over(project: Project) -> None:
    folder = project.python.parent
    project.script("python3", "#!/bin/sh\nexit 127\n")
    project.script("python3.13", "#!/bin/sh\nexit 127\n")
    project.script("python3.12", PRETENDER)
    result = project.make("run", "PYTHON=", PATH=f"{folder}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    assert any(line.startswith("python3.12 -m venv") for line in project.asked)


def test_clean_keeps_the_sample_the_ledger_and_a_users_own_files(project: Project) -> None:
    kept = [
        ".venv/x",
        "data/sample/bars.parquet",
        "data/mine.csv",
        "mlflow/README.md",
        "mlflow/mlflow.db",
        "state/optuna.db",
    ]
    gone = [
        "data/raw/bars.parquet",
        "data/backtest/1h/metrics.json",
        "reports/r.html",
        "workspaces/a/run.yaml",
        "dvc.lock",
    ]
    for name in kept + gone:
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        (project.root / name).touch()
    assert project.make("clean").returncode == 0
    assert [name for name in kept if not (project.root / name).exists()] == []
    assert [name for name in gone if (project.root / name).exists()] == []
    assert project.asked == [], "cleaning needs no set-up"

    assert project.make("clean", "LEDGER=1").returncode == 0
    assert not (project.root / "mlflow" / "mlflow.db").exists()
    assert not (project.root / "state").exists()
    assert (project.root / "mlflow" / "README.md").exists()


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("[a-z]*.py")), ids=lambda script: script.stem)
def test_what_make_bench_runs_asks_for_nothing(script: Path) -> None:
    """`make bench` runs each script as it is: one that needs a file or a finished run would end it there."""
    named = [
        call.args[0].value
        for call in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument"
        if isinstance(call.args[0], ast.Constant)
    ]
    assert all(name.startswith("--") for name in named)
    assert "--workspace" not in named
