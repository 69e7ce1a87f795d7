"""Bars in which every special moment happens."""

import pandas as pd
import pytest


@pytest.fixture(scope="session")
def busy(sample_bars: pd.DataFrame) -> pd.DataFrame:
    """360 real hourly bars over the end of a year: a month and weeks end, and gaps of 4 and 2 hours lie close by."""
    return sample_bars.iloc[10880:11240].copy()
