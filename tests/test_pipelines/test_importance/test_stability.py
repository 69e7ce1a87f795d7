"""Agreement of refits, against the definitions it generalises."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from pipelines.importance.stability import rank_agreement, set_stability, top_sets, top_share


def test_top_share_counts_refits() -> None:
    worth = pd.DataFrame({"a": [3.0, 1.0, 3.0], "b": [2.0, 2.0, 2.0], "c": [1.0, 3.0, 1.0]})
    assert top_share(worth, 1).tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert top_share(worth, 2).tolist() == pytest.approx([2 / 3, 1, 1 / 3])
    assert top_sets(worth, 2) == [{"a", "b"}, {"b", "c"}, {"a", "b"}]


def test_rank_agreement_is_the_mean_of_all_pairs() -> None:
    worth = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 9)).round(1))
    pairs = [spearmanr(worth.loc[i], worth.loc[j]).statistic for i, j in combinations(range(4), 2)]
    assert rank_agreement(worth) == pytest.approx(np.mean(pairs))


def test_rank_agreement_rescales_kendalls_concordance() -> None:
    worth = np.random.default_rng(1).normal(size=(5, 12))
    ranks = np.array([rankdata(row) for row in worth])
    sums = ranks.sum(axis=0)
    concordance = 12 * ((sums - sums.mean()) ** 2).sum() / (5**2 * (12**3 - 12))
    assert rank_agreement(pd.DataFrame(worth)) == pytest.approx((5 * concordance - 1) / 4)


def test_one_refit_or_one_without_differences_agrees_with_nobody() -> None:
    assert np.isnan(rank_agreement(pd.DataFrame([[1.0, 2.0]])))
    assert np.isnan(rank_agreement(pd.DataFrame([[1.0, 2.0], [1.0, 1.0]])))


@given(st.integers(2, 6), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_choices_of_one_size_have_kunchevas_index(fits: int, total: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, total))
    chosen = [set(generator.choice(total, size, replace=False).tolist()) for _ in range(fits)]
    # Kuncheva (2007), "A stability index for feature selection": (r d - k^2) / (k (d - k)), mean over pairs.
    pairs = [(len(a & b) * total - size**2) / (size * (total - size)) for a, b in combinations(chosen, 2)]
    assert set_stability(chosen, total) == pytest.approx(np.mean(pairs), abs=1e-9)


def test_choices_that_could_not_differ_say_nothing() -> None:
    assert np.isnan(set_stability([{"a"}], 3))
    assert np.isnan(set_stability([], 3))
    assert np.isnan(set_stability([{"a", "b"}, {"a", "b"}], 2))
    assert np.isnan(set_stability([set(), set()], 2))
    assert set_stability([{"a"}, {"a"}], 2) == 1.0
