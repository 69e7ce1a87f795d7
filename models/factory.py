"""From a family's name in ``params.yaml`` to a model. Nothing is imported before it is asked for."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading.errors import ModelError

if TYPE_CHECKING:
    from models.base import SignalModel
    from models.out_of_fold import Splitter
    from models.selected import Selector
    from models.voting import SoftVoting

# Networks over windows of bars, which take longest to fit.
SEQUENCES = ("lstm", "transformer")
FAMILIES = ("random_forest", "xgboost", *SEQUENCES)


def create_model(
    name: str,
    settings: Mapping[str, Any],
    *,
    seed: int,
    selector: "Selector | None" = None,
    cv: "Splitter | None" = None,
    checkpoints: Path | None = None,
) -> "SignalModel":
    """An unfitted model.

    Parameters
    ----------
    name
        One of ``FAMILIES``.
    settings
        The keywords of its constructor, as ``params.models.<name>`` holds them.
    seed
        Of everything random in it.
    selector
        Chooses its features in each fit; None keeps them all.
    cv
        Holds rows back inside a fit, for the families that ask for it.
    checkpoints
        Folder in which long fits keep what a killed one goes on from; None keeps nothing.

    Raises
    ------
    ModelError
        For an unknown family, for settings that are missing or unknown, and for a family that needs ``cv`` without it.
    """
    family = _family(name)
    keywords = signature(family).parameters
    given: dict[str, Any] = {"seed": seed, "cv": cv, "checkpoints": checkpoints}
    injected = given.keys() & keywords.keys()
    known = set(keywords) - injected
    for problem, keys in (("unknown", set(settings) - known), ("missing", known - set(settings))):
        if keys:
            raise ModelError(
                f"{problem} setting {sorted(keys)[0]!r} of {name}",
                where=f"params.models.{name}",
                rule=f"exactly these: {', '.join(sorted(known))}",
                remedy="mend the settings of this family",
            )
    if "cv" in injected and cv is None and keywords["cv"].default is Parameter.empty:
        raise ModelError(
            f"{name} without a splitter",
            rule="what it learns from rows that are held back, it learns on purged splits",
            remedy="give cv",
        )
    model = family(**settings, **{key: given[key] for key in injected})
    if selector is None:
        return model
    from models.selected import Selected

    return Selected(model, selector)


def create_vote(
    models: Mapping[str, Mapping[str, Any]],
    weights: Mapping[str, float],
    *,
    seed: int,
    selector: "Selector | None" = None,
    cv: "Splitter | None" = None,
    checkpoints: Path | None = None,
) -> "SoftVoting":
    """An unfitted vote.

    Parameters
    ----------
    models
        Settings by family; families without a weight are left out.
    weights
        Weight by family: the members, in the order of ``FAMILIES``, so that the order of a file does not matter.
    seed
        Of every member.
    selector
        Chooses the features of every member in each fit; None keeps them all.
    cv, checkpoints
        As :func:`create_model`, for every member.

    Raises
    ------
    ModelError
        As :func:`create_model`, and for a member without settings.
    """
    from models.voting import SoftVoting

    for name in weights:
        _family(name)
        if name not in models:
            raise ModelError(
                f"no settings for {name}", where="params.models", rule="a member has settings", remedy="add them"
            )
    members = [name for name in FAMILIES if name in weights]
    return SoftVoting(
        models=[
            create_model(name, models[name], seed=seed, selector=selector, cv=cv, checkpoints=checkpoints)
            for name in members
        ],
        weights=[weights[name] for name in members],
    )


def _family(name: str) -> "Callable[..., SignalModel]":
    match name:
        case "random_forest":
            from models.random_forest import RandomForest

            return RandomForest
        case "xgboost":
            from models.gradient_boosting import XGBoost

            return XGBoost
        case "lstm":
            from models.lstm import LSTM

            return LSTM
        case "transformer":
            from models.transformer import Transformer

            return Transformer
        case _:
            raise ModelError(
                f"unknown model {name!r}", rule=f"one of {', '.join(FAMILIES)}", remedy="choose one of them"
            )
