"""A registry of each test's own, copied from one that was made once: making one takes seconds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.settings import Settings
from pipelines.tracking import Tracker
from pipelines.tracking_store import open_store
from tests.test_pipelines.test_promotion.registry import BITCOIN, settings_in


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("empty")
    open_store(settings_in(state))
    return state


@pytest.fixture
def settings(tmp_path: Path, empty_registry: Path) -> Settings:
    state = tmp_path / "state"
    shutil.copytree(empty_registry, state)
    return settings_in(state)


@pytest.fixture
def tracker(settings: Settings) -> Tracker:
    return Tracker(settings, BITCOIN)


@pytest.fixture
def evidence(settings: Settings) -> Callable[[], tuple[str, str, str]]:
    """What serving finds when it starts: arm, version and evidence of the 4h model."""
    from serving.catalog import live_versions

    def found() -> tuple[str, str, str]:
        (live,) = live_versions(settings)[BITCOIN]
        return live.arm, live.version.version, live.evidence

    return found
