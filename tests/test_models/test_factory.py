from typing import Any

import pytest

from models.factory import FAMILIES, SEQUENCES, create_model, create_vote
from pipelines.params import Params
from trading.errors import ModelError


@pytest.mark.parametrize("name", FAMILIES)
def test_settings_of_params_become_the_keywords_of_the_model(name: str, params: Params) -> None:
    settings = getattr(params.models, name).model_dump()
    model = create_model(name, settings, seed=11)
    assert model.name == name
    injected = {"cv": None, "checkpoints": None} if name in SEQUENCES else {}
    assert model.get_params() == {**settings, **injected, "seed": 11}


def test_families_are_those_that_params_knows(params: Params) -> None:
    assert set(FAMILIES) == set(type(params.models).model_fields) - {"voting"}


def test_unknown_names_and_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="unknown model 'forest'"):
        create_model("forest", {}, seed=1)
    with pytest.raises(ModelError, match="unknown setting 'depth'"):
        create_model("xgboost", {**settings["xgboost"], "depth": 3}, seed=1)
    with pytest.raises(ModelError, match="unknown setting 'seed'"):
        create_model("xgboost", {**settings["xgboost"], "seed": 3}, seed=1)
    with pytest.raises(ModelError, match="missing setting 'window'"):
        create_model("lstm", {k: v for k, v in settings["lstm"].items() if k != "window"}, seed=1)


def test_a_vote_has_the_members_that_have_weights_in_a_fixed_order(settings: dict[str, Any]) -> None:
    vote = create_vote(settings, {"lstm": 2.0, "random_forest": 1.0}, seed=5)
    assert [model.name for model in vote.models] == ["random_forest", "lstm"]
    assert vote.weights == [1.0, 2.0]
    assert {model.get_params()["seed"] for model in vote.models} == {5}
    assert vote.window == settings["lstm"]["window"]


def test_a_vote_without_settings_or_of_strangers_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="no settings for lstm"):
        create_vote({"xgboost": settings["xgboost"]}, {"lstm": 1.0}, seed=5)
    with pytest.raises(ModelError, match="unknown model 'oracle'"):
        create_vote(settings, {"oracle": 1.0}, seed=5)
