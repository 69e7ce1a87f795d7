import math

import numpy as np
import pandas as pd
import pytest

from trading.performance import max_drawdown, sharpe


def test_sharpe_is_mean_over_sample_deviation_annualised() -> None:
    # Mean 2, sample deviation 1, over four periods a year.
    assert sharpe(np.array([1.0, 2.0, 3.0]), 4.0) == pytest.approx(4.0)
    returns = pd.Series(np.random.default_rng(0).normal(0.001, 0.01, 500))
    assert sharpe(returns, 8760) == pytest.approx(returns.mean() / returns.std() * math.sqrt(8760))
    assert sharpe(returns * 5, 8760) == pytest.approx(sharpe(returns, 8760))


@pytest.mark.parametrize("returns", [[], [0.1], [0.0, 0.0], [0.1, 0.1, 0.1]])
def test_sharpe_without_variance_is_nan(returns: list[float]) -> None:
    assert math.isnan(sharpe(np.array(returns), 8760))


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        ([], 0.0),
        ([1.0], 0.0),
        ([1.0, 2.0, 3.0], 0.0),
        ([1.0, 2.0, 1.0, 4.0, 3.0], 0.5),
        ([2.0, 1.0], 0.5),
        ([1.0, 0.0], 1.0),
    ],
)
def test_max_drawdown_is_the_worst_fall_from_a_peak(equity: list[float], expected: float) -> None:
    assert max_drawdown(np.array(equity)) == expected
    assert max_drawdown(pd.Series(equity, dtype=float)) == expected


def test_max_drawdown_is_the_worst_over_all_pairs() -> None:
    equity = np.exp(np.random.default_rng(1).normal(0, 0.1, 60).cumsum())
    worst = max(1 - equity[j] / equity[i] for i in range(60) for j in range(i, 60))
    assert max_drawdown(equity) == pytest.approx(worst, abs=1e-15)
