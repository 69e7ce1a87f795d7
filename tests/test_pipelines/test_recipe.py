"""A recipe's identity is its settings, not its data."""

from typing import Any

from pipelines.params import Params, overlay, parse_params
from pipelines.recipe import family_settings, recipe_hash


def test_tuned_values_lie_on_top_of_the_params(params: Params) -> None:
    settings = family_settings(params, {"xgboost": {"max_depth": 9}})
    assert settings["xgboost"]["max_depth"] == 9
    assert settings["xgboost"]["learning_rate"] == params.models.xgboost.learning_rate
    assert settings["lstm"] == params.models.lstm.model_dump()
    assert set(settings) == set(params.models.voting)


def test_the_hash_sees_settings_horizon_weights_and_costs(params: Params, raw_params: dict[str, Any]) -> None:
    settings = family_settings(params, {})
    base = recipe_hash(params, settings, "1h")
    assert base == recipe_hash(params, family_settings(params, {}), "1h")
    dearer = parse_params(overlay(raw_params, {"costs": {"fee_bps": 6.0}}))
    weighted = parse_params(overlay(raw_params, {"models": {"voting": {"lstm": 2.0}}}))
    reseeded = parse_params(overlay(raw_params, {"seed": 8}))
    others = {
        recipe_hash(params, settings, "4h"),
        recipe_hash(params, family_settings(params, {"lstm": {"window": 5}}), "1h"),
        recipe_hash(dearer, settings, "1h"),
        recipe_hash(weighted, settings, "1h"),
    }
    assert len(others | {base}) == 5
    assert recipe_hash(reseeded, settings, "1h") == base
