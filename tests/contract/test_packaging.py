"""What is installed, locked and shipped: guarded here because nothing else would fail when it goes wrong."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-bench.lock", "requirements-uv.lock")
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
)
LAYERS = ("trading", "models", "pipelines", "serving", "dashboard", "flows", "commands")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def entries(lock: str) -> list[str]:
    """Logical lines of a lock file, without comments."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def locked(lock: str, environment: dict[str, str]) -> dict[str, Version]:
    """Versions that a lock file installs in an environment."""
    found: dict[str, Version] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.split(" --hash=")[0])
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} twice in {environment}"
            (pin,) = requirement.specifier
            assert pin.operator == "==", entry
            found[name] = Version(pin.version)
    return found


def environments() -> list[dict[str, str]]:
    return [
        {
            **platform,
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "python_version": python,
            "python_full_version": f"{python}.4",
            "extra": "",
        }
        for platform in PLATFORMS
        for python in PYTHONS
    ]


def name_of(environment: dict[str, str]) -> str:
    return f"{environment['python_version']}-{environment['platform_system']}-{environment['platform_machine']}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_pin_and_hashes(lock: str) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.fullmatch(r"[a-z0-9][\w.-]*==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry


@pytest.mark.parametrize(
    "lock", [*LOCKS, "pyproject.toml", "Makefile", "tools/environment.sh", "tools/uv.sh", ".ci/run"]
)
def test_nothing_names_an_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"--(extra-)?index(-url)?\b|--find-links|--trusted-host", text)


@pytest.mark.parametrize("environment", environments(), ids=name_of)
def test_the_lock_holds_what_pyproject_asks_for(project: dict[str, Any], environment: dict[str, str]) -> None:
    extras = project["project"]["optional-dependencies"]
    for lock, wanted in (
        ("requirements.lock", project["project"]["dependencies"] + extras["dev"]),
        ("requirements-bench.lock", project["project"]["dependencies"] + extras["bench"]),
    ):
        versions = locked(lock, environment)
        for requirement in map(Requirement, wanted):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                version = versions.get(canonicalize_name(requirement.name))
                assert version is not None, f"{requirement} is not in {lock}: run make lock"
                assert requirement.specifier.contains(version), f"{lock} has {version} for {requirement}: run make lock"


def test_one_version_of_a_package_for_every_python() -> None:
    # Otherwise a result made on one Python is not the result of another.
    names = [entry.split("==")[0] for entry in entries("requirements.lock")]
    assert len(names) == len(set(names))


def test_what_is_measured_is_what_runs() -> None:
    engine, bench = locked("requirements.lock", environments()[0]), locked("requirements-bench.lock", environments()[0])
    shared = engine.keys() & bench.keys()
    assert {name: engine[name] for name in shared} == {name: bench[name] for name in shared}


def test_pins_without_which_prefect_breaks() -> None:
    versions = locked("requirements.lock", environments()[0])
    assert versions["fastapi"] < Version("0.151")
    assert versions["sqlalchemy"] < Version("2.1")


def test_the_licence_with_a_commons_clause_stays_in_the_benchmarks() -> None:
    assert not any(entry.startswith("vectorbt") for entry in entries("requirements.lock"))
    assert any(entry.startswith("vectorbt") for entry in entries("requirements-bench.lock"))


def test_linux_on_x86_takes_the_cpu_builds() -> None:
    for environment in environments():
        versions = locked("requirements.lock", environment)
        cpu = environment["platform_machine"] == "x86_64"
        assert ("tensorflow-cpu" in versions, "tensorflow" in versions) == (cpu, not cpu)
        assert ("xgboost-cpu" in versions, "xgboost" in versions) == (cpu, not cpu)
        assert not (cpu and any(name.startswith("nvidia-nccl") for name in versions))


def test_markers_stay_within_the_supported_pythons(project: dict[str, Any]) -> None:
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    assert Marker("python_version < '3.14'").evaluate({"python_version": PYTHONS[-1]})


def test_packages_are_listed_one_by_one(project: dict[str, Any]) -> None:
    listed = set(project["tool"]["setuptools"]["packages"])
    on_disk = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for layer in LAYERS
        for file in (ROOT / layer).rglob("__init__.py")
    }
    assert listed == on_disk
    assert not {name for name in listed if name.split(".")[0] in {"mlflow", "tests", "benchmarks", "data"}}
    assert set(project["tool"]["importlinter"]["root_packages"]) == {name.split(".")[0] for name in listed}


def test_no_folder_shadows_a_library() -> None:
    assert not (ROOT / "datasets").exists()
    for name in LAYERS:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(ROOT)


def test_the_licence_is_the_one_declared(project: dict[str, Any]) -> None:
    assert project["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_engine_is_the_console_script(project: dict[str, Any]) -> None:
    assert project["project"]["scripts"] == {"engine": "engine:main"}
    assert project["tool"]["setuptools"]["py-modules"] == ["engine"]


def test_importing_the_ground_floor_loads_nothing_heavy() -> None:
    code = (
        "import sys, trading, models, pipelines, pipelines.params, pipelines.context, pipelines.workers;"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'prefect', 'great_expectations', 'bentoml', 'xgboost', 'dvc'};"
        "print(*sorted(heavy & sys.modules.keys()))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
