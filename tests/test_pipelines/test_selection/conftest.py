"""Rows with something to find in them, and rows with nothing."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

Rows = tuple[pd.DataFrame, pd.Series, pd.Series]


@pytest.fixture(scope="session")
def rows() -> Callable[..., Rows]:
    """Features, labels and when these are known; the first ``informative`` columns decide the labels, with noise."""

    def made(count: int, features: int, informative: int = 0, seed: int = 0, noise: float = 1.0) -> Rows:
        generator = np.random.default_rng(seed)
        index = pd.date_range("2021-01-01", periods=count, freq="h", tz="UTC", name="timestamp")
        values = generator.normal(size=(count, features))
        drive = values[:, :informative].sum(axis=1) + noise * generator.normal(size=count)
        X = pd.DataFrame(values, index=index, columns=[f"f{number}" for number in range(features)])
        y = pd.Series((drive > 0).astype(float), index=index, name="label")
        return X, y, pd.Series(index + pd.Timedelta("2h"), index=index, name="t_end")

    return made
