"""A small market for models: features in time order, and labels that depend on the last two rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.splits import PurgedWalkForward

SETTINGS: dict[str, dict[str, Any]] = {
    "random_forest": {
        "crosses": 0,
        "n_estimators": 12,
        "max_depth": 4,
        "min_samples_leaf": 5,
        "max_features": 0.6,
        "max_samples": 0.5,
    },
    "svm": {"crosses": 0, "c": 1.0, "gamma": 0.5, "exact_rows": 100, "components": 60},
    "xgboost": {
        "crosses": 0,
        "n_estimators": 12,
        "max_depth": 3,
        "learning_rate": 0.2,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "min_child_weight": 1.0,
        "reg_lambda": 1.0,
    },
    "lstm": {
        "crosses": 0,
        "window": 4,
        "units": [4, 3],
        "dropout": 0.1,
        "dense": 4,
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.02,
        "warmup": 0.1,
        "sparsity": 0.001,
        "patience": 0,
        "stride": 1,
    },
    "transformer": {
        "crosses": 0,
        "window": 4,
        "width": 6,
        "heads": 2,
        "blocks": 2,
        "feed_forward": 5,
        "dropout": 0.1,
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.02,
        "warmup": 0.1,
        "sparsity": 0.001,
        "patience": 0,
        "stride": 1,
    },
}

CV = PurgedWalkForward(2, 0.6, pd.Timedelta("1h"))


def market(rows: int = 400, features: int = 5, seed: int = 0) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Features of very different scales, labels, and the time at which each label is known."""
    generator = np.random.default_rng(seed)
    index = pd.date_range("2020-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    signal = generator.normal(size=(rows, features))
    X = pd.DataFrame(signal * 10.0 ** np.arange(-3, features - 3) + 1, index=index).rename(columns="f{}".format)
    drive = signal[:, 0] + np.roll(signal[:, 1], 1) + 0.5 * generator.normal(size=rows)
    y = pd.Series((drive > 0).astype(float), index=index, name="label")
    return X, y, pd.Series(index + pd.Timedelta("2h"), index=index, name="t_end")


@pytest.fixture(scope="session")
def data() -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    return market()


@pytest.fixture(scope="session")
def settings() -> dict[str, dict[str, Any]]:
    return SETTINGS


@pytest.fixture(scope="session")
def fitted(data: tuple[pd.DataFrame, pd.Series, pd.Series], settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One fitted model a family."""
    from models.factory import FAMILIES, create_model

    X, y, t_end = data
    return {name: create_model(name, settings[name], seed=3, cv=CV).fit(X, y, t_end=t_end) for name in FAMILIES}


@pytest.fixture(scope="session")
def graphs(fitted: dict[str, Any]) -> dict[str, Any]:
    """Their graphs."""
    return {name: model.to_onnx() for name, model in fitted.items()}
