"""Selectors choose what was planted, from training rows only: chosen before the split, noise looks like skill."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.factory import create_model
from models.selected import Selected, Selector
from pipelines.params import Params, overlay, parse_params
from pipelines.selection.selectors import ByClusters, ByInformation, ByPermutation, create_selector
from pipelines.splits import PurgedKFold
from trading.errors import ModelError
from trading.instrument import Instrument

Rows = tuple[pd.DataFrame, pd.Series, pd.Series]
TREES = {
    "crosses": 0,
    "n_estimators": 20, "max_depth": 3, "learning_rate": 0.2, "subsample": 0.8, "colsample_bytree": 0.5,
    "min_child_weight": 5.0, "reg_lambda": 1.0,
}  # fmt: skip


def permuting(keep: int, seed: int = 0) -> ByPermutation:
    return ByPermutation(keep, 0.8, 2, pd.Timedelta("1h"), 2, 24, TREES, seed)


def make(method: str, keep: int) -> Selector:
    return {
        "mutual_information": ByInformation(keep, 0),
        "clusters": ByClusters(keep, 0.8, 0),
        "permutation": permuting(keep),
    }[method]


METHODS = ("mutual_information", "clusters", "permutation")


def choose(selector: Selector, rows: Rows, weight: pd.Series | None = None) -> list[str]:
    X, y, t_end = rows
    return selector.choose(X, y, t_end=t_end, sample_weight=weight)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_planted_among_noise_is_chosen(method: str, rows: Callable[..., Rows]) -> None:
    planted = rows(1200, 60, informative=3)
    assert set(choose(make(method, 3), planted)) == {"f0", "f1", "f2"}


@pytest.mark.parametrize("method", METHODS)
def test_equal_rows_choose_equal_columns_in_every_process(method: str, rows: Callable[..., Rows]) -> None:
    planted, selector = rows(500, 20, informative=2), make(method, 6)
    first = choose(selector, planted)
    travelled = pickle.loads(pickle.dumps(selector))
    assert travelled == selector
    assert choose(travelled, planted) == first
    assert len(set(first)) == 6


@pytest.mark.parametrize("method", METHODS)
def test_no_more_are_kept_than_there_are(method: str, rows: Callable[..., Rows]) -> None:
    assert sorted(choose(make(method, 99), rows(300, 4, informative=1))) == ["f0", "f1", "f2", "f3"]


@pytest.mark.parametrize("method", METHODS)
def test_weights_decide_which_rows_speak(method: str, rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(1600, 8, informative=1)
    late = np.arange(1600) % 200 >= 100
    contrary = pd.Series(np.where(late, (X["f1"] > 0), y), index=X.index).astype(float)
    for rows_that_count, expected in ((~late, "f0"), (late, "f1")):
        weight = pd.Series(np.where(rows_that_count, 1.0, 1e-6), index=X.index)
        assert choose(make(method, 1), (X, contrary, t_end), weight) == [expected]


def test_of_twins_clusters_keep_one_and_information_both(rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(1200, 10, informative=2)
    X = X.assign(twin=X["f0"] + 0.05 * X["f5"])
    chosen = choose(ByClusters(2, 0.8, 0), (X, y, t_end))
    assert len({"f0", "twin"} & set(chosen)) == 1
    assert "f1" in chosen
    assert {"f0", "twin"} <= set(choose(ByInformation(3, 0), (X, y, t_end)))


def test_twins_are_permuted_together_and_kept_together(rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(1200, 10, informative=1, noise=0.5)
    X = X.assign(twin=X["f0"] + 0.05 * X["f5"])
    assert set(choose(permuting(2), (X, y, t_end))) == {"f0", "twin"}


def test_of_a_group_that_does_not_fit_the_column_that_says_most_is_kept(rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(1200, 10, informative=1, noise=0.2)
    X.insert(0, "blurred", X["f0"] + 0.5 * X["f5"])
    assert choose(permuting(1), (X, y, t_end)) == ["f0"]


def test_what_heavy_rows_lose_counts_for_more(rows: Callable[..., Rows]) -> None:
    X, _, t_end = rows(2400, 6)
    heavy = np.arange(2400) % 30 < 10
    y = pd.Series(np.where(heavy, X["f0"] > 0, X["f1"] > 0), index=X.index).astype(float)
    weight = pd.Series(np.where(heavy, 4.0, 1.0), index=X.index)
    assert choose(permuting(1), (X, y, t_end)) == ["f1"]
    assert choose(permuting(1), (X, y, t_end), weight) == ["f0"]


def test_what_only_works_together_is_seen_by_permutation_alone(rows: Callable[..., Rows]) -> None:
    X, _, t_end = rows(2400, 10)
    y = ((X["f2"] > 0) ^ (X["f7"] > 0)).astype(float)
    assert set(choose(permuting(2), (X, y, t_end))) == {"f2", "f7"}
    assert set(choose(ByInformation(2, 0), (X, y, t_end))) != {"f2", "f7"}


def skill(rows: Rows, model: Any) -> float:
    """Share of right forecasts over purged folds."""
    X, y, t_end = rows
    right = []
    for train, test in PurgedKFold(5, pd.Timedelta("4h")).split(X, t_end=t_end):
        fitted = model().fit(X.iloc[train], y.iloc[train], t_end=t_end.iloc[train])
        right.append((fitted.predict_proba(X.iloc[test])[1] > 0.5).astype(float) == y.iloc[test])
    return float(pd.concat(right).mean())


def test_a_choice_before_the_split_finds_skill_in_noise_and_ours_does_not(rows: Callable[..., Rows]) -> None:
    before, inside = [], []
    for seed in range(2):
        noise = X, y, t_end = rows(300, 500, seed=seed)
        selector = ByInformation(10, seed)
        seen = choose(selector, noise)
        before.append(skill((X[seen], y, t_end), lambda: create_model("xgboost", TREES, seed=0)))
        inside.append(skill(noise, lambda s=selector: create_model("xgboost", TREES, seed=0, selector=s)))
    error = 0.5 / np.sqrt(2 * 300)
    assert np.mean(before) > 0.5 + 4 * error
    assert abs(np.mean(inside) - 0.5) < 3 * error


@pytest.mark.parametrize("method", METHODS)
def test_rows_after_the_training_rows_change_no_choice(method: str, rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(700, 20, informative=1)
    known = y.where(np.arange(700) < 500)
    later = X.copy()
    later.iloc[500:] = later.iloc[500:].to_numpy()[::-1] * -9
    fitted = [
        create_model("xgboost", TREES, seed=0, selector=make(method, 4)).fit(frame, known, t_end=t_end)
        for frame in (X, later)
    ]
    assert isinstance(fitted[0], Selected)
    assert fitted[0].columns_ == fitted[1].columns_
    pd.testing.assert_frame_equal(*(model.predict_proba(X) for model in fitted), check_exact=True)


def test_folds_are_purged_by_when_labels_are_known(rows: Callable[..., Rows]) -> None:
    X, y, _ = rows(400, 4, informative=1)
    # Every label overlaps every other: no fold may learn from the rest.
    at_the_end = pd.Series(X.index[-1] + pd.Timedelta("1h"), index=X.index)
    with pytest.raises(ModelError, match="has no training row"):
        create_model("xgboost", TREES, seed=0, selector=permuting(2)).fit(X, y, t_end=at_the_end)


def test_too_few_rows_to_permute_are_a_fit_that_cannot_be_made(rows: Callable[..., Rows]) -> None:
    X, y, t_end = rows(30, 4)
    with pytest.raises(ModelError, match="30 labelled rows are too few to fit xgboost on chosen features"):
        create_model("xgboost", TREES, seed=0, selector=permuting(2)).fit(X, y, t_end=t_end)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("none", type(None)),
        ("mutual_information", ByInformation),
        ("clusters", ByClusters),
        ("permutation", ByPermutation),
    ],
)
def test_params_say_which(raw_params: dict[str, Any], instrument: Instrument, method: str, kind: type) -> None:
    asked: Params = parse_params(overlay(raw_params, {"selection": {"method": method, "keep": 7}}))
    selector = create_selector(asked, instrument)
    assert isinstance(selector, kind)
    if selector is not None:
        assert selector.keep == 7
        assert selector.seed == asked.seed
    if isinstance(selector, ByPermutation):
        assert selector.embargo == pd.Timedelta(hours=asked.backtest.embargo_bars)
