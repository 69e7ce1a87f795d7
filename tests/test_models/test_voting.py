from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.factory import create_model, create_vote
from models.voting import SoftVoting
from trading.errors import ModelError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]


@pytest.fixture(scope="module")
def vote(settings: dict[str, Any], data: Data) -> SoftVoting:
    X, y, t_end = data
    return create_vote(settings, {"random_forest": 1.0, "xgboost": 3.0}, seed=3).fit(X, y, t_end=t_end)


def test_the_vote_is_the_weighted_mean_of_the_same_members(
    vote: SoftVoting, fitted: dict[str, Any], data: Data
) -> None:
    members = vote.predict_members(data[0])
    assert members.columns.tolist() == ["random_forest", "xgboost", "vote"]
    forest, boosting = (fitted[name].predict_proba(data[0])[1] for name in ("random_forest", "xgboost"))
    np.testing.assert_array_equal(members["random_forest"], forest)
    np.testing.assert_allclose(members["vote"], 0.25 * forest + 0.75 * boosting)
    np.testing.assert_array_equal(vote.predict_proba(data[0])[1], members["vote"])


def test_a_vote_waits_for_the_longest_window(settings: dict[str, Any], fitted: dict[str, Any], data: Data) -> None:
    vote = create_vote(settings, {"random_forest": 1.0, "lstm": 1.0}, seed=3)
    vote.models_ = [fitted["random_forest"], fitted["lstm"]]
    vote.feature_names_in_ = fitted["lstm"].feature_names_in_
    members = vote.predict_members(data[0])
    assert vote.window == 4
    assert members.iloc[:3].notna().sum().to_dict() == {"random_forest": 3, "lstm": 0, "vote": 0}
    assert members.iloc[3:].notna().all(axis=None)
    assert vote.predict_proba(data[0]).iloc[:3].isna().all(axis=None)


def test_a_fit_leaves_the_given_members_alone(vote: SoftVoting) -> None:
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
            SoftVoting(models, weights).fit(X, y, t_end=t_end)  # type: ignore[arg-type]
