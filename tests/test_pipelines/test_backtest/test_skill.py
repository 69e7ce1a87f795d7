"""Skill is a distance from what needs none."""

import numpy as np
import pandas as pd
import pytest

from pipelines.backtest.skill import baseline_forecasts, coverage, hits, skill

N = 4000
INDEX = pd.date_range("2019-01-01", periods=N, freq="h", tz="UTC", name="timestamp")


def market(edge: float, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars of random direction, and a forecaster that is right with probability one half plus ``edge``."""
    rng = np.random.default_rng(seed)
    label = (rng.random(N) < 0.5).astype(float)
    right = rng.random(N) < 0.5 + edge
    probability = np.where(right, label, 1 - label) * 0.2 + 0.4
    close = 100 + rng.normal(size=N)
    bars = pd.DataFrame({"open": 100.0, "high": 110.0, "low": 90.0, "close": close, "volume": 1.0}, index=INDEX)
    predictions = pd.DataFrame(
        {"vote": probability, "label": label, "majority": 1.0, "ret": label - 0.5, "low": -0.6, "high": 0.4},
        index=INDEX,
    )
    return predictions, bars


def test_a_forecaster_with_an_edge_beats_every_baseline() -> None:
    found = skill(*market(0.08), ["vote"], 1, 0.95)
    assert found["skill"]["vote"]["accuracy"] == pytest.approx(0.58, abs=0.02)
    assert found["skill_low"] > 0
    assert found["samples"] == found["effective_samples"] == N


def test_a_coin_shows_no_skill() -> None:
    low = [skill(*market(0.0, seed), ["vote"], 1, 0.95)["skill_low"] for seed in range(20)]
    assert sum(value > 0 for value in low) <= 2


def test_the_best_baseline_is_the_bar_to_clear() -> None:
    predictions, bars = market(0.08)
    # A market that reverses every bar: betting against the last one is always right, and no skill is left over.
    bars["close"] = np.where(predictions["label"] > 0.5, 99.0, 101.0)
    found = skill(predictions, bars, ["vote"], 1, 0.95)
    assert found["best_baseline"] == "reversal"
    assert found["baselines"]["reversal"]["accuracy"] == 1.0
    assert found["skill_high"] < 0


def test_rows_without_a_label_or_a_forecast_are_not_judged() -> None:
    predictions, bars = market(0.0)
    predictions.iloc[:100, predictions.columns.get_loc("label")] = np.nan
    predictions.iloc[100:150, predictions.columns.get_loc("vote")] = np.nan
    assert skill(predictions, bars, ["vote"], 4, 0.95)["samples"] == N - 150


def test_baselines() -> None:
    predictions, bars = market(0.0)
    predictions["label"] = 0.0
    bars.iloc[0, bars.columns.get_loc("close")] = 100.0
    free = baseline_forecasts(predictions, bars)
    assert (free["train_majority"] == 1.0).all()
    assert (free["test_majority"] == 0.0).all()
    assert free["reversal"].iloc[0] == 1.0
    assert (free["reversal"] == (bars["close"] <= 100.0)).all()


def test_one_half_counts_as_up() -> None:
    assert hits(pd.Series([0.5, 0.5, 0.49]), pd.Series([1.0, 0.0, 0.0])).tolist() == [1, 0, 1]


def test_coverage_counts_known_returns_only() -> None:
    predictions, _ = market(0.0)
    predictions.iloc[: N // 2, predictions.columns.get_loc("ret")] = np.nan
    known = predictions["ret"].dropna()
    found = coverage(predictions, 1)
    assert found["coverage"] == pytest.approx((known <= 0.4).mean())
    assert found["effective_samples"] == len(known)


def test_outcomes_that_overlap_are_worth_fewer_than_there_are() -> None:
    predictions, _ = market(0.0)
    inside = pd.Series(np.repeat(np.random.default_rng(1).random(N // 10 + 1) < 0.9, 10)[:N], index=INDEX)
    blocks = predictions.assign(ret=np.where(inside, 0.0, 9.0), low=-1.0, high=1.0)
    found = coverage(blocks, 10)
    assert found["coverage"] == pytest.approx(inside.mean())
    assert found["effective_samples"] == pytest.approx(N / 10, rel=0.35)
