"""From a family's name in ``params.yaml`` to a model. Nothing is imported before it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading.errors import ModelError

if TYPE_CHECKING:
    from models.base import SignalModel
    from models.ensemble import Ensemble
    from models.out_of_fold import Splitter
    from models.returns import ReturnModel
    from models.selected import Selector

# Networks over windows of bars, which take longest to fit.
SEQUENCES = ("lstm", "transformer")
FAMILIES = ("random_forest", "svm", "xgboost", *SEQUENCES)
# Families that also forecast means and quantiles of returns.
RETURNS = ("xgboost", *SEQUENCES)


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
        The keywords of its constructor and ``crosses``, as ``params.models.<name>`` holds them: most products of two
        features that each fit adds to them.
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
    known = set(keywords) - injected | {"crosses"}
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
    own = {key: value for key, value in settings.items() if key != "crosses"}
    model = family(**own, **{key: given[key] for key in injected})
    if settings["crosses"]:
        from models.crossed import Crossed

        model = Crossed(model, settings["crosses"])
    if selector is None:
        return model
    from models.selected import Selected

    return Selected(model, selector)


def create_return_model(
    name: str,
    settings: Mapping[str, Any],
    levels: Sequence[float],
    *,
    seed: int,
    cv: "Splitter | None" = None,
    checkpoints: Path | None = None,
) -> "ReturnModel":
    """An unfitted model of the mean and of quantiles of returns.

    Parameters
    ----------
    name
        One of ``RETURNS``.
    settings
        As :func:`create_model`; products of features are found by what they say about directions, and left out here.
    levels
        Of the quantiles, rising, between 0 and 1.
    seed, cv, checkpoints
        As :func:`create_model`.

    Raises
    ------
    ModelError
        As :func:`create_model`, and for a family that forecasts directions only.
    """
    if name not in RETURNS:
        _family(name)
        raise ModelError(
            f"{name} forecasts no returns", rule=f"one of {', '.join(RETURNS)}", remedy="choose one of them"
        )
    direction = create_model(name, {**settings, "crosses": 0}, seed=seed, cv=cv, checkpoints=checkpoints)
    if name in SEQUENCES:
        from models.network_returns import NetworkReturns

        return NetworkReturns(direction, levels)
    from models.boosted_returns import BoostedReturns

    return BoostedReturns(direction, levels)


def create_ensemble(
    models: Mapping[str, Mapping[str, Any]],
    weights: Mapping[str, float],
    *,
    seed: int,
    voting: Mapping[str, Any] | None = None,
    selector: "Selector | None" = None,
    cv: "Splitter | None" = None,
    checkpoints: Path | None = None,
) -> "Ensemble":
    """An unfitted ensemble.

    Parameters
    ----------
    models
        Settings by family; families without a weight are left out.
    weights
        Weight by family: the members, in the order of ``FAMILIES``, so that the order of a file does not matter.
    seed
        Of every member.
    voting
        The keywords ``method``, ``penalty`` and ``calibration`` of :class:`models.ensemble.Ensemble`, as
        ``params.models.ensemble`` holds them; None is a soft vote as it comes.
    selector
        Chooses the features of every member in each fit; None keeps them all.
    cv
        As :func:`create_model`, for every member, and for what is learnt about them.
    checkpoints
        As :func:`create_model`, for every member.

    Raises
    ------
    ModelError
        As :func:`create_model`, and for a member without settings.
    """
    from models.ensemble import Ensemble

    for name in weights:
        _family(name)
        if name not in models:
            raise ModelError(
                f"no settings for {name}", where="params.models", rule="a member has settings", remedy="add them"
            )
    members = [name for name in FAMILIES if name in weights]
    return Ensemble(
        models=[
            create_model(name, models[name], seed=seed, selector=selector, cv=cv, checkpoints=checkpoints)
            for name in members
        ],
        weights=[weights[name] for name in members],
        cv=cv,
        **(voting or {}),
    )


def _family(name: str) -> "Callable[..., SignalModel]":
    match name:
        case "random_forest":
            from models.random_forest import RandomForest

            return RandomForest
        case "svm":
            from models.svm import SVM

            return SVM
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
