"""Made-up series on disk, and the moment at which they are read."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.workspace import ROOT

SERIES = ROOT / "tests" / "data" / "sentiment"
NOW = pd.Timestamp("2024-03-01", tz="UTC")


@pytest.fixture(scope="session")
def now() -> pd.Timestamp:
    """Two months after the first value of every series."""
    return NOW


@pytest.fixture(scope="session")
def made_up() -> Callable[[str], str]:
    """Path of a made-up series."""
    return lambda name: str(SERIES / name)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Writer of a file with a text; gives its path."""

    def write(text: str, name: str = "series.csv") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
