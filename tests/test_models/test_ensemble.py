"""Votes, stacks and calibrated votes of several models."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from models.base import Float64, SignalModel, SingleModel
from models.blend import Blend
from models.calibration import Platt
from models.ensemble import Ensemble
from models.factory import create_ensemble, create_model
from models.onnx_export import parity
from models.windows import Float32, Positions
from pipelines.splits import PurgedWalkForward
from pipelines.train.fit import extreme_rows
from tests.test_models.conftest import CV
from trading.errors import ModelError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]


@pytest.fixture(scope="module")
def vote(settings: dict[str, Any], data: Data) -> Ensemble:
    X, y, t_end = data
    return create_ensemble(settings, {"random_forest": 1.0, "xgboost": 3.0}, seed=3).fit(X, y, t_end=t_end)


def test_the_vote_is_the_weighted_mean_of_the_same_members(vote: Ensemble, fitted: dict[str, Any], data: Data) -> None:
    members = vote.predict_members(data[0])
    assert members.columns.tolist() == ["random_forest", "xgboost", "vote"]
    forest, boosting = (fitted[name].predict_proba(data[0])[1] for name in ("random_forest", "xgboost"))
    np.testing.assert_array_equal(members["random_forest"], forest)
    np.testing.assert_allclose(members["vote"], 0.25 * forest + 0.75 * boosting)
    np.testing.assert_array_equal(vote.predict_proba(data[0])[1], members["vote"])


def test_a_vote_waits_for_the_longest_window(settings: dict[str, Any], fitted: dict[str, Any], data: Data) -> None:
    vote = create_ensemble(settings, {"random_forest": 1.0, "lstm": 1.0}, seed=3)
    vote.models_ = [fitted["random_forest"], fitted["lstm"]]
    vote.blend_ = vote.given
    vote.feature_names_in_ = fitted["lstm"].feature_names_in_
    members = vote.predict_members(data[0])
    assert vote.window == 4
    assert members.iloc[:3].notna().sum().to_dict() == {"random_forest": 3, "lstm": 0, "vote": 0}
    assert members.iloc[3:].notna().all(axis=None)
    assert vote.predict_proba(data[0]).iloc[:3].isna().all(axis=None)


def test_a_fit_leaves_the_given_members_alone(vote: Ensemble) -> None:
    assert not any(hasattr(model, "classes_") for model in vote.models)
    assert all(hasattr(model, "classes_") for model in vote.models_)


def test_members_and_weights_must_fit(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    forest = create_model("random_forest", settings["random_forest"], seed=1)
    for models, weights, message in (
        ([], [], "one or more members"),
        ([forest, forest], [1.0, 1.0], "different names"),
        ([forest], [1.0, 2.0], "one positive weight each"),
        ([forest], [0.0], "one positive weight each"),
        ([forest], [float("nan")], "one positive weight each"),
    ):
        with pytest.raises(ModelError, match=message):
            Ensemble(models, weights).fit(X, y, t_end=t_end)  # type: ignore[arg-type]


def test_what_is_learnt_on_held_out_rows_needs_a_splitter(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    for voting in ({"method": "stacking"}, {"calibration": "platt"}):
        with pytest.raises(ModelError, match="no splitter"):
            create_ensemble(settings, {"xgboost": 1.0}, seed=1, voting=voting).fit(X, y, t_end=t_end)


def test_a_hard_vote_counts_heads(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    weights = {"random_forest": 1.0, "xgboost": 2.0}
    vote = create_ensemble(settings, weights, seed=3, voting={"method": "hard"}).fit(X, y, t_end=t_end)
    members = vote.predict_members(X)
    expected = ((members["random_forest"] > 0.5) + 2.0 * (members["xgboost"] > 0.5)) / 3
    np.testing.assert_allclose(members["vote"], expected)
    assert set(np.round(members["vote"], 3)) <= {0.0, 0.333, 0.667, 1.0}


class Oracle(SingleModel):
    """Says what a column says, whatever it learnt; or what the labels of its fit were, and one half elsewhere."""

    def __init__(self, column: int, *, by_heart: bool = False) -> None:
        self.column = column
        self.by_heart = by_heart

    @property
    def name(self) -> str:
        return "parrot" if self.by_heart else f"oracle_{self.column}"

    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        self.known_ = dict(zip(values[rows, 2].tolist(), labels.tolist(), strict=True))

    def _predict(self, values: Float32, ends: Positions) -> Any:
        if self.by_heart:
            return np.array([self.known_.get(place, 0.5) for place in values[ends, 2].tolist()])
        return values[ends, self.column]

    def _to_onnx(self) -> Any:
        raise NotImplementedError


def judged(seed: int = 0, rows: int = 6000) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Two columns of probabilities: one sees three quarters of the log odds, the other the rest; and a row's number."""
    generator = np.random.default_rng(seed)
    index = pd.date_range("2021-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    a, b = generator.normal(0, 1.0, rows), generator.normal(0, 0.5, rows)
    y = (generator.random(rows) < expit(a + b)).astype(float)
    X = pd.DataFrame({"a": expit(a), "b": expit(2 * b), "row": np.arange(float(rows))}, index=index)
    return X, pd.Series(y, index=index), pd.Series(index + pd.Timedelta("2h"), index=index)


def stack(*members: SignalModel, penalty: float = 1.0, calibration: str = "none") -> Ensemble:
    return Ensemble(
        list(members),
        [1.0] * len(members),
        method="stacking",
        penalty=penalty,
        calibration=calibration,  # type: ignore[arg-type]
        cv=PurgedWalkForward(3, 0.4, pd.Timedelta("1h")),
    )


def test_a_stack_finds_what_each_member_is_worth() -> None:
    X, y, t_end = judged()
    found = stack(Oracle(0), Oracle(1)).fit(X, y, t_end=t_end).blend_
    assert found.weights == pytest.approx((1.0, 0.5), abs=0.12)
    assert found.intercept == pytest.approx(0.0, abs=0.1)


def test_a_member_that_learns_by_heart_is_worth_nothing_to_a_stack() -> None:
    """On the rows of its fit it is never wrong; a stack that listened there would follow it and nobody else."""
    X, y, t_end = judged()
    model = stack(Oracle(0), Oracle(2, by_heart=True)).fit(X, y, t_end=t_end)
    learnt = model.predict_members(X)["parrot"]
    assert ((learnt > 0.5) == (y > 0)).all()
    new, happened, _ = judged(7)
    new["row"] += 1e6
    alone = ((new["a"] > 0.5) == (happened > 0)).mean()
    assert ((model.predict_proba(new)[1] > 0.5) == (happened > 0)).mean() == pytest.approx(alone, abs=0.01)


def test_a_member_whose_errors_another_shares_is_not_turned_round() -> None:
    X, y, t_end = judged()
    X["b"] = expit(0.8 * np.log(X["a"] / (1 - X["a"])) - np.log(X["b"] / (1 - X["b"])))
    assert min(stack(Oracle(0), Oracle(1), penalty=0.0).fit(X, y, t_end=t_end).blend_.weights) == 0.0


def test_a_penalty_draws_a_stack_to_the_given_weights() -> None:
    X, y, t_end = judged()
    weights = [stack(Oracle(0), Oracle(1), penalty=p).fit(X, y, t_end=t_end).blend_.weights for p in (1, 3e3, 1e9)]
    assert weights[2] == pytest.approx((0.5, 0.5), abs=1e-3)
    assert weights[0][0] > weights[1][0] > weights[2][0]


def test_labels_that_share_their_time_tell_a_stack_less() -> None:
    X, y, _ = judged()
    short, long = (pd.Series(X.index + pd.Timedelta(h, "h"), index=X.index) for h in (2, 101))
    plain = stack(Oracle(0), Oracle(1), penalty=3e3).fit(X, y, t_end=short).blend_.weights
    shared = stack(Oracle(0), Oracle(1), penalty=3e3).fit(X, y, t_end=long).blend_.weights
    assert 0.5 < shared[0] < plain[0]


def test_a_calibrated_vote_is_learnt_on_rows_held_out() -> None:
    X, y, t_end = judged()
    X["a"] = expit(3 * np.log(X["a"] / (1 - X["a"])))
    cv = PurgedWalkForward(3, 0.4, pd.Timedelta("1h"))
    model = Ensemble([Oracle(0)], [1.0], calibration="platt", cv=cv).fit(X, y, t_end=t_end)
    assert isinstance(model.blend_.calibration, Platt)
    assert 0.25 < model.blend_.calibration.slope < 0.45
    believed = Ensemble([Oracle(2, by_heart=True)], [1.0], calibration="platt", cv=cv).fit(X, y, t_end=t_end)
    assert (believed.predict_proba(X)[1] - 0.5).abs().max() < 0.02


def test_held_out_rows_of_one_class_teach_nothing() -> None:
    X, y, t_end = judged(rows=300)
    y.iloc[100:] = 1.0
    with pytest.raises(ModelError, match="not of both classes, to learn a vote from"):
        stack(Oracle(0), Oracle(1)).fit(X, y, t_end=t_end)


@pytest.mark.parametrize("calibration", ["none", "platt", "isotonic"])
@pytest.mark.parametrize("method", ["soft", "hard", "stacking"])
def test_an_ensemble_is_one_graph(settings: dict[str, Any], data: Data, method: str, calibration: str) -> None:
    X, y, t_end = data
    voting = {"method": method, "penalty": 5.0, "calibration": calibration}
    weights = {"random_forest": 1.0, "svm": 0.5, "xgboost": 2.0}
    model = create_ensemble(settings, weights, seed=3, voting=voting, cv=CV).fit(X, y, t_end=t_end)
    graph = model.to_onnx()
    assert parity(model, graph, extreme_rows(X, 10_000, 0)) < 1e-5
    assert graph.SerializeToString() == model.to_onnx().SerializeToString()
    blend = Blend.of(model.blend_.weights, json.loads(json.dumps(model.blend_.to_json())))
    members = model.predict_members(X)
    pd.testing.assert_series_equal(blend.vote(members.drop(columns="vote")), members["vote"], check_exact=True)


def test_a_vote_weighs_and_abstains_with_its_members() -> None:
    members = pd.DataFrame({"a": [0.2, np.nan], "b": [0.6, 0.6]}, index=[5, 6])
    for method, expected in (("soft", 0.5), ("hard", 0.75), ("stacking", expit(logit(0.2) + 3 * logit(0.6)))):
        vote = Blend(method, (1.0, 3.0)).vote(members)  # type: ignore[arg-type]
        assert vote.name == "vote"
        assert vote[5] == pytest.approx(expected)
        assert np.isnan(vote[6])
    pd.testing.assert_series_equal(Blend("soft", (2.0, 6.0)).vote(members), Blend("soft", (1.0, 3.0)).vote(members))
    with pytest.raises(ValueError, match="longer than"):
        Blend("soft", (1.0,)).vote(members)


def test_a_vote_nobody_knows_is_refused() -> None:
    with pytest.raises(ModelError, match="a vote by 'loud'"):
        Blend("loud", (1.0,))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="not negative"):
        Blend("stacking", (1.0, -0.1))
