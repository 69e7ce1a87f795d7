"""How good the forecasts are, beside what needs no skill at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines.metrics import accuracy_interval, auc, brier, difference_interval, effective_number, log_loss


def baseline_forecasts(predictions: pd.DataFrame, bars: pd.DataFrame) -> dict[str, pd.Series]:
    """Directions that need no model: 1.0 is up.

    ``train_majority``: the class each fold's training rows had more often. ``test_majority``: the class the test
    rows had more often, which nobody could have known: a bar to clear, not a strategy. ``reversal``: against the
    last bar.
    """
    bars = bars.reindex(predictions.index)
    return {
        "train_majority": predictions["majority"],
        "test_majority": pd.Series(float(predictions["label"].mean() >= 0.5), index=predictions.index),
        "reversal": (bars["close"] <= bars["open"]).astype(float),
    }


def hits(forecast: pd.Series, label: pd.Series) -> pd.Series:
    """1.0 where the direction was right; a probability of one half counts as up."""
    return ((forecast >= 0.5).astype(float) == label).astype(float)


def skill(
    predictions: pd.DataFrame, bars: pd.DataFrame, members: Sequence[str], horizon_bars: int, confidence: float
) -> dict[str, Any]:
    """Accuracy, Brier score, log loss and AUC of each member, and their distance from the best baseline.

    Parameters
    ----------
    predictions
        Walk-forward predictions; see :class:`pipelines.backtest.walk_forward.FoldResult`.
    bars
        Bars over at least the same index.
    members
        Columns of ``predictions`` to judge; ``vote`` among them.
    horizon_bars
        Labels of neighbouring rows overlap by this many bars, and errors are widened for it.
    confidence
        Of the intervals.
    """
    known = predictions.dropna(subset=["label", *members])
    label = known["label"]
    y = label.to_numpy()
    right = {name: hits(forecast, label) for name, forecast in baseline_forecasts(known, bars).items()}
    best = max(right, key=lambda name: right[name].mean())
    better = {name: (hits(known[name], label) - right[best]).to_numpy() for name in members}
    reach = {name: difference_interval(better[name], horizon_bars, confidence) for name in members}
    constant = np.full(len(y), 0.5)
    return {
        "samples": len(known),
        "effective_samples": int(effective_number(hits(known["vote"], label), horizon_bars)),
        "skill": {
            name: _scores(known[name], label, horizon_bars, confidence)
            | {"skill_low": reach[name][0], "skill_high": reach[name][1]}
            for name in members
        },
        "baselines": {name: {"accuracy": series.mean()} for name, series in right.items()}
        | {"constant": {"brier": brier(y, constant), "log_loss": log_loss(y, constant)}},
        "best_baseline": best,
        "skill_over_baseline": better["vote"].mean(),
        "skill_low": reach["vote"][0],
        "skill_high": reach["vote"][1],
    }


def _scores(probability: pd.Series, label: pd.Series, horizon_bars: int, confidence: float) -> dict[str, float]:
    right = hits(probability, label).to_numpy()
    p, y = probability.to_numpy(), label.to_numpy()
    low, high = accuracy_interval(right, horizon_bars, confidence)
    return {
        "accuracy": right.mean(),
        "accuracy_low": low,
        "accuracy_high": high,
        "brier": brier(y, p),
        "log_loss": log_loss(y, p),
        "auc": auc(y, p),
    }


def coverage(predictions: pd.DataFrame, horizon_bars: int) -> dict[str, float]:
    """Share of returns over the horizon that fell inside their interval, and how many independent ones that is worth.

    Intervals over many bars that are issued every bar share their outcomes: ``effective_samples`` of them would have a
    share as certain as these.
    """
    ret = "horizon_ret" if "horizon_ret" in predictions else "ret"
    known = predictions.dropna(subset=[ret, "low", "high"])
    held = known[ret].between(known["low"], known["high"]).to_numpy(dtype=float)
    return {"coverage": float(held.mean()), "effective_samples": int(effective_number(held, horizon_bars))}
