"""Shapley values: they add up, and they are what the definition says, coalition by coalition."""

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.crossed import Crossed
from models.factory import create_model
from models.gradient_boosting import XGBoost
from models.windows import as_float32
from pipelines.importance.shapley import contributions, directions, mean_size
from pipelines.selection.selectors import ByInformation

SETTINGS = {
    "crosses": 0,
    "n_estimators": 5, "max_depth": 3, "learning_rate": 0.3, "subsample": 1.0, "colsample_bytree": 1.0,
    "min_child_weight": 1.0, "reg_lambda": 1.0,
}  # fmt: skip
INDEX = pd.date_range("2021-01-01", periods=300, freq="h", tz="UTC")
X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 4)), index=INDEX, columns=list("abcd"))
Y = ((X["a"] + X["a"] * X["b"] - X["c"]) > 0).astype(float)
T_END = pd.Series(INDEX, index=INDEX)


@pytest.fixture(scope="module")
def trees() -> XGBoost:
    model = create_model("xgboost", SETTINGS, seed=0).fit(X, Y, t_end=T_END)
    assert isinstance(model, XGBoost)
    return model


def expected(nodes: dict[str, Any], node: str, row: pd.Series, known: set[str]) -> float:
    """Value of a tree when only some features are known: the others go both ways, as the training rows did."""
    one = nodes[node]
    if one["Feature"] == "Leaf":
        return float(one["Gain"])
    if one["Feature"] in known:
        way = one["Yes"] if np.float32(row[one["Feature"]]) < np.float32(one["Split"]) else one["No"]
        return expected(nodes, way, row, known)
    ways = [one["Yes"], one["No"]]
    covers = [nodes[way]["Cover"] for way in ways]
    return float(np.average([expected(nodes, way, row, known) for way in ways], weights=covers))


def shapley(forest: list[dict[str, Any]], row: pd.Series, feature: str) -> float:
    """Mean change when a feature joins, over all orders in which features may join (Shapley 1953)."""
    others, total = [name for name in X.columns if name != feature], 0.0
    for size in range(len(others) + 1):
        share = factorial(size) * factorial(len(others) - size) / factorial(len(others) + 1)
        for coalition in combinations(others, size):
            for nodes in forest:
                root = next(iter(nodes))
                with_it = expected(nodes, root, row, {*coalition, feature})
                total += share * (with_it - expected(nodes, root, row, set(coalition)))
    return total


def test_they_are_what_the_definition_says(trees: XGBoost) -> None:
    table = trees.booster_.get_booster().trees_to_dataframe()
    table["Feature"] = table["Feature"].replace({f"f{n}": name for n, name in enumerate(X.columns)})
    forest = [tree.set_index("ID").to_dict("index") for _, tree in table.groupby("Tree")]
    found = contributions(trees, X.iloc[:6])
    for stamp, row in X.iloc[:6].iterrows():
        for feature in X.columns:
            assert found.loc[stamp, feature] == pytest.approx(shapley(forest, row, feature), abs=1e-5)


def test_they_add_up_to_the_log_odds(trees: XGBoost) -> None:
    odds = trees.booster_.predict(as_float32(X), output_margin=True)
    rest = odds - contributions(trees, X).sum(axis=1).to_numpy()
    assert np.ptp(rest) < 1e-5


def test_contributions_of_a_group_add_up_before_they_are_measured() -> None:
    values = pd.DataFrame({"a": [1.0, -1.0], "b": [-1.0, 1.0], "c": [2.0, -4.0]})
    assert mean_size(values, (("a", "b"), ("c",), ("a",))).tolist() == [0.0, 3.0, 1.0]


def test_directions() -> None:
    rows = pd.DataFrame({"up": [1.0, 2.0, 30.0], "down": [1.0, 2.0, 3.0], "flat": [5.0, 5.0, 5.0], "other": 0.0})
    values = pd.DataFrame({"up": [-1.0, 0.0, 0.1], "down": [5.0, 4.0, 0.0], "flat": [1.0, 2.0, 3.0]})
    found = directions(values, rows)
    assert found["up"] == pytest.approx(1.0)
    assert found["down"] == pytest.approx(-1.0)
    assert np.isnan(found["flat"])


def test_a_model_of_one_class_owes_nothing_to_any_feature() -> None:
    constant = create_model("xgboost", SETTINGS, seed=0).fit(X, Y * 0, t_end=T_END)
    assert isinstance(constant, XGBoost)
    assert (contributions(constant, X) == 0).all(axis=None)


def test_they_are_found_in_a_model_that_chooses() -> None:
    chooser = create_model("xgboost", SETTINGS, seed=0, selector=ByInformation(2, 0)).fit(X, Y, t_end=T_END)
    found = contributions(chooser, X)
    assert found is not None
    assert (found[["b", "d"]] == 0).all(axis=None)
    alone = contributions(chooser.model_, X[["a", "c"]])
    assert alone is not None
    pd.testing.assert_frame_equal(found[["a", "c"]], alone)


def test_a_product_is_owed_to_its_two_factors() -> None:
    """A label of products only: neither factor does anything by itself, so each gets half of what the product does."""
    label = ((X["b"] * X["d"]) > 0).astype(float)
    model = create_model("xgboost", {**SETTINGS, "crosses": 1}, seed=0).fit(X, label, t_end=T_END)
    assert isinstance(model, Crossed)
    assert model.pairs_ == [(1, 3)]
    found = contributions(model, X)
    assert found is not None
    sizes = found.abs().mean()
    assert sizes[["b", "d"]].min() > 5 * sizes[["a", "c"]].max()
    odds = model.model_.booster_.predict(as_float32(model.extended(X)), output_margin=True)
    assert np.ptp(odds - found.sum(axis=1).to_numpy()) < 1e-5


def test_other_models_have_none() -> None:
    forest = {"n_estimators": 2, "max_depth": 2, "min_samples_leaf": 5, "max_features": 0.9, "max_samples": 0.9}
    model = create_model("random_forest", {**forest, "crosses": 0}, seed=0).fit(X, Y, t_end=T_END)
    assert contributions(model, X) is None
    assert contributions(Crossed(model, 1).fit(X, Y, t_end=T_END), X) is None
    keep = ByInformation(2, 0)
    chooser = create_model("random_forest", {**forest, "crosses": 0}, seed=0, selector=keep).fit(X, Y, t_end=T_END)
    assert contributions(chooser, X) is None
