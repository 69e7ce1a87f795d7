"""What forecasts lose when columns are given the values of other times."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression

from models.factory import create_model
from pipelines.metrics import log_loss
from pipelines.selection import permutation
from pipelines.selection.permutation import loss_rises, stretched_permutation

Rows = tuple[pd.DataFrame, pd.Series, pd.Series]


@given(st.integers(0, 300), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_every_row_is_used_once(count: int, block: int, seed: int) -> None:
    order = stretched_permutation(count, block, np.random.default_rng(seed))
    assert sorted(order) == list(range(count))


def test_neighbours_stay_neighbours_but_for_the_cuts() -> None:
    order = stretched_permutation(2400, 24, np.random.default_rng(0))
    together = (np.diff(order) == 1).mean()
    assert together == pytest.approx(1 - 1 / 24, abs=0.005)
    assert (order == np.arange(2400)).mean() < 0.05


def test_the_hour_of_the_day_does_not_survive() -> None:
    hours = np.arange(24 * 200) % 24
    orders = [stretched_permutation(len(hours), 24, np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean([hours[order] == hours for order in orders]) == pytest.approx(1 / 24, abs=0.02)


def test_there_are_ten_stretches_where_there_are_rows_enough() -> None:
    order = stretched_permutation(50, 1000, np.random.default_rng(0))
    assert (np.diff(order) != 1).sum() >= 5


class Logistic:
    """A model with known coefficients."""

    name, window = "logistic", 1

    def __init__(self, weights: dict[str, float]) -> None:
        self.weights = weights

    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        up = 1 / (1 + np.exp(-sum(weight * X[name].to_numpy(float) for name, weight in self.weights.items())))
        return pd.DataFrame({0: 1 - up, 1: up}, index=X.index)


def rises(model: Any, X: pd.DataFrame, y: pd.Series, groups: Any, **over: Any) -> pd.DataFrame:
    chosen = {"at": np.arange(len(X)), "block": 1, "repeats": 1, "generator": np.random.default_rng(0), **over}
    return loss_rises([model], X, y, groups, **chosen)


def test_it_is_what_a_loop_over_groups_finds(rows: Callable[..., Rows], monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = rows(90, 4, informative=2)
    model, groups = Logistic({"f0": 1.0, "f1": -2.0, "f2": 0.5}), (("f0", "f2"), ("f1",), ("f3",))
    at = np.arange(0, 90, 4)
    order = [stretched_permutation(90, 5, generator)[at] for generator in [np.random.default_rng(7)] for _ in range(3)]
    expected = []
    for group in groups:
        worse = []
        for other in order:
            changed = X.iloc[at].copy()
            changed[list(group)] = X[list(group)].to_numpy()[other]
            worse.append(log_loss(y.to_numpy()[at], model.predict_proba(changed)[1].to_numpy()))
        expected.append(np.mean(worse) - log_loss(y.to_numpy()[at], model.predict_proba(X.iloc[at])[1].to_numpy()))
    for batch in (1, 10_000):
        monkeypatch.setattr(permutation, "_BATCH", batch)
        found = rises(model, X, y, groups, at=at, block=5, repeats=3, generator=np.random.default_rng(7))
        assert found.index.equals(X.index[at])
        np.testing.assert_allclose(found.mean(), expected, atol=1e-7)
    assert found[2].eq(0).all()


def test_single_rows_give_scikit_learns_importance(rows: Callable[..., Rows]) -> None:
    X, y, _ = rows(1500, 3, informative=2)
    reference = LogisticRegression().fit(X, y)
    model = Logistic(dict(zip(X.columns, reference.coef_[0], strict=True)))
    reference.intercept_[:] = 0.0
    theirs = permutation_importance(reference, X, y, scoring="neg_log_loss", n_repeats=20, random_state=0)
    ours = rises(model, X, y, tuple((name,) for name in X.columns), repeats=20).mean()
    np.testing.assert_allclose(ours, theirs.importances_mean, atol=0.015)


def test_a_twin_hides_what_the_pair_is_worth(rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(1200, 4, informative=1, noise=0.5)
    X["twin"] = X["f0"] + 0.01 * X["f1"]
    settings = {
        "crosses": 0,
        "n_estimators": 40, "max_depth": 2, "learning_rate": 0.2, "subsample": 0.8, "colsample_bytree": 0.4,
        "min_child_weight": 5.0, "reg_lambda": 1.0,
    }  # fmt: skip
    model = create_model("xgboost", settings, seed=0).fit(X[:800], y[:800], t_end=t_end[:800])
    apart = rises(model, X[800:], y[800:], (("f0",), ("twin",), ("f1",)), repeats=4).mean()
    together = rises(model, X[800:], y[800:], (("f0", "twin"), ("f1",)), repeats=4).mean()
    assert together[0] > 1.5 * max(apart[0], apart[1])
    assert abs(together[1]) < 0.1 * together[0]


def test_a_model_that_reads_windows_is_refused(rows: Callable[..., Rows]) -> None:
    X, y, _ = rows(20, 2)
    sequence = Logistic({"f0": 1.0})
    sequence.window = 3
    with pytest.raises(ValueError, match="windows"):
        rises(sequence, X, y, (("f0",),))
