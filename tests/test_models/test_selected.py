"""A model that chooses its features keeps every promise of a model of all of them."""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from models.base import SignalModel
from models.factory import FAMILIES, create_ensemble, create_model
from models.onnx_export import parity
from models.selected import Selected
from tests.test_models.conftest import CV
from trading.errors import ModelError, TooFewBarsError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]
# Each choice a selector was asked for: features, labels, end times, weights.
Asked = list[tuple[pd.DataFrame, pd.Series, pd.Series, pd.Series | None]]
ASKED: Asked = []


@dataclass(frozen=True)
class Fixed:
    """Chooses given columns and remembers what it was shown."""

    columns: tuple[str, ...]

    def choose(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None) -> list[str]:
        ASKED.append((X, y, t_end, sample_weight))
        return list(self.columns)


@dataclass(frozen=True)
class Refusing:
    """Finds that there are too few rows."""

    def choose(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None) -> list[str]:
        raise TooFewBarsError("no fold has a training row")


@pytest.fixture
def asked() -> Asked:
    ASKED.clear()
    return ASKED


def make(settings: dict[str, Any], name: str, columns: tuple[str, ...] = ("f4", "f0")) -> SignalModel:
    return create_model(name, settings[name], seed=3, selector=Fixed(columns), cv=CV)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, settings: dict[str, Any], data: Data) -> Selected:
    X, y, t_end = data
    fitted = make(settings, request.param).fit(X, y, t_end=t_end)
    assert isinstance(fitted, Selected)
    return fitted


def test_it_predicts_what_its_model_of_the_chosen_columns_does(
    model: Selected, settings: dict[str, Any], data: Data
) -> None:
    X, y, t_end = data
    assert model.columns_ == ["f0", "f4"]
    assert model.feature_names_in_.tolist() == list(X.columns)
    assert model.n_features_in_ == 5
    alone = create_model(model.name, settings[model.name], seed=3, cv=CV).fit(X[["f0", "f4"]], y, t_end=t_end)
    assert model.window == alone.window
    expected = alone.predict_proba(X[["f0", "f4"]])
    pd.testing.assert_frame_equal(model.predict_proba(X), expected, check_exact=True)


def test_its_graph_takes_all_features_and_agrees(model: Selected, data: Data) -> None:
    graph = model.to_onnx()
    assert graph.SerializeToString() == model.to_onnx().SerializeToString()
    assert graph.graph.input[0].type.tensor_type.shape.dim[-1].dim_value == 5
    wild = data[0] * np.random.default_rng(0).choice([1, -1e4, 0.0], data[0].shape)
    assert parity(model, graph, data[0]) <= 1e-5
    assert parity(model, graph, wild) <= 1e-5


def test_a_hole_in_a_column_that_is_not_chosen_is_a_hole(model: Selected, data: Data) -> None:
    holed = data[0].copy()
    holed.iloc[50, 2] = np.nan
    missing = np.flatnonzero(model.predict_proba(holed)[1].isna()).tolist()
    w = model.window
    assert missing == [*range(w - 1), *range(50, 50 + w)]
    assert parity(model, model.to_onnx(), holed) <= 1e-5


def test_other_features_are_refused(model: Selected, data: Data) -> None:
    with pytest.raises(ModelError, match="'f4' is missing"):
        model.predict_proba(data[0].drop(columns="f4"))
    with pytest.raises(ModelError, match="extra feature"):
        model.predict_proba(data[0].assign(more=1.0))


def test_a_clone_is_unfitted_and_a_copy_of_the_fit_is_not(model: Selected, data: Data) -> None:
    copy = clone(model)
    assert not hasattr(copy, "columns_")
    assert copy.name == model.name
    with pytest.raises(ModelError, match="not fitted"):
        copy.predict_proba(data[0])
    with pytest.raises(ModelError, match="not fitted"):
        copy.to_onnx()
    travelled = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(travelled.predict_proba(data[0]), model.predict_proba(data[0]), check_exact=True)


def test_the_selector_sees_the_rows_that_are_learnt_from_and_no_others(
    asked: Asked, settings: dict[str, Any], data: Data
) -> None:
    X, y, t_end = (part.copy() for part in data)
    X.iloc[60, 2] = np.inf
    y.iloc[[60, *range(100, 200)]] = np.nan
    t_end.iloc[210:220] = pd.NaT
    weight = pd.Series(np.arange(400.0), index=X.index)
    weight.iloc[230:240] = 0.0
    make(settings, "lstm").fit(X, y, t_end=t_end, sample_weight=weight)
    hidden = {*range(3), *range(60, 64), *range(100, 200), *range(210, 220), *range(230, 240)}
    seen = [row for row in range(400) if row not in hidden]
    shown, labels, ends, weights = asked[0]
    pd.testing.assert_frame_equal(shown, X.iloc[seen])
    pd.testing.assert_series_equal(labels, y.iloc[seen], check_names=False)
    pd.testing.assert_series_equal(ends, t_end.iloc[seen])
    assert weights is not None
    pd.testing.assert_series_equal(weights, weight.iloc[seen])
    make(settings, "xgboost").fit(X, y, t_end=t_end)
    assert asked[1][3] is None


def test_labels_of_one_class_leave_nothing_to_choose_by(asked: Asked, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    model = make(settings, "xgboost").fit(X, y * 0, t_end=t_end)
    assert not asked
    assert isinstance(model, Selected)
    assert model.columns_ == list(X.columns)
    assert (model.predict_proba(X)[1] == 0).all()
    assert parity(model, model.to_onnx(), X) == 0


def test_too_few_rows_to_choose_by_are_too_few_to_fit(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    model = create_model("xgboost", settings["xgboost"], seed=0, selector=Refusing())
    with pytest.raises(ModelError, match="400 labelled rows are too few to fit xgboost") as caught:
        model.fit(X, y, t_end=t_end)
    assert "no fold has a training row" in str(caught.value)


def test_frames_that_do_not_belong_together_are_refused(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    with pytest.raises(ModelError, match="does not stand on the index"):
        make(settings, "xgboost").fit(X, y[:10], t_end=t_end)


def test_every_member_of_a_vote_chooses(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    weights = {"random_forest": 1.0, "xgboost": 2.0}
    vote = create_ensemble(settings, weights, seed=3, selector=Fixed(("f1", "f2")), cv=CV).fit(X, y, t_end=t_end)
    assert [member.columns_ for member in vote.models_ if isinstance(member, Selected)] == [["f1", "f2"]] * 2
    assert vote.predict_members(X).columns.tolist() == ["random_forest", "xgboost", "vote"]
    assert parity(vote, vote.to_onnx(), X) <= 1e-5
