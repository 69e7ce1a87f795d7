"""Information beside scikit-learn's, beside its closed form, and beside what memory alone would show."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from pipelines.selection.mutual_information import equal_counts, excess_information, information


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=60))
def test_counts_give_scikit_learns_information(pairs: list[tuple[int, bool]]) -> None:
    codes, labels = (np.array(column) for column in zip(*pairs, strict=True))
    found = information(codes, labels.astype(float), np.ones(len(codes)))
    assert found == pytest.approx(mutual_info_score(codes, labels), abs=1e-12)


def test_a_weight_of_two_is_a_row_that_is_there_twice() -> None:
    generator = np.random.default_rng(0)
    codes, labels, times = (
        generator.integers(4, size=50),
        generator.integers(2, size=50),
        generator.integers(3, size=50),
    )
    repeated = information(np.repeat(codes, times), np.repeat(labels, times).astype(float), np.ones(times.sum()))
    assert information(codes, labels.astype(float), times.astype(float)) == pytest.approx(repeated, abs=1e-12)


def test_a_normal_feature_says_what_the_integral_says() -> None:
    def entropy(p: float) -> float:
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    generator = np.random.default_rng(1)
    x = generator.normal(size=40_000)
    y = (x + generator.normal(size=40_000) > 0).astype(float)
    lost = quad(lambda value: norm.pdf(value) * entropy(norm.cdf(value)), -8, 8)[0]
    found = excess_information(pd.DataFrame({"x": x}), pd.Series(y), seed=0)["x"]
    # Ten bins lose a little of it.
    assert found == pytest.approx(np.log(2) - lost, rel=0.06)
    assert found == pytest.approx(mutual_info_classif(x[:8000, None], y[:8000], random_state=0)[0], rel=0.15)


def test_noise_says_nothing_on_average(rows: Callable[..., tuple[pd.DataFrame, pd.Series, pd.Series]]) -> None:
    X, y, _ = rows(800, 60)
    found, plain = excess_information(X, y, seed=0), excess_information(X, y, seed=0, shifts=0)
    assert plain.min() > 0
    assert abs(found.mean()) < plain.mean() / 4


def test_what_memory_alone_shows_is_taken_off() -> None:
    # Slow features beside overlapping labels that have nothing to do with them.
    slow, found, plain = 100, [], []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        walks = pd.DataFrame(generator.normal(size=(4000, 5)).cumsum(axis=0))
        moves = pd.Series(generator.normal(size=4000 + slow)).rolling(slow).sum().dropna().to_numpy()[:4000]
        labels = pd.Series((moves > 0).astype(float))
        found += excess_information(walks, labels, seed=0, shifts=40).tolist()
        plain += excess_information(walks, labels, seed=0, shifts=0).tolist()
    assert np.mean(plain) > 0.02
    assert abs(np.mean(found)) < np.mean(plain) / 4


def test_bins_hold_equally_many_rows() -> None:
    codes = equal_counts(np.random.default_rng(0).normal(size=1000))
    assert np.bincount(codes).tolist() == [100] * 10


@pytest.mark.parametrize(
    "column",
    [
        np.r_[np.zeros(97), np.ones(3)],
        np.r_[np.ones(97), np.zeros(3)],
        np.r_[np.zeros(95), -1.0, -2.0, 1.0, 2.0, 3.0],
        np.tile([0.0, 1.0, 2.0], 30),
    ],
)
def test_a_value_that_many_rows_have_is_kept_apart(column: np.ndarray) -> None:
    codes = equal_counts(column)
    many = np.unique(column, return_counts=True)
    common = many[0][np.argmax(many[1])]
    assert set(codes[column == common]).isdisjoint(codes[column != common])
    assert (np.diff(codes[np.argsort(column, kind="stable")]) >= 0).all()


def test_a_rare_flag_that_decides_is_seen() -> None:
    flag = pd.Series(np.arange(2000) % 40 == 0, dtype=float)
    noise = pd.Series(np.random.default_rng(0).integers(2, size=2000).astype(float))
    labels = noise.where(flag == 0, 1.0)
    found = excess_information(pd.DataFrame({"flag": flag, "noise": noise * 0 + 5}), labels, seed=0)
    assert found["flag"] > 0.01
    assert found["noise"] == 0.0


def test_weights_turn_with_their_labels() -> None:
    generator = np.random.default_rng(3)
    X = pd.DataFrame({"x": generator.normal(size=3000)})
    y = pd.Series((X["x"] > 0).astype(float))
    # The feature misleads where nothing weighs; one of ten bins lies across the border.
    weight = pd.Series((generator.random(3000) < 0.5).astype(float))
    wrong = y.where(weight > 0, 1 - y)
    found = excess_information(X, wrong, seed=0, sample_weight=weight)["x"]
    assert found == pytest.approx(np.log(2), abs=0.06)
    assert excess_information(X, wrong, seed=0)["x"] < 0.05


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_rows_are_no_error(count: int) -> None:
    X, y = pd.DataFrame({"a": np.arange(count, dtype=float)}), pd.Series(np.arange(count) % 2.0)
    assert np.isfinite(excess_information(X, y, seed=0)).all()
