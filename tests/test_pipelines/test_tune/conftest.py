"""A study, and the databases that it may be kept in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.tune.study import StudyTask
from tests.studies import Server, postgres, server_programs, sqlite, study_task


@pytest.fixture
def task(raw_params: dict[str, Any], sample_bars: pd.DataFrame, tmp_path: Path) -> StudyTask:
    """A study on random features, one of which says something about the label."""
    return study_task(raw_params, sample_bars, sqlite(tmp_path))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server that runs."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs (initdb, pg_ctl, postgres) are not on this machine")
    with postgres(programs) as running:
        yield running
