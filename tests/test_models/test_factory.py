from typing import Any

import pytest

from models.crossed import Crossed
from models.factory import FAMILIES, create_ensemble, create_model
from pipelines.params import Params
from tests.test_models.conftest import CV
from trading.errors import ModelError


@pytest.mark.parametrize("name", FAMILIES)
def test_settings_of_params_become_the_keywords_of_the_model(name: str, params: Params) -> None:
    settings = getattr(params.models, name).model_dump()
    crossed = create_model(name, settings, seed=11, cv=CV)
    assert isinstance(crossed, Crossed)
    assert crossed.name == name
    assert crossed.keep == settings.pop("crosses") > 0
    given = {key: value for key, value in crossed.model.get_params().items() if key not in ("cv", "checkpoints")}
    assert given == {**settings, "seed": 11}
    assert type(create_model(name, {**settings, "crosses": 0}, seed=11, cv=CV)) is type(crossed.model)


def test_a_family_that_holds_rows_back_needs_a_splitter(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="svm without a splitter"):
        create_model("svm", settings["svm"], seed=1)


def test_families_are_those_that_params_knows(params: Params) -> None:
    assert set(FAMILIES) == set(type(params.models).model_fields) - {"voting", "ensemble"}


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
    vote = create_ensemble(settings, {"lstm": 2.0, "random_forest": 1.0}, seed=5)
    assert [model.name for model in vote.models] == ["random_forest", "lstm"]
    assert vote.weights == [1.0, 2.0]
    assert {model.get_params()["seed"] for model in vote.models} == {5}
    assert vote.window == settings["lstm"]["window"]


def test_a_vote_without_settings_or_of_strangers_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="no settings for lstm"):
        create_ensemble({"xgboost": settings["xgboost"]}, {"lstm": 1.0}, seed=5)
    with pytest.raises(ModelError, match="unknown model 'oracle'"):
        create_ensemble(settings, {"oracle": 1.0}, seed=5)
