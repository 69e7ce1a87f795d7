"""The bootstrap behind the ranking: beside theory, beside arch, and where it could go wrong."""

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap

from pipelines.importance.intervals import interval, rank_interval, resampled_means


def draw(folds: list[np.ndarray], block: int, resamples: int = 4000, seed: int = 0) -> np.ndarray:
    return resampled_means(folds, block, resamples, np.random.default_rng(seed))


def test_independent_rows_have_the_error_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=(400, 2)) * [1.0, 5.0]
    found = draw([values], 1)
    np.testing.assert_allclose(found.mean(axis=0), values.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found.std(axis=0), values.std(axis=0) / np.sqrt(400), rtol=0.05)


def test_dependent_rows_have_the_error_that_arch_finds() -> None:
    noise = np.random.default_rng(1).normal(size=600)
    values = np.convolve(noise, np.ones(12), mode="same")[:, None]
    theirs = CircularBlockBootstrap(24, values, seed=0).apply(lambda sample: sample.mean(axis=0), 2000)
    ours = draw([values], 24)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.08)
    assert ours.std() > 2 * draw([values], 1).std()


def test_folds_keep_their_shares() -> None:
    found = draw([np.zeros((30, 1)), np.ones((10, 1))], 4, 50)
    assert (found == 0.25).all()


def test_a_block_longer_than_its_fold_is_the_fold() -> None:
    values = np.arange(5.0)[:, None]
    assert draw([values], 100, 20).ravel() == pytest.approx(2.0)


def test_the_same_seed_draws_the_same() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    assert np.array_equal(draw([values], 5, 10, seed=3), draw([values], 5, 10, seed=3))
    assert not np.array_equal(draw([values], 5, 10, seed=3), draw([values], 5, 10, seed=4))


def test_an_interval_covers_as_often_as_it_says() -> None:
    covered = []
    for seed in range(300):
        values = np.random.default_rng(seed).normal(0.3, 1.0, size=(120, 1))
        low, high = interval(draw([values], 3, 300, seed), 0.9)
        covered.append(low[0] <= 0.3 <= high[0])
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)


def test_ranks_are_certain_where_the_gap_is_wide_and_shared_where_there_is_none() -> None:
    generator = np.random.default_rng(0)
    samples = np.column_stack([generator.normal(9, 0.1, 500), generator.normal(size=(500, 3)), np.full(500, -99.0)])
    low, high = rank_interval(samples, 0.95)
    assert (low[0], high[0]) == (1, 1)
    assert (low[1:4] == 2).all()
    assert (high[1:4] == 4).all()
    assert (low[4], high[4]) == (5, 5)
