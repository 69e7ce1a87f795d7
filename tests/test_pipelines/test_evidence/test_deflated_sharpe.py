import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import deflated_sharpe_ratio_full, probabilistic_sharpe_ratio
from scipy import stats

from pipelines.evidence.deflated_sharpe import (
    deflated_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
    trial_variance,
)

PERIODS = 250  # trading days in the paper's year


def moments(returns: np.ndarray) -> tuple[float, int, float, float]:
    """As the reference estimates them."""
    return (
        returns.mean() / returns.std(),
        len(returns),
        float(stats.skew(returns, bias=False)),
        float(stats.kurtosis(returns, fisher=False, bias=False)),
    )


def test_the_papers_example() -> None:
    """Bailey and López de Prado (2014), "A numerical example": 100 trials, DSR 0.9004; 46 trials 0.9505."""
    sharpe, variance = 2.5 / math.sqrt(PERIODS), 0.5 / PERIODS
    assert expected_maximum_sharpe(variance, 100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(sharpe, 1250, -3, 10, 100, variance) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(sharpe, 1250, -3, 10, 46, variance) == pytest.approx(0.9505, abs=5e-5)


def test_the_papers_example_with_normal_returns() -> None:
    """The same strategy would have passed at 0.95 up to 88 trials, had its returns been normal."""
    sharpe, variance = 2.5 / math.sqrt(PERIODS), 0.5 / PERIODS
    assert deflated_sharpe(sharpe, 1250, 0, 3, 88, variance) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("trials", "variance"), [(2, 0.001), (100, 0.002), (1_000, 0.0004)])
def test_agrees_with_purgedcv(seed: int, trials: int, variance: float) -> None:
    returns = np.random.default_rng(seed).standard_t(6, 600) * 0.01 + 0.0008
    sharpe, n, skew, kurtosis = moments(returns)
    assert probabilistic_sharpe(sharpe, 0.02, n, skew, kurtosis) == pytest.approx(
        probabilistic_sharpe_ratio(returns, 0.02), abs=1e-12
    )
    reference = deflated_sharpe_ratio_full(returns, trials, variance)
    assert expected_maximum_sharpe(variance, trials) == pytest.approx(reference.sr_star, rel=1e-9)
    assert deflated_sharpe(sharpe, n, skew, kurtosis, trials, variance) == pytest.approx(reference.dsr, abs=1e-10)


def test_the_expected_maximum_is_what_unskilled_trials_show() -> None:
    best = np.random.default_rng(0).normal(0, 0.3, (20_000, 50)).max(axis=1)
    assert expected_maximum_sharpe(0.09, 50) == pytest.approx(best.mean(), rel=0.02)


def test_a_strategy_without_skill_is_believed_as_often_as_it_should() -> None:
    """Under no skill the probability is uniform: above 0.95 one time in twenty."""
    samples = np.random.default_rng(1).normal(0, 1, (4_000, 100))
    ratios = samples.mean(axis=1) / samples.std(axis=1)
    shapes = zip(stats.skew(samples, axis=1), stats.kurtosis(samples, axis=1, fisher=False), strict=True)
    believed = np.mean(
        [
            probabilistic_sharpe(ratio, 0.0, 100, skew, kurtosis) > 0.95
            for ratio, (skew, kurtosis) in zip(ratios, shapes, strict=True)
        ]
    )
    assert believed == pytest.approx(0.05, abs=0.012)


@settings(max_examples=100, deadline=None)
@given(
    sharpe=st.floats(-0.5, 0.5),
    n=st.integers(10, 10_000),
    skew=st.floats(-2, 2),
    excess=st.floats(0.5, 20),
    trials=st.integers(1, 10_000),
    variance=st.floats(0, 0.05),
)
def test_more_trials_and_more_spread_never_help(
    sharpe: float, n: int, skew: float, excess: float, trials: int, variance: float
) -> None:
    kurtosis = 1 + skew**2 + excess
    value = deflated_sharpe(sharpe, n, skew, kurtosis, trials, variance)
    assert 0.0 <= value <= 1.0
    assert deflated_sharpe(sharpe, n, skew, kurtosis, trials + 1, variance) <= value
    assert deflated_sharpe(sharpe, n, skew, kurtosis, trials, variance * 2) <= value
    assert value <= probabilistic_sharpe(sharpe, 0.0, n, skew, kurtosis)


def test_one_trial_is_not_deflated() -> None:
    assert expected_maximum_sharpe(0.3, 1) == 0.0
    assert deflated_sharpe(0.1, 400, 0.0, 3.0, 1, 0.3) == probabilistic_sharpe(0.1, 0.0, 400, 0.0, 3.0)
    assert probabilistic_sharpe(0.1, 0.1, 400, 0.0, 3.0) == 0.5


def test_between_whole_numbers_of_trials_it_grows_and_stays_above_zero() -> None:
    numbers = np.linspace(1, 4, 61)
    values = [expected_maximum_sharpe(1.0, number) for number in numbers]
    assert values[0] == 0.0
    assert (np.diff(values) > 0).all()
    assert np.abs(np.diff(values)).max() < 0.06, "no jump at one or two"
    assert expected_maximum_sharpe(1.0, 2.0) == expected_maximum_sharpe(1.0, 2)


def test_no_sharpe_ratio_no_probability() -> None:
    assert math.isnan(probabilistic_sharpe(math.nan, 0.0, 100, math.nan, math.nan))
    assert math.isnan(deflated_sharpe(math.nan, 100, 0.0, 3.0, 10, 0.1))


@pytest.mark.parametrize(
    ("n", "skew", "kurtosis", "trials", "variance"),
    [(1, 0.0, 3.0, 10, 0.1), (100, 3.0, 1.0, 10, 0.1), (100, math.nan, 3.0, 10, 0.1), (100, 0.0, 3.0, 0, 0.1),
     (100, 0.0, 3.0, 10, -0.1), (100, 0.0, 3.0, 10, math.nan), (100, 0.0, 3.0, math.nan, 0.1),
     (100, 0.0, 3.0, math.inf, 0.1), (100, 0.0, 3.0, 0.99, 0.1)],
)  # fmt: skip
def test_refuses_what_cannot_be(n: int, skew: float, kurtosis: float, trials: float, variance: float) -> None:
    with pytest.raises(ValueError):
        deflated_sharpe(0.6, n, skew, kurtosis, trials, variance)


def test_the_spread_of_trials_is_never_below_noise_and_weighs_each_by_its_bars() -> None:
    same = [{"sharpe_per_bar": 0.01, "observations": 1000.0, "trades": 5.0}] * 12
    assert trial_variance(same, 1000) == pytest.approx(1 / 1000)
    assert trial_variance([], 400) == pytest.approx(1 / 400)
    wild = [{"sharpe_per_bar": value, "observations": 400.0, "trades": 5.0} for value in (-0.2, 0.0, 0.2)]
    assert trial_variance(wild, 400) == pytest.approx(0.04)
    # The same ratios over a quarter of the bars are worth half as much each.
    short = [{**trial, "observations": 100.0} for trial in wild]
    assert trial_variance(short, 400) == pytest.approx(0.01)


def test_a_trial_that_never_traded_or_was_never_fitted_says_nothing_of_the_spread() -> None:
    wild = [{"sharpe_per_bar": value, "observations": 400.0, "trades": 5.0} for value in (-0.2, 0.0, 0.2)]
    idle = {"sharpe_per_bar": 0.0, "observations": 400.0, "trades": 0.0}
    assert trial_variance([*wild, idle, idle, {}], 400) == trial_variance(wild, 400)
