"""The size of a graph counts what was learnt."""

import numpy as np
import pandas as pd

from models.factory import create_model
from models.graph_size import constants


def _fitted(family: str, settings: dict[str, object]) -> int:
    rng = np.random.default_rng(0)
    index = pd.date_range("2020-01-01", periods=300, freq="h", tz="UTC", name="timestamp")
    X = pd.DataFrame(rng.normal(size=(300, 4)), index=index, columns=list("abcd"))
    y = pd.Series((X["a"] + rng.normal(size=300) > 0).astype(float), index=index)
    t_end = (index + pd.Timedelta("2h")).to_series(index=index)
    return constants(create_model(family, settings, seed=1).fit(X, y, t_end=t_end).to_onnx())


FOREST = {"crosses": 0, "max_depth": 3, "min_samples_leaf": 5, "max_features": 0.5, "max_samples": 0.5}


def test_twice_the_trees_are_twice_the_nodes() -> None:
    few, many = (_fitted("random_forest", {**FOREST, "n_estimators": trees}) for trees in (10, 20))
    assert 1.7 < many / few < 2.3
    assert few <= 10 * (2**4 - 1) + 100


def test_deeper_trees_are_more() -> None:
    assert _fitted("random_forest", {**FOREST, "n_estimators": 10, "max_depth": 6}) > 1.5 * _fitted(
        "random_forest", {**FOREST, "n_estimators": 10}
    )
