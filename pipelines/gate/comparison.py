"""Two registered versions side by side: what each showed, and their difference over the bars they share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.gate.champion import blocks
from pipelines.metrics import sharpe
from pipelines.monte_carlo.bootstrap import paired_difference
from pipelines.tracking_store import flatten
from trading.errors import ParamsError

METRICS = (
    "skill.vote.accuracy",
    "best_baseline_accuracy",
    "skill_over_baseline",
    "strategy.sharpe",
    "strategy.total_return",
    "strategy.max_drawdown",
    "strategy.trades",
    "strategy.turnover_per_year",
    "strategy.exposure",
    "comparison.buy_and_hold.sharpe",
    "probabilistic_sharpe",
    "verdict.deflated_sharpe",
    "verdict.trials.deflated_by",
    "verdict.trials.counted",
    "overfitting.search.probability",
    "superior_ability.probability",
    "break_even_curve.zero_bps",
)


@dataclass(frozen=True)
class Version:
    """What is read of a registered version.

    Parameters
    ----------
    version, aliases
        As in the registry.
    evidence
        Content of its ``evidence.json``.
    verdict
        Its horizon's part of ``verdict.json``.
    params
        ``params`` of its run, ``settings`` of its members as tuned, and ``seed``, from ``bundle.json``.
    stream
        Net return of each bar of its recipe's walk-forward test; index ``timestamp``.
    """

    version: str
    aliases: tuple[str, ...]
    evidence: Mapping[str, Any]
    verdict: Mapping[str, Any]
    params: Mapping[str, Any]
    stream: pd.Series


def common_bars(a: Version, b: Version) -> pd.DataFrame:
    """Net returns ``a`` and ``b`` over the bars that both tests have.

    Raises
    ------
    ParamsError
        If there is none.
    """
    both = pd.concat([a.stream.rename("a"), b.stream.rename("b")], axis=1, join="inner").dropna()
    if both.empty:
        raise ParamsError(
            f"versions {a.version} and {b.version} were not tested on a common bar",
            where="; ".join(
                f"version {one.version}: {one.stream.index[0]} to {one.stream.index[-1]}" for one in (a, b)
            ),
            rule="versions are compared over the bars that both were tested on",
            remedy="compare versions whose tests overlap; `engine card` shows what each was trained on",
        )
    return both


def compare(a: Version, b: Version, horizon: str, periods_per_year: float) -> dict[str, Any]:
    """Everything about ``a`` less everything about ``b``.

    The difference of their Sharpe ratios is resampled in pairs, as the gate does that asks whether ``a`` may follow
    ``b``: over common bars, with the block, the paths and the seed of ``a``'s evidence.

    Returns
    -------
    dict
        ``versions``; ``metrics``, each over its own test, with its ``interval`` where one was measured; ``params`` that
        differ; ``common``: over the common bars both annual ratios, their ``difference`` with its interval ``low`` to
        ``high``, and ``above``, the share of paths on which ``a`` is better. Without an interval, ``reason`` says why.

    Raises
    ------
    ParamsError
        If the tests have no common bar.

    References
    ----------
    Ledoit and Wolf (2008), "Robust performance hypothesis testing with the Sharpe ratio".
    """
    both = common_bars(a, b)
    measured = [_measured(one, horizon) for one in (a, b)]
    settings = [flatten(one.params) for one in (a, b)]
    return {
        "horizon": horizon,
        "versions": {"a": _identity(a, horizon), "b": _identity(b, horizon)},
        "metrics": [_metric(name, *measured) for name in METRICS],
        "params": [
            {"param": name, "a": settings[0].get(name), "b": settings[1].get(name)}
            for name in sorted(settings[0].keys() | settings[1].keys())
            if settings[0].get(name) != settings[1].get(name)
        ],
        "common": {"bars": len(both), "first": both.index[0], "last": both.index[-1]}
        | _difference(both, a.evidence, measured[0]["monte_carlo"], periods_per_year),
    }


def _difference(
    both: pd.DataFrame, evidence: Mapping[str, Any], monte_carlo: Mapping[str, Any], year: float
) -> dict[str, Any]:
    own = [_finite(sharpe(both[name], year)) if both[name].std() > 0 else None for name in ("a", "b")]
    block, needed = blocks(monte_carlo)
    paths, confidence = int(monte_carlo["paths"]), float(evidence["confidence"])
    found: dict[str, Any] = {
        "sharpe": {"a": own[0], "b": own[1]},
        "difference": None if own[0] is None or own[1] is None else own[0] - own[1],
        "low": None,
        "high": None,
        "above": None,
        "confidence": confidence,
        "block": block,
        "paths": paths,
        "reason": None,
    }
    if len(both) < needed:
        return found | {"reason": f"{len(both)} common bars; {needed} are needed to resample them"}
    if found["difference"] is None:
        return found | {"reason": "one of them never moved"}
    drawn = paired_difference(both["a"], both["b"], paths, block, int(evidence["seed"]), year)
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return found | {"reason": "no path on which both moved"}
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return found | {"low": float(low), "high": float(high), "above": float(np.mean(known > 0))}


def _identity(one: Version, horizon: str) -> dict[str, Any]:
    bundle = one.evidence["horizons"][horizon]["bundle"]
    return {
        "version": one.version,
        "aliases": list(one.aliases),
        "as_of": one.evidence["as_of"],
        "test": {key: one.evidence["test"][key] for key in ("first", "last")},
        "verdict": one.verdict["verdict"],
        "question": one.verdict.get("question"),
        "summary": one.verdict["summary"],
        "bundle_hash": bundle["hash"],
        "recipe_sha256": bundle["recipe_sha256"],
    }


def _measured(one: Version, horizon: str) -> dict[str, Any]:
    """Evidence of the horizon with the baseline's accuracy and the verdict, which knows the whole ledger."""
    found = one.evidence["horizons"][horizon]
    best = found["baselines"].get(found["best_baseline"], {})
    return {**found, "verdict": one.verdict, "best_baseline_accuracy": best.get("accuracy")}


def _metric(name: str, *measured: Mapping[str, Any]) -> dict[str, Any]:
    a, b = (_at(one, name) for one in measured)
    return {
        "metric": name,
        "a": a,
        "b": b,
        "difference": None if a is None or b is None else a - b,
        "interval": {side: _interval(one, name) for side, one in zip("ab", measured, strict=True)},
    }


def _interval(measured: Mapping[str, Any], name: str) -> list[float] | None:
    name = "skill" if name == "skill_over_baseline" else name
    low, high = (_at(measured, f"{name}_{end}") for end in ("low", "high"))
    return None if low is None or high is None else [low, high]


def _at(measured: Any, name: str) -> float | None:
    for key in name.split("."):
        measured = (measured or {}).get(key)
    return measured if measured is None else _finite(measured)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
