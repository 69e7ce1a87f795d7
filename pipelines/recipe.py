"""The recipe of one horizon: which families, with which settings, voting with which weights."""

from collections.abc import Mapping
from typing import Any

from pipelines.artifacts import content_hash
from pipelines.params import Params

# What decides the model that comes out; the rest of params.yaml is about judging it.
TRAINING = ("seed", "features", "labels", "costs", "positions", "models", "tune", "backtest")
Settings = Mapping[str, Mapping[str, Any]]


def family_settings(params: Params, tuned: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Settings of every voting family: those of ``params.yaml`` with the tuned values on top.

    Parameters
    ----------
    params
        Params of the run.
    tuned
        Tuned hyperparameters by family; a family without any keeps its settings.
    """
    base = params.models.model_dump()
    return {family: {**base[family], **tuned.get(family, {})} for family in params.models.voting}


def training_params(params: Params) -> dict[str, Any]:
    """The sections of ``params.yaml`` that decide the model, as plain values."""
    return params.model_dump(mode="json", include=set(TRAINING))


def recipe_hash(params: Params, settings: Settings, horizon: str) -> str:
    """Identity of a recipe: what makes two versions the same method on other data."""
    return content_hash(
        {
            "horizon": horizon,
            "settings": settings,
            "weights": params.models.voting,
            "features": params.features.model_dump(),
            "positions": params.positions.model_dump(),
            "costs": params.costs.model_dump(),
        }
    )
