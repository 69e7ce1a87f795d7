import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as reference_log_loss

from pipelines import metrics
from pipelines.metrics import (
    accuracy_interval,
    auc,
    brier,
    difference_interval,
    log_loss,
    sharpe_interval,
    sharpe_standard_error,
)
from trading import performance

# -- Sharpe ratio


def test_sharpe_and_drawdown_are_the_simulators_own() -> None:
    assert metrics.sharpe is performance.sharpe
    assert metrics.max_drawdown is performance.max_drawdown


def test_standard_error_of_independent_normal_returns_is_lo_equation_7() -> None:
    returns = np.random.default_rng(0).normal(0.05, 0.1, 200_000)
    ratio = returns.mean() / returns.std()
    expected = math.sqrt((1 + ratio**2 / 2) / len(returns))
    assert sharpe_standard_error(returns, lags=0) == pytest.approx(expected, rel=0.01)
    assert sharpe_standard_error(returns) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("ratio", "periods", "printed"),
    [(0.5, 12, 0.306), (0.5, 60, 0.137), (1.0, 24, 0.250), (2.0, 60, 0.224), (3.0, 12, 0.677)],
)
def test_standard_errors_that_lo_prints(ratio: float, periods: int, printed: float) -> None:
    """Lo (2002), table 1: independent normal returns. A sixth of these is high, a sixth low: kurtosis 3, no skew."""
    moves = np.repeat([math.sqrt(3), -math.sqrt(3), 0.0], [periods // 6, periods // 6, periods - 2 * (periods // 6)])
    assert sharpe_standard_error(moves + ratio, lags=0) == pytest.approx(printed, abs=5e-4)


def test_the_interval_of_a_ratio_is_its_error_on_either_side() -> None:
    returns = np.random.default_rng(4).normal(0.001, 0.01, 500)
    low, high = sharpe_interval(returns, 365.0, 0.95)
    assert (low + high) / 2 == pytest.approx(metrics.sharpe(returns, 365.0))
    assert high - low == pytest.approx(2 * 1.959964 * sharpe_standard_error(returns) * math.sqrt(365), rel=1e-6)
    assert np.isnan(sharpe_interval(np.zeros(9), 365.0, 0.95)).all()


def test_standard_error_of_independent_skewed_returns_is_mertens() -> None:
    """The influence function's variance is 1 - skew SR + (kurtosis - 1) / 4 SR^2, exactly, in any sample."""
    returns = np.random.default_rng(1).gamma(2.0, 0.01, 500) - 0.015
    z = (returns - returns.mean()) / returns.std()
    ratio = returns.mean() / returns.std()
    expected = math.sqrt((1 - (z**3).mean() * ratio + ((z**4).mean() - 1) / 4 * ratio**2) / 500)
    assert sharpe_standard_error(returns, lags=0) == pytest.approx(expected, rel=1e-12)


def test_standard_error_covers_the_spread_of_autocorrelated_ratios() -> None:
    """Against what no formula knows: the spread over many samples of an AR(1) process."""
    rng = np.random.default_rng(2)
    errors, ratios = [], []
    for _ in range(400):
        noise = rng.normal(0, 1, 1_100)
        returns = np.empty(1_100)
        returns[0] = noise[0]
        for t in range(1, 1_100):
            returns[t] = 0.4 * returns[t - 1] + noise[t]
        returns = returns[100:] + 0.05
        ratios.append(returns.mean() / returns.std(ddof=1))
        errors.append((sharpe_standard_error(returns), sharpe_standard_error(returns, lags=0)))
    robust, naive = np.mean(errors, axis=0)
    spread = np.std(ratios)
    assert robust == pytest.approx(spread, rel=0.12)
    assert naive < 0.75 * spread


def test_standard_error_weights_are_bartletts() -> None:
    """Written out: gamma_0 + 2 * sum (1 - k / (L + 1)) gamma_k of the influence function."""
    returns = np.random.default_rng(3).normal(0.01, 0.02, 50)
    z = (returns - returns.mean()) / returns.std()
    psi = z - returns.mean() / returns.std() / 2 * (z**2 - 1)
    long_run = sum(psi * psi)
    for lag in (1, 2, 3):
        long_run += 2 * (1 - lag / 4) * sum(psi[t] * psi[t - lag] for t in range(lag, 50))
    assert sharpe_standard_error(returns, lags=3) == pytest.approx(math.sqrt(long_run / 50 / 50), rel=1e-12)
    # floor(4 * (50 / 100) ** (2 / 9)) is 3.
    assert sharpe_standard_error(returns) == sharpe_standard_error(returns, lags=3)


@pytest.mark.parametrize("returns", [[], [0.1], [0.2, 0.2, 0.2]])
def test_standard_error_without_variance_is_nan(returns: list[float]) -> None:
    assert math.isnan(sharpe_standard_error(returns))


# -- intervals


def test_accuracy_interval_without_overlap_is_wilsons() -> None:
    # Published worked example: 15 of 20 at 95 % gives 0.531 to 0.888.
    low, high = accuracy_interval([True] * 15 + [False] * 5, 1, 0.95)
    z, n, p = norm.ppf(0.975), 20, 0.75
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (low, high) == pytest.approx((centre - half, centre + half), rel=1e-12)
    assert (low, high) == pytest.approx((0.531, 0.888), abs=5e-4)


@pytest.mark.parametrize("block", [1, 4, 24])
def test_intervals_cover_as_often_as_they_say(block: int) -> None:
    """Right forecasts of overlapping sums: the truth is one half, the neighbours are not independent."""
    rng = np.random.default_rng(block)
    covered = naive = differences = 0
    runs = 400
    for _ in range(runs):
        steps = rng.normal(0, 1, 1_500 + block)
        up = np.convolve(steps, np.ones(block), "valid")[:1_500] > 0
        low, high = accuracy_interval(up, block, 0.9)
        covered += low <= 0.5 <= high
        low, high = accuracy_interval(up, 1, 0.9)
        naive += low <= 0.5 <= high
        low, high = difference_interval(up - 0.5, block, 0.9)
        differences += low <= 0.0 <= high
    assert covered / runs == pytest.approx(0.9, abs=0.05)
    assert differences / runs == pytest.approx(0.9, abs=0.06)
    if block > 1:
        assert naive / runs < 0.75


def test_intervals_widen_with_confidence_and_overlap_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    hits = np.repeat(rng.integers(0, 2, 60), 5).astype(bool)
    low, high = accuracy_interval(hits, 1, 0.9)
    wide = accuracy_interval(hits, 5, 0.9)
    wider = accuracy_interval(hits, 5, 0.99)
    assert wider[0] < wide[0] < low < hits.mean() < high < wide[1] < wider[1]
    # Alternating hits are negatively correlated; that never makes an interval narrower than independence would.
    alternating = np.tile([True, False], 50)
    assert accuracy_interval(alternating, 2, 0.9) == accuracy_interval(alternating, 1, 0.9)


def test_intervals_at_the_edges() -> None:
    assert accuracy_interval([], 4, 0.9) == (0.0, 1.0)
    low, high = accuracy_interval([True] * 40, 4, 0.9)
    assert (low, high) == accuracy_interval([True] * 10, 1, 0.9)
    assert 0.7 < low < 1.0
    assert high == pytest.approx(1.0)
    assert accuracy_interval([True], 24, 0.9)[1] == pytest.approx(1.0)
    assert accuracy_interval([True], 24, 0.9)[0] < 0.05
    assert difference_interval([0.0, 0.0, 0.0], 2, 0.9) == (0.0, 0.0)
    assert all(math.isnan(bound) for bound in difference_interval([], 2, 0.9))


def test_difference_interval_is_the_normal_one() -> None:
    values = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], 300)
    half = norm.ppf(0.95) * values.std() / math.sqrt(300)
    assert difference_interval(values, 1, 0.9) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-12)


@pytest.mark.parametrize("interval", [accuracy_interval, difference_interval])
@pytest.mark.parametrize(
    ("values", "block", "confidence"), [([1.0], 0, 0.9), ([1.0], 1, 1.0), ([math.nan], 1, 0.9), ([[1.0]], 1, 0.9)]
)
def test_intervals_refuse_nonsense(
    interval: Callable[..., tuple[float, float]], values: list[float], block: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        interval(values, block, confidence)


# -- probability scores


@pytest.fixture
def forecast() -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(5)
    probability = pd.Series(rng.uniform(0, 1, 400)).round(2)  # rounded, so that there are ties
    return (pd.Series(rng.uniform(0, 1, 400)) < probability).astype(float), probability


def test_scores_agree_with_scikit_learn(forecast: tuple[pd.Series, pd.Series]) -> None:
    label, probability = forecast
    assert brier(label, probability) == pytest.approx(brier_score_loss(label, probability), rel=1e-12)
    assert log_loss(label, probability) == pytest.approx(reference_log_loss(label, probability), rel=1e-9)
    assert auc(label, probability) == pytest.approx(roc_auc_score(label, probability), rel=1e-12)


def test_scores_of_a_coin_and_of_certainty() -> None:
    label, coin = np.array([0.0, 1.0, 1.0]), np.full(3, 0.5)
    assert brier(label, coin) == 0.25
    assert log_loss(label, coin) == pytest.approx(math.log(2))
    assert auc(label, coin) == 0.5
    assert brier(label, label) == 0.0
    assert log_loss(label, label) == pytest.approx(0.0, abs=1e-14)
    assert auc(label, label) == 1.0
    assert auc(label, 1 - label) == 0.0
    assert 30 < log_loss(label, 1 - label) < 40  # dear, not infinite


def test_auc_with_one_class_is_nan() -> None:
    assert math.isnan(auc([1.0, 1.0], [0.2, 0.3]))
    assert math.isnan(auc([0.0, 0.0], [0.2, 0.3]))


@pytest.mark.parametrize("score", [brier, log_loss, auc])
@pytest.mark.parametrize(
    ("label", "probability"),
    [
        pytest.param([], [], id="empty"),
        pytest.param([1.0], [0.5, 0.5], id="lengths"),
        pytest.param([[1.0]], [[0.5]], id="a matrix"),
        pytest.param([1.0, math.nan], [0.5, 0.5], id="no label"),
        pytest.param([1.0, 0.0], [0.5, math.nan], id="no forecast"),
        pytest.param([1.0, 2.0], [0.5, 0.5], id="another class"),
        pytest.param([1.0, 0.0], [0.5, 1.1], id="not a probability"),
        pytest.param(pd.Series([1.0, 0.0]), pd.Series([0.5, 0.5], index=[1, 0]), id="other rows"),
    ],
)
def test_scores_refuse_what_they_would_have_to_skip(
    score: Callable[..., float], label: object, probability: object
) -> None:
    with pytest.raises(ValueError):
        score(label, probability)
