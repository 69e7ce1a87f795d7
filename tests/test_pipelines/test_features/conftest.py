"""Markets to compute features of."""

import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.features.catalogue import GROUPS
from tests.test_pipelines.test_features.markets import with_takers

SINGLE_ASSET = tuple(group for group in GROUPS if group not in ("cross_asset", "sentiment"))


@pytest.fixture(scope="session")
def engine() -> FeatureEngine:
    """Every feature that is computed from the bars alone, at one hour."""
    return FeatureEngine(SINGLE_ASSET, "1h")


@pytest.fixture(scope="session")
def real_bars(sample_bars: pd.DataFrame) -> pd.DataFrame:
    """Hourly bars of the sample with invented takers and trades."""
    return with_takers(sample_bars)


@pytest.fixture
def bars(real_bars: pd.DataFrame) -> pd.DataFrame:
    """The first 1,500 of them."""
    return real_bars.iloc[:1500].copy()
