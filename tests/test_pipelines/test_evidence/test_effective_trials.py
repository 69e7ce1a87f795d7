"""The effective number of trials is what is known of simple correlation matrices."""

import numpy as np
import pandas as pd
import pytest

from pipelines.evidence.effective_trials import daily_frame, effective_trials

DAYS = pd.date_range("2020-01-01", periods=200, freq="D")


def _orthogonal(count: int) -> np.ndarray:
    """Columns without any correlation, exactly."""
    noise = np.random.default_rng(1).normal(size=(200, count))
    return np.linalg.qr(noise - noise.mean(axis=0))[0]


def test_unrelated_trials_count_each_and_equal_ones_once() -> None:
    base = _orthogonal(6)
    assert effective_trials(pd.DataFrame(base)) == pytest.approx(6)
    assert effective_trials(pd.DataFrame(np.repeat(base[:, :1], 9, axis=1))) == pytest.approx(1)
    assert effective_trials(pd.DataFrame(np.repeat(base[:, :3], 4, axis=1) * 7)) == pytest.approx(3)
    assert effective_trials(pd.DataFrame()) == 0


def test_equal_correlation_is_as_its_eigenvalues_say() -> None:
    base, rho, count = _orthogonal(6), 0.6, 5
    returns = pd.DataFrame(np.sqrt(rho) * base[:, [0]] + np.sqrt(1 - rho) * base[:, 1:])
    eigenvalues = np.array([1 + (count - 1) * rho] + [1 - rho] * (count - 1))
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert effective_trials(returns) == pytest.approx(expected)


def test_what_is_unknown_or_opposed_does_not_make_it_smaller() -> None:
    one = _orthogonal(1)[:, 0]
    assert effective_trials(pd.DataFrame({0: one, 1: -one})) == pytest.approx(2)
    assert effective_trials(pd.DataFrame({0: one, 1: np.zeros(200)})) == pytest.approx(2)
    apart = pd.DataFrame({0: one, 1: one}, index=DAYS)
    apart.iloc[110:, 0], apart.iloc[:91, 1] = np.nan, np.nan
    assert effective_trials(apart) == pytest.approx(2), "19 shared days say nothing"
    apart.iloc[90, 1] = one[90]
    assert effective_trials(apart) == pytest.approx(1), "20 do"


def test_days_are_put_side_by_side() -> None:
    frame = daily_frame([{"first": "2020-01-01", "values": [1.0, 2.0]}, {"first": "2020-01-02", "values": [3.0, 4.0]}])
    assert list(frame.index.strftime("%d")) == ["01", "02", "03"]
    assert frame[0].tolist()[:2] == [1.0, 2.0]
    assert frame[1].tolist()[1:] == [3.0, 4.0]
    assert frame.isna().sum().sum() == 2
    assert daily_frame([]).empty
