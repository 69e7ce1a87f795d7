"""Real bars to plant faults into."""

from pathlib import Path

import pandas as pd
import pytest

from tests.workspace import ROOT

SAMPLE = ROOT / "data" / "sample"
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def half_hours() -> pd.DataFrame:
    """BTC/USD of the sample, two years of half hours, with the stamps in a column."""
    return (
        pd.read_parquet(SAMPLE / "bitfinex_BTC-USD_30m.parquet")
        .reset_index(drop=False)
        .filter(["timestamp", "open", "high", "low", "close", "volume"])
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """Files that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("only where the development data is")
    return SHARED
