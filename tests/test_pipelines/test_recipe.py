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


def test_the_hash_sees_the_method_and_neither_seed_nor_judging(params: Params, raw_params: dict[str, Any]) -> None:
    def with_(change: dict[str, Any]) -> str:
        return recipe_hash(parse_params(overlay(raw_params, change)), "1h", "spec")

    base = recipe_hash(params, "1h", "spec")
    others = {
        recipe_hash(params, "4h", "spec"),
        recipe_hash(params, "1h", "other features"),
        with_({"costs": {"fee_bps": 6.0}}),
        with_({"models": {"voting": {"lstm": 2.0}}}),
        with_({"tune": {"startup_trials": 2}}),
        with_({"backtest": {"refits": 3}}),
    }
    assert len(others | {base}) == 7
    assert with_({"backtest": {"seeds": 3, "break_even_bps": [1.0]}}) == base
    assert with_({"labels": {"horizons": ["1h", "24h"]}}) == base, "another horizon is another model"
    assert with_({"seed": 8}) == with_({"backtest": {"random_paths": 5}}) == with_({"gate": {"min_trades": 5}}) == base
