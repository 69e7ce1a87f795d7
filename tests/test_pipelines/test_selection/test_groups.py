"""Groups of correlated columns: any two in one are as close as was asked, and nobody is left out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.selection.groups import correlated_groups, rank_correlation


def test_rank_correlation_is_that_of_pandas() -> None:
    generator = np.random.default_rng(0)
    X = pd.DataFrame(generator.normal(size=(300, 5)) @ generator.normal(size=(5, 5)))
    X[2] = np.exp(X[0]).round(1)
    np.testing.assert_allclose(rank_correlation(X), X.corr(method="spearman"), atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
@settings(max_examples=30, deadline=None)
def test_any_two_of_a_group_correlate_that_much(seed: int, correlation: float) -> None:
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(60, 3))
    X = pd.DataFrame(shared @ generator.normal(size=(3, 9)) + generator.normal(size=(60, 9)) * 0.5)
    X.columns = list("abcdefghi")
    groups = correlated_groups(X, correlation)
    assert sorted(name for group in groups for name in group) == list(X.columns)
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)
    close = X.corr(method="spearman").abs()
    for group in groups:
        assert (close.loc[list(group), list(group)].to_numpy() >= correlation - 1e-9).all()


def test_copies_negatives_and_monotonic_changes_are_the_same_feature() -> None:
    x = np.random.default_rng(0).normal(size=500)
    X = pd.DataFrame({"x": x, "other": np.random.default_rng(1).normal(size=500)})
    X = X.assign(copy=x, negative=-x, curved=np.exp(3 * x), constant=1.0, also_constant=2.0)
    assert correlated_groups(X, 0.9) == (
        ("x", "copy", "negative", "curved"),
        ("other",),
        ("constant",),
        ("also_constant",),
    )


def test_a_chain_is_no_group() -> None:
    # Each is close to its neighbours, the ends are not close to each other.
    steps = np.random.default_rng(0).normal(size=(2000, 12))
    X = pd.DataFrame({f"m{n}": steps[:, n : n + 5].sum(axis=1) for n in range(8)})
    assert len(correlated_groups(X, 0.6)) > 2


@pytest.mark.parametrize("columns", [[], ["a"]])
def test_fewer_than_two_columns_are_themselves(columns: list[str]) -> None:
    assert correlated_groups(pd.DataFrame(1.0, index=range(5), columns=columns), 0.5) == tuple((c,) for c in columns)
