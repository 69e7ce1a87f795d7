"""What every model promises, whichever family it is of. A new family is one more name in the factory."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from models.base import SignalModel
from models.factory import FAMILIES, create_ensemble, create_model
from models.onnx_export import parity
from pipelines.splits import PurgedWalkForward
from pipelines.train.fit import extreme_rows
from trading.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]
ROWS, FEATURES = 240, 4
SETTINGS: dict[str, dict[str, Any]] = {
    "random_forest": {
        "crosses": 0,
        "n_estimators": 6, "max_depth": 3, "min_samples_leaf": 4, "max_features": 0.9, "max_samples": 0.9,
    },
    "svm": {"crosses": 0, "c": 1.0, "gamma": 0.5, "exact_rows": 100, "components": 60},
    "xgboost": {
        "crosses": 0,
        "n_estimators": 6, "max_depth": 2, "learning_rate": 0.3, "subsample": 0.9, "colsample_bytree": 0.9,
        "min_child_weight": 1.0, "reg_lambda": 1.0,
    },
    "lstm": {
        "crosses": 0,
        "window": 3, "units": [6], "dropout": 0.1, "dense": 6, "epochs": 12, "batch_size": 32,
        "learning_rate": 0.05, "warmup": 0.1, "sparsity": 0.0, "patience": 6, "stride": 1,
    },
    "transformer": {
        "crosses": 0,
        "window": 3, "width": 8, "heads": 2, "blocks": 1, "feed_forward": 16, "dropout": 0.1, "epochs": 12,
        "batch_size": 32, "learning_rate": 0.02, "warmup": 0.1, "sparsity": 0.0, "patience": 6, "stride": 1,
    },
}  # fmt: skip
CV = PurgedWalkForward(2, 0.6, pd.Timedelta("1h"))
Make = Callable[[], SignalModel]


def _features() -> pd.DataFrame:
    index = pd.date_range("2021-01-01", periods=ROWS, freq="h", tz="UTC", name="timestamp")
    values = np.random.default_rng(8).normal(size=(ROWS, FEATURES)) * [1e-3, 1.0, 50.0, 1e4]
    return pd.DataFrame(values, index=index, columns=["returns", "rsi", "volume", "close"])


X = _features()
Y = ((X["returns"] * 1e3 + X["rsi"]) > 0).astype(float)
T_END = pd.Series(X.index + pd.Timedelta("2h"), index=X.index)


ENSEMBLES: dict[str, dict[str, Any]] = {
    "soft vote": {"method": "soft", "penalty": 0.0, "calibration": "none"},
    "hard vote": {"method": "hard", "penalty": 0.0, "calibration": "none"},
    "stack": {"method": "stacking", "penalty": 10.0, "calibration": "none"},
    "calibrated vote": {"method": "soft", "penalty": 0.0, "calibration": "platt"},
}


@pytest.fixture(scope="module", params=[*FAMILIES, "exact svm", "crossed", *ENSEMBLES])
def make(request: pytest.FixtureRequest) -> Make:
    name = request.param
    if name in ENSEMBLES:
        weights = {"random_forest": 1.0, "xgboost": 2.0}
        return lambda: create_ensemble(SETTINGS, weights, seed=4, voting=ENSEMBLES[name], cv=CV)
    if name == "exact svm":
        return lambda: create_model("svm", {**SETTINGS["svm"], "exact_rows": 1000}, seed=4, cv=CV)
    if name == "crossed":
        return lambda: create_model("xgboost", {**SETTINGS["xgboost"], "crosses": 3}, seed=4, cv=CV)
    return lambda: create_model(name, SETTINGS[name], seed=4, cv=CV)


@pytest.fixture(scope="module")
def model(make: Make) -> SignalModel:
    return make().fit(X, Y, t_end=T_END)


def test_probabilities_stand_on_the_index_of_the_features(model: SignalModel) -> None:
    found = model.predict_proba(X)
    assert found.index.equals(X.index)
    assert found.columns.tolist() == model.classes_.tolist() == [0, 1]
    assert found.iloc[: model.window - 1].isna().all(axis=None)
    rest = found.iloc[model.window - 1 :]
    assert ((rest >= 0) & (rest <= 1)).all(axis=None)
    assert rest.sum(axis=1).to_numpy() == pytest.approx(1)
    part = X.iloc[100:130]
    expected = found.iloc[100 + model.window - 1 : 130]
    pd.testing.assert_frame_equal(model.predict_proba(part).iloc[model.window - 1 :], expected, rtol=1e-5)


def test_something_is_learnt(model: SignalModel) -> None:
    up = model.predict_proba(X)[1].iloc[model.window - 1 :]
    assert ((up > 0.5) == (Y[up.index] > 0)).mean() > 0.7


def test_a_clone_is_unfitted_and_learns_the_same_bits(make: Make, model: SignalModel) -> None:
    copy = clone(model)
    assert not hasattr(copy, "classes_")
    assert repr(copy.get_params(deep=False)) == repr(make().get_params(deep=False))
    copy.fit(X, Y, t_end=T_END)
    pd.testing.assert_frame_equal(copy.predict_proba(X), model.predict_proba(X), check_exact=True)


def test_the_future_changes_nothing_in_the_past(model: SignalModel) -> None:
    cut = 150
    changed = X.copy()
    changed.iloc[cut:] = changed.iloc[cut:].to_numpy()[::-1] * -3 + 1
    before, after = model.predict_proba(X), model.predict_proba(changed)
    pd.testing.assert_frame_equal(after.iloc[:cut], before.iloc[:cut], check_exact=True)
    assert not after.iloc[cut:].equals(before.iloc[cut:])


def test_a_row_with_a_hole_has_no_probability(model: SignalModel) -> None:
    holed = X.copy()
    holed.iloc[40, 1], holed.iloc[90, 3] = np.nan, np.inf
    missing = np.flatnonzero(model.predict_proba(holed)[1].isna()).tolist()
    w = model.window
    assert missing == [*range(w - 1), *range(40, 40 + w), *range(90, 90 + w)]


def test_rows_without_a_label_are_not_learnt_from(make: Make) -> None:
    # Labels that contradict the rest: whoever looked at them would answer otherwise.
    hidden = np.arange(ROWS) % 3 == 0
    contrary = Y.where(~hidden, 1 - Y)
    by_label = make().fit(X, contrary.mask(hidden), t_end=T_END).predict_proba(X)
    agrees = (by_label[1] > 0.5) == (Y > 0)
    assert agrees[hidden].mean() > 0.7


def test_sample_weights_are_honoured(make: Make, model: SignalModel) -> None:
    weights = pd.Series(np.where(Y > 0, 30.0, 1.0), index=X.index)
    weighted = make().fit(X, Y, t_end=T_END, sample_weight=weights)
    assert weighted.predict_proba(X)[1].mean() > model.predict_proba(X)[1].mean() + 0.03


def test_a_constant_column_does_no_harm(make: Make) -> None:
    constant = X.assign(close=39_999.9)
    model = make().fit(constant, Y, t_end=T_END)
    up = model.predict_proba(constant)[1].iloc[model.window - 1 :]
    assert up.notna().all()
    assert ((up > 0.5) == (Y[up.index] > 0)).mean() > 0.7
    assert parity(model, model.to_onnx(), constant) <= 1e-5


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_one_class_is_predicted_with_certainty(make: Make, only: float) -> None:
    model = make().fit(X, Y * 0 + only, t_end=T_END)
    assert model.classes_.tolist() == [0, 1]
    found = model.predict_proba(X)[1]
    assert found.iloc[: model.window - 1].isna().all()
    assert (found.iloc[model.window - 1 :] == only).all()
    assert parity(model, model.to_onnx(), X) == 0


def test_rows_to_learn_from_have_all_their_features(make: Make) -> None:
    holed = X.copy()
    holed.iloc[[50, 60], 1], holed.iloc[60, 3] = np.nan, np.inf
    with pytest.raises(ModelError, match=r"2 column\(s\): rsi \(2\), close \(1\)"):
        make().fit(holed, Y, t_end=T_END)
    context = np.isin(np.arange(ROWS), [50, 60])
    assert make().fit(holed, Y.mask(context), t_end=T_END).predict_proba(X)[1].iloc[3:].notna().all()


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_little_data_is_refused(make: Make, rows: int) -> None:
    with pytest.raises(ModelError, match="too few to fit"):
        make().fit(X[:rows], Y[:rows], t_end=T_END[:rows])
    with pytest.raises(ModelError, match="too few to fit"):
        make().fit(X, Y.where(np.arange(ROWS) < rows), t_end=T_END)


def test_a_graph_agrees_with_its_model(model: SignalModel) -> None:
    generator = np.random.default_rng(2)
    wild = np.where(generator.random(X.shape) < 0.1, generator.choice([1e6, -1e6, 0.0, 1e-40], X.shape), X)
    graph = model.to_onnx()
    assert parity(model, graph, pd.DataFrame(wild, index=X.index, columns=X.columns)) <= 1e-5
    assert parity(model, graph, X) <= 1e-5
    assert parity(model, graph, extreme_rows(X, 10_000, seed=5)) <= 1e-5


def test_other_features_are_refused(model: SignalModel) -> None:
    with pytest.raises(ModelError, match="feature 0 is 'close' where 'returns' was expected"):
        model.predict_proba(X[["close", "rsi", "volume", "returns"]])
    with pytest.raises(ModelError, match="'close' is missing"):
        model.predict_proba(X.drop(columns="close"))
    with pytest.raises(ModelError, match="extra feature 'more'"):
        model.predict_proba(X.assign(more=0.0))


def test_an_unfitted_model_answers_nothing(make: Make) -> None:
    with pytest.raises(ModelError, match="not fitted"):
        make().predict_proba(X)
    with pytest.raises(ModelError, match="not fitted"):
        make().to_onnx()


THREADS = """
import hashlib
from tests.contract.test_models import CV, ENSEMBLES, SETTINGS, T_END, X, Y
from models.factory import create_ensemble, create_model
settings = {**SETTINGS["svm"], "crosses": 2}
models = [create_model(name, SETTINGS[name], seed=4, cv=CV) for name in ("random_forest", "xgboost")]
models += [create_model("svm", {**settings, "exact_rows": rows}, seed=4, cv=CV) for rows in (100, 1000)]
weights = {"random_forest": 1.0, "xgboost": 2.0}
models.append(create_ensemble(SETTINGS, weights, seed=4, voting=ENSEMBLES["stack"], cv=CV))
for model in models:
    found = model.fit(X, Y, t_end=T_END).predict_proba(X)[1].to_numpy()
    print(hashlib.sha256(found.tobytes()).hexdigest())
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    def bits(threads: int) -> list[str]:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", THREADS]
        run = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        return run.stdout.split()

    one = bits(1)
    assert len(one) == 5
    assert bits(4) == one
