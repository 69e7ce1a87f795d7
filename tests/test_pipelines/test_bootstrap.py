import math

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import bootstrap
from pipelines.bootstrap import optimal_block, paired_difference, resample_paths, stationary_bootstrap, summaries
from trading.performance import max_drawdown, sharpe

YEAR = 8760.0


def make_returns(seed: int, count: int) -> np.ndarray:
    """Returns whose neighbours depend on each other."""
    noise = np.random.default_rng(seed).standard_t(5, count + 1) * 0.01
    return noise[1:] + 0.3 * noise[:-1] + 0.0005


def materialised(returns: np.ndarray, paths: int, block: float, seed: int) -> np.ndarray:
    """The paths that the kernel never makes: the same draws, one return at a time, shape (paths, returns)."""
    generator = np.random.default_rng(seed)
    n = len(returns)
    resampled = np.empty((paths, n))
    for path in range(paths):
        taken = 0
        while taken < n:
            exponential = generator.standard_exponential()
            length = 1 if block == 1 else 1 + math.floor(exponential / -math.log1p(-1 / block))
            start = math.floor(generator.random() * n)
            for step in range(min(length, n - taken)):
                resampled[path, taken] = returns[(start + step) % n]
                taken += 1
    return resampled


@pytest.mark.parametrize("block", [1.0, 2.5, 20.0, 400.0])
@pytest.mark.parametrize("count", [2, 3, 137, 500])
def test_statistics_are_those_of_the_materialised_paths(count: int, block: float) -> None:
    returns = make_returns(count, count)
    result = stationary_bootstrap(returns, 40, block, 11, YEAR)
    resampled = materialised(returns, 40, block, 11)
    equity = np.cumprod(np.hstack([np.ones((40, 1)), 1 + resampled]), axis=1)
    expected = [sharpe(path, YEAR) for path in resampled]
    np.testing.assert_allclose(result.sharpe, expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(result.total_return, equity[:, -1] - 1, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(result.max_drawdown, [max_drawdown(path) for path in equity], rtol=1e-11, atol=1e-12)
    quantiles = np.quantile(equity[:, result.fan.index], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T
    np.testing.assert_allclose(result.fan, quantiles, rtol=1e-11)


@pytest.mark.parametrize("count", [5, 150])
def test_kernels_are_the_python_they_were_written_as(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    returns = make_returns(0, count)
    table = summaries(returns, 3)
    points = np.array([1, 4, count])
    compiled = resample_paths(table, 5, 6.0, points, np.random.default_rng(0))
    for name in ("_join", "_summary"):
        monkeypatch.setattr(bootstrap, name, getattr(bootstrap, name).py_func)
    np.testing.assert_allclose(summaries.py_func(returns, 3), table, rtol=1e-14, atol=1e-16)
    plain = resample_paths.py_func(table, 5, 6.0, points, np.random.default_rng(0))
    for left, right in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 40), levels=st.integers(1, 6), start=st.integers(0, 39), seed=st.integers(0, 1000))
def test_summaries_are_exact_for_every_stretch(count: int, levels: int, start: int, seed: int) -> None:
    returns = make_returns(seed, count)
    levels = min(levels, int(math.log2(count)) + 1)
    start %= count
    table = summaries(returns, levels)
    for level in range(levels):
        stretch = np.take(returns, np.arange(start, start + 2**level), mode="wrap")
        path = np.append(0.0, np.log1p(stretch).cumsum())
        fall = max(path[i] - path[j] for j in range(len(path)) for i in range(j + 1))
        expected = [stretch.sum(), (stretch**2).sum(), path[-1], path.max(), path.min(), fall]
        np.testing.assert_allclose(table[level, start], expected, atol=1e-14)


def test_agrees_with_arch_in_distribution() -> None:
    returns = make_returns(3, 400)
    block, reps = 8, 1_500
    ours = stationary_bootstrap(returns, 6_000, block, 1, YEAR)

    def statistics(sample: np.ndarray) -> np.ndarray:
        equity = np.append(1.0, np.cumprod(1 + sample))
        return np.array([sharpe(sample, YEAR), equity[-1] - 1, max_drawdown(equity)])

    theirs = StationaryBootstrap(block, returns, seed=2).apply(statistics, reps)
    for mine, reference in zip((ours.sharpe, ours.total_return, ours.max_drawdown), theirs.T, strict=True):
        error = math.sqrt(mine.var() / len(mine) + reference.var() / reps)
        assert abs(mine.mean() - reference.mean()) < 4 * error
        assert mine.std() == pytest.approx(reference.std(), rel=0.08)
        np.testing.assert_allclose(
            np.quantile(mine, [0.1, 0.5, 0.9]), np.quantile(reference, [0.1, 0.5, 0.9]), atol=0.2 * reference.std()
        )


@pytest.mark.parametrize("block", [1.0, 5.0, 30.0])
def test_blocks_are_geometric_with_the_mean_asked_for(block: float) -> None:
    """Returns that count bars reveal where blocks end: the next return does not follow the one before."""
    resampled = materialised(np.arange(2_000) / 1e6, 20, block, 3)
    follows = np.isclose(np.diff(resampled, axis=1), 1e-6) | np.isclose(np.diff(resampled, axis=1), -1999e-6)
    assert 1 - follows.mean() == pytest.approx(1 / block, rel=0.07, abs=1e-3)


def test_every_return_is_drawn_equally_often() -> None:
    """Wrapping around gives the first and the last return the weight of any other."""
    n = 50
    for spot in (0, 1, 25, 49):
        returns = np.zeros(n)
        returns[spot] = math.e - 1  # log equity counts the times it was drawn
        times = np.log1p(stationary_bootstrap(returns, 4_000, 7.0, spot, YEAR).total_return)
        assert times.mean() == pytest.approx(1.0, abs=4 * times.std() / math.sqrt(4_000))


def test_longer_blocks_keep_more_of_the_dependence() -> None:
    trending = np.random.default_rng(4).normal(0, 0.01, 1_000)
    trending = np.convolve(trending, np.ones(10) / 10, "same")
    spread = [stationary_bootstrap(trending, 1_500, block, 0, YEAR).total_return.std() for block in (1.0, 5.0, 40.0)]
    assert spread[0] < 0.7 * spread[1] < 0.6 * spread[2]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000), count=st.integers(2, 300), block=st.floats(1, 50))
def test_invariants(seed: int, count: int, block: float) -> None:
    returns = make_returns(seed, count).clip(-0.5, 0.5)
    result = stationary_bootstrap(returns, 30, block, seed, YEAR)
    again = stationary_bootstrap(returns, 30, block, seed, YEAR)
    fan = result.fan
    np.testing.assert_array_equal(result.sharpe, again.sharpe)
    pd.testing.assert_frame_equal(fan, again.fan)
    assert ((result.max_drawdown >= 0) & (result.max_drawdown < 1)).all()
    # Whoever ended below the start has fallen at least that far.
    assert (result.max_drawdown >= -result.total_return - 1e-12).all()
    assert len(fan) <= 200
    assert fan.index.name == "bar"
    assert (fan.index[0], fan.index[-1]) == (0, count)
    assert (fan.iloc[0] == 1.0).all()
    assert (np.diff(fan.to_numpy(), axis=1) >= 0).all()
    assert list(fan.columns) == ["p05", "p25", "p50", "p75", "p95"]


def test_seeds_differ_and_a_series_will_do() -> None:
    returns = make_returns(0, 200)
    first, other = (stationary_bootstrap(returns, 50, 5.0, seed, YEAR) for seed in (1, 2))
    assert not np.allclose(first.total_return, other.total_return)
    series = stationary_bootstrap(pd.Series(returns), 50, 5.0, 1, YEAR)
    np.testing.assert_array_equal(series.total_return, first.total_return)


def test_ruin_is_a_total_loss_not_a_nan() -> None:
    returns = make_returns(0, 60)
    returns[30] = -1.0
    result = stationary_bootstrap(returns, 500, 4.0, 0, YEAR)
    ruined = (materialised(returns, 500, 4.0, 0) == -1.0).any(axis=1)
    assert ruined.any()
    assert not ruined.all()
    np.testing.assert_array_equal(result.total_return == -1.0, ruined)
    np.testing.assert_array_equal(result.max_drawdown == 1.0, ruined)
    assert np.isfinite(result.fan).all(axis=None)


@pytest.mark.parametrize("level", [0.0, 0.01, -0.02, 0.1])
def test_no_variance_no_sharpe(level: float) -> None:
    result = stationary_bootstrap(np.full(100, level), 10, 5.0, 0, YEAR)
    assert np.isnan(result.sharpe).all()
    np.testing.assert_allclose(result.total_return, (1 + level) ** 100 - 1, rtol=1e-12)


# -- pairs


def test_paired_difference_resamples_both_streams_together() -> None:
    a, b = make_returns(1, 250), make_returns(2, 250)
    expected = [
        sharpe(first, YEAR) - sharpe(second, YEAR)
        for first, second in zip(materialised(a, 60, 9.0, 5), materialised(b, 60, 9.0, 5), strict=True)
    ]
    np.testing.assert_allclose(paired_difference(a, b, 60, 9.0, 5, YEAR), expected, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(paired_difference(a, b, 60, 9.0, 5, YEAR), -paired_difference(b, a, 60, 9.0, 5, YEAR))
    assert (paired_difference(a, a, 60, 9.0, 5, YEAR) == 0.0).all()


def test_pairs_of_similar_streams_are_told_apart_better_than_strangers() -> None:
    a = make_returns(1, 500)
    near, far = a + np.random.default_rng(0).normal(0, 0.001, 500), make_returns(9, 500)
    assert (
        paired_difference(a, near, 500, 5.0, 0, YEAR).std() < 0.3 * paired_difference(a, far, 500, 5.0, 0, YEAR).std()
    )


def test_paired_difference_refuses_streams_over_other_bars() -> None:
    a = make_returns(1, 30)
    with pytest.raises(ValueError, match="30 and 29"):
        paired_difference(a, a[:-1], 5, 2.0, 0, YEAR)
    with pytest.raises(ValueError, match="different bars"):
        paired_difference(pd.Series(a), pd.Series(a, index=np.arange(30) + 1), 5, 2.0, 0, YEAR)
    assert len(paired_difference(pd.Series(a), pd.Series(a), 5, 2.0, 0, YEAR)) == 5


# -- block length and arguments


def test_optimal_block_is_archs_and_at_least_one() -> None:
    dependent = np.convolve(np.random.default_rng(0).normal(0, 0.01, 800), np.ones(12), "valid")
    assert optimal_block(dependent) == optimal_block_length(dependent)["stationary"].iloc[0]
    assert optimal_block(dependent) > 5
    assert optimal_block(np.random.default_rng(1).normal(0, 0.01, 800)) >= 1.0
    assert optimal_block(np.zeros(100)) == 1.0


@pytest.mark.parametrize("returns", [[], [0.1], [[0.1, 0.2]], [0.1, math.nan], [0.1, math.inf], [0.1, -1.1]])
def test_refuses_returns_that_are_none(returns: list[float]) -> None:
    with pytest.raises(ValueError, match="return"):
        stationary_bootstrap(returns, 10, 2.0, 0, YEAR)


@pytest.mark.parametrize(("paths", "block"), [(0, 2.0), (10, 0.9), (10, math.nan), (10, math.inf)])
def test_refuses_arguments_without_meaning(paths: int, block: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        stationary_bootstrap(make_returns(0, 20), paths, block, 0, YEAR)
