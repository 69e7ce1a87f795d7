"""The effective number of trials is that of independent ones with the same expected luck; it never falls."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.evidence.deflated_sharpe import deflated_sharpe, probabilistic_sharpe, trial_variance
from pipelines.evidence.effective_trials import (
    daily_frame,
    effective_trials,
    expected_largest,
    trials_to_deflate_by,
)

DAYS = pd.date_range("2020-01-01", periods=200, freq="D")


def _orthogonal(count: int) -> np.ndarray:
    """Columns without any correlation, exactly."""
    noise = np.random.default_rng(1).normal(size=(200, count))
    return np.linalg.qr(noise - noise.mean(axis=0))[0]


def _effective(values: object) -> float:
    return effective_trials(pd.DataFrame(values, DAYS))


@pytest.mark.parametrize(
    ("count", "printed"), [(2, 0.56419), (3, 0.84628), (5, 1.16296), (10, 1.53875), (100, 2.50759)]
)
def test_the_expected_largest_is_that_of_the_tables(count: int, printed: float) -> None:
    """Harter (1961), "Expected values of normal order statistics", Biometrika 48, table 1, first row of each n."""
    assert expected_largest(count) == pytest.approx(printed, abs=1e-5)


def test_it_grows_between_whole_numbers_too() -> None:
    values = [expected_largest(number) for number in np.linspace(1, 6, 26)]
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert (np.diff(values) > 0).all()


def test_unrelated_trials_count_each_and_equal_ones_once() -> None:
    base = _orthogonal(6)
    assert _effective(base) == pytest.approx(6, rel=0.03)
    assert _effective(np.repeat(base[:, :1], 9, axis=1)) == 1
    assert _effective(np.repeat(base[:, :3], 4, axis=1) * 7 + 0.001) == pytest.approx(3, rel=0.03)
    assert effective_trials(pd.DataFrame()) == 0


@pytest.mark.parametrize(("rho", "count"), [(0.6, 5), (0.6, 100), (0.9, 50)])
def test_equal_correlation_is_as_luck_says(rho: float, count: int) -> None:
    """The largest of equally correlated normal numbers is expected at sqrt(1 - rho) of that of independent ones."""
    base = _orthogonal(count + 1)
    found = _effective(np.sqrt(rho) * base[:, [0]] + np.sqrt(1 - rho) * base[:, 1:])
    assert expected_largest(found) == pytest.approx(np.sqrt(1 - rho) * expected_largest(count), rel=0.015)


def test_copies_of_one_trial_do_not_hide_the_other() -> None:
    """The participation ratio of eigenvalues falls to 1.1 here, which would reward adding copies."""
    one, other = _orthogonal(2).T
    assert _effective(dict.fromkeys(range(20), one) | {"other": other}) == pytest.approx(2, rel=0.02)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 8), rho=st.floats(0, 0.99))
def test_a_trial_more_never_makes_it_smaller_and_it_never_exceeds_the_count(seed: int, count: int, rho: float) -> None:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(120, 1))
    columns = pd.DataFrame(rho * shared + (1 - rho) * rng.normal(size=(120, count + 1)), DAYS[:120])
    # Trials over other days, early ones and late ones, signs turned, one too short to be known.
    for column in columns:
        columns.iloc[: int(rng.integers(0, 110)), column] = np.nan
        columns[column] *= rng.choice([-1, 1])
    numbers = [effective_trials(columns.iloc[:, :take].dropna(how="all")) for take in range(1, count + 2)]
    assert (np.diff(numbers) >= -1e-9).all()
    assert all(1 <= number <= take for take, number in enumerate(numbers, 1))


def test_the_luckiest_of_trials_that_are_alike_is_believed_as_rarely_as_it_should() -> None:
    """The whole rule on searches without skill: at 0.95 it may pass one in twenty, and passes far more undeflated."""
    days, count, deflated, plain = 120, 24, [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        returns = np.sqrt(0.7) * rng.normal(size=(days, 1)) + np.sqrt(0.3) * rng.normal(size=(days, count))
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        number = math.ceil(effective_trials(pd.DataFrame(returns, DAYS[:days])))
        variance = trial_variance([{"sharpe_per_bar": ratio} for ratio in ratios], days)
        deflated.append(deflated_sharpe(ratios.max(), days, 0.0, 3.0, number, variance))
        plain.append(probabilistic_sharpe(ratios.max(), 0.0, days, 0.0, 3.0))
    assert 1 < number < 12
    assert np.mean(np.array(deflated) > 0.95) <= 0.06
    assert np.mean(np.array(plain) > 0.95) > 0.15


def test_what_is_not_known_counts_whole() -> None:
    one = _orthogonal(1)[:, 0]
    assert _effective({0: one, 1: -one}) == 2, "a bet and its opposite are two"
    assert _effective({0: one, 1: one, 2: np.zeros(200)}) == 2, "one never moved"
    assert _effective({0: np.zeros(200), 1: np.zeros(200)}) == 2
    short = pd.DataFrame({0: one, 1: one}, DAYS)
    short.iloc[19:, 1] = np.nan
    assert effective_trials(short) == 2, "19 days say nothing"


def test_trials_over_days_apart_are_unrelated() -> None:
    apart = pd.DataFrame({0: _orthogonal(1)[:, 0], 1: _orthogonal(1)[:, 0]}, DAYS)
    apart.iloc[100:, 0], apart.iloc[:100, 1] = np.nan, np.nan
    assert effective_trials(apart) == pytest.approx(2, rel=0.03)


def test_deflation_is_by_a_whole_number_up_to_the_count() -> None:
    base = _orthogonal(3)
    alike = {str(n): {"first": "2020-01-01", "values": base[:, 0].tolist()} for n in range(4)}
    other = {"first": "2020-01-01", "values": base[:, 1].tolist()}
    assert trials_to_deflate_by(alike.values(), 4) == (1.0, 1)
    effective, number = trials_to_deflate_by([*alike.values(), other], 5)
    assert 1.9 < effective < 2.1
    assert number == math.ceil(effective)
    # Three were counted without a return.
    assert trials_to_deflate_by(alike.values(), 7) == (4.0, 4)
    assert trials_to_deflate_by([], 0) == (0.0, 1)
    assert trials_to_deflate_by([], 9) == (9.0, 9)


def test_days_are_put_side_by_side() -> None:
    frame = daily_frame([{"first": "2020-01-01", "values": [1.0, 2.0]}, {"first": "2020-01-02", "values": [3.0, 4.0]}])
    assert list(frame.index.strftime("%d")) == ["01", "02", "03"]
    assert frame[0].tolist()[:2] == [1.0, 2.0]
    assert frame[1].tolist()[1:] == [3.0, 4.0]
    assert frame.isna().sum().sum() == 2
    assert daily_frame([]).empty
