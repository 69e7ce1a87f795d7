"""The recipe of one horizon: which families, with which settings, voting with which weights."""

from collections.abc import Collection, Mapping
from typing import Any

from pipelines.artifacts import content_hash
from pipelines.params import Params

# What decides the model that comes out; the rest of params.yaml is about judging it.
TRAINING = ("seed", "features", "labels", "costs", "positions", "models", "inner", "selection", "tune", "backtest")


# What a search found: values by family, and None for a family that it left out of the vote.
Tuned = Mapping[str, Mapping[str, Any] | None]


def family_settings(params: Params, tuned: Tuned) -> dict[str, dict[str, Any]]:
    """Settings of every family that votes: those of ``params.yaml`` with the tuned values on top.

    Parameters
    ----------
    params
        Params of the run.
    tuned
        Tuned hyperparameters by family; a family without any keeps its settings, one that has None does not vote.
    """
    base = params.models.model_dump()
    found = {family: tuned.get(family, {}) for family in params.models.voting}
    return {family: {**base[family], **values} for family, values in found.items() if values is not None}


def votes(params: Params, settings: Collection[str]) -> dict[str, float]:
    """Weights of the families that have settings, in the order of ``models.voting``."""
    return {str(family): weight for family, weight in params.models.voting.items() if family in settings}


def training_params(params: Params) -> dict[str, Any]:
    """The sections of ``params.yaml`` that decide the model, as plain values."""
    return params.model_dump(mode="json", include=set(TRAINING))


def recipe_hash(params: Params, horizon: str, feature_spec: str) -> str:
    """Identity of a method: what two versions share when one is the other on newer data.

    Tuned values are none of it, for searching them is part of the method; neither is the seed, nor how the result is
    judged.

    Parameters
    ----------
    params
        Params of the run.
    horizon
        What is predicted.
    feature_spec
        Hash of the feature definitions.
    """
    method = training_params(params)
    del method["seed"]
    judging = {"confidence", "random_paths", "monte_carlo", "combinatorial", "seeds", "break_even_bps"}
    method["backtest"] = {key: value for key, value in method["backtest"].items() if key not in judging}
    del method["labels"]["horizons"]  # of other models; this one's is named
    return content_hash({"horizon": horizon, "feature_spec": feature_spec, "method": method})
