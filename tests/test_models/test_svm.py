"""Support vectors: the exact machine is scikit-learn's, the approximation close to it, its probabilities held out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from models.onnx_export import parity
from models.scaling import RobustScaler
from models.svm import SVM
from models.windows import as_float32
from pipelines.splits import PurgedWalkForward
from pipelines.train.fit import extreme_rows
from trading.errors import ModelError

HOUR = pd.Timedelta("1h")
CV = PurgedWalkForward(3, 0.4, HOUR)


def rings(rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Up inside a ring, mostly: no line parts it from the rest. Columns of very different scales."""
    generator = np.random.default_rng(seed)
    index = pd.date_range("2021-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    z = generator.normal(size=(rows, 3))
    inside = (z[:, :2] ** 2).sum(axis=1) < 1.4
    y = np.where(generator.random(rows) < 0.1, ~inside, inside).astype(float)
    X = pd.DataFrame(z * [1e-3, 1.0, 1e4] + [0, 5, 1e5], index=index, columns=list("abc"))
    return X, pd.Series(y, index=index), pd.Series(index + 2 * HOUR, index=index)


def machine(**over: Any) -> SVM:
    return SVM(**{"c": 1.0, "gamma": 1.5, "exact_rows": 2000, "components": 150, "seed": 3, "cv": CV, **over})


def test_below_the_size_it_is_the_exact_machine() -> None:
    X, y, t_end = rings(600)
    model = machine().fit(X, y, t_end=t_end)
    values = as_float32(X)
    scaled = RobustScaler.fit(values, np.arange(600)).apply(values).astype(float)
    theirs = SVC(C=1.0, gamma=1.5 / 3).fit(scaled, y)
    np.testing.assert_allclose(
        model._decisions(scaled, model.centres_, model.dual_, model.intercept_),
        theirs.decision_function(scaled),
        atol=1e-9,
    )


def test_above_the_size_it_says_nearly_the_same() -> None:
    X, y, t_end = rings(3000)
    new, happened, _ = rings(2000, seed=9)
    exact = machine(exact_rows=5000).fit(X, y, t_end=t_end).predict_proba(new)[1]
    near = machine(exact_rows=100).fit(X, y, t_end=t_end)
    assert len(near.centres_) == 150
    about = near.predict_proba(new)[1]
    assert np.corrcoef(exact, about)[0, 1] > 0.97
    right = [((up > 0.5) == (happened > 0)).mean() for up in (exact, about)]
    assert min(right) > 0.85


@pytest.mark.parametrize("exact_rows", [100, 2000])
def test_probabilities_are_learnt_on_held_out_rows(exact_rows: int) -> None:
    """Labels of pure chance are learnt by heart by a sharp machine; its probabilities must not believe it."""
    X, _, t_end = rings(700)
    noise = pd.Series(np.random.default_rng(4).integers(0, 2, 700).astype(float), index=X.index)
    sharp = machine(c=100.0, gamma=60.0, exact_rows=exact_rows, components=700).fit(X, noise, t_end=t_end)
    said = sharp.predict_proba(X)[1]
    assert (said - 0.5).abs().mean() < 0.1


@pytest.mark.parametrize("exact_rows", [100, 2000])
def test_the_graph_says_the_same_on_extremes(exact_rows: int) -> None:
    X, y, t_end = rings(700)
    model = machine(exact_rows=exact_rows).fit(X, y, t_end=t_end)
    graph = model.to_onnx()
    assert parity(model, graph, extreme_rows(X, 10_000, 0)) < 1e-5
    again = machine(exact_rows=exact_rows).fit(X, y, t_end=t_end)
    assert again.to_onnx().SerializeToString() == graph.SerializeToString()


@pytest.mark.parametrize("exact_rows", [100, 2000])
def test_weights_are_honoured(exact_rows: int) -> None:
    X, y, t_end = rings(700)
    weight = pd.Series(1.0, index=X.index)
    weight[y == 0] = 5.0
    wary = machine(exact_rows=exact_rows).fit(X, y, t_end=t_end, sample_weight=weight).predict_proba(X)[1]
    plain = machine(exact_rows=exact_rows).fit(X, y, t_end=t_end).predict_proba(X)[1]
    assert wary.mean() < plain.mean() - 0.05


def test_a_past_of_one_class_is_passed_over_and_too_little_is_refused() -> None:
    X, y, t_end = rings(600)
    late = y.copy()
    late.iloc[:250] = 1.0
    machine().fit(X, late, t_end=t_end)  # the first fold learns from rises alone
    only = y.copy()
    only.iloc[:590] = 1.0
    with pytest.raises(ModelError, match="held-out rows, and not of both classes"):
        machine().fit(X, only, t_end=t_end)
