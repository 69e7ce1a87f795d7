"""A ranking finds what was planted, knows how sure it is, and is the same whenever it is made again."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.factory import create_ensemble
from pipelines.importance.fold import FoldImportance, measure
from pipelines.importance.ranking import Ranking, chosen_columns, rank_features
from pipelines.params import ImportanceParams
from pipelines.selection.groups import Groups, correlated_groups
from pipelines.selection.selectors import ByInformation
from pipelines.splits import PurgedWalkForward

PARAMS = ImportanceParams(correlation=0.7, rows=400, repeats=2, block_bars=24, resamples=300, top=5)
SETTINGS: dict[str, dict[str, Any]] = {
    "random_forest": {
        "crosses": 0,
        "n_estimators": 12, "max_depth": 4, "min_samples_leaf": 10, "max_features": 0.3, "max_samples": 0.5,
    },
    "xgboost": {
        "crosses": 0,
        "n_estimators": 25, "max_depth": 3, "learning_rate": 0.1, "subsample": 0.8, "colsample_bytree": 0.5,
        "min_child_weight": 5.0, "reg_lambda": 1.0,
    },
    "lstm": {
        "crosses": 0,
        "window": 2, "units": [2], "dropout": 0.0, "dense": 2, "epochs": 1, "batch_size": 64, "learning_rate": 0.1,
        "warmup": 0.0, "sparsity": 0.0, "patience": 0, "stride": 9,
    },
}  # fmt: skip
TREES = {"random_forest": 1.0, "xgboost": 1.0}
HOUR = pd.Timedelta("1h")


def planted(noise: int, *, copies: int = 1, seed: int = 0, rows: int = 2400) -> tuple[pd.DataFrame, pd.Series]:
    """One column that shifts the odds, its near copies, and noise."""
    generator = np.random.default_rng(seed)
    index = pd.date_range("2021-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    signal = generator.normal(size=rows)
    y = pd.Series((signal + 1.5 * generator.normal(size=rows) > 0).astype(float), index=index)
    X = pd.DataFrame(generator.normal(size=(rows, noise)), index=index, columns=[f"n{n}" for n in range(noise)])
    for number in range(copies):
        X.insert(noise // 2 + number, f"signal{number}", signal + 0.05 * number * generator.normal(size=rows))
    return X, y


def refits(
    X: pd.DataFrame, y: pd.Series, *, seed: int = 0, folds: int = 3, **over: Any
) -> tuple[list[FoldImportance], Groups]:
    t_end = pd.Series(X.index + 2 * HOUR, index=X.index)
    found, groups = [], None
    for number, (train, test) in enumerate(PurgedWalkForward(folds, 0.5, 24 * HOUR).split(X, t_end=t_end)):
        groups = groups or correlated_groups(X.iloc[train], over.get("params", PARAMS).correlation)
        vote = create_ensemble(
            over.get("settings", SETTINGS), over.get("weights", TREES), seed=seed, selector=over.get("selector")
        )
        vote.fit(X.iloc[train], y.iloc[train], t_end=t_end.iloc[train])
        parts = [(X.iloc[part], y.iloc[part]) for part in (train, test)]
        found.append(measure(vote.models_, parts[0], parts[1], groups, PARAMS, seed=100 * seed + number))
    assert groups is not None
    return found, groups


def ranked(X: pd.DataFrame, y: pd.Series, **over: Any) -> Ranking:
    found, groups = refits(X, y, **over)
    return rank_features(found, groups, PARAMS, horizon_bars=1, bar=HOUR, confidence=0.95, seed=0)


@pytest.fixture(scope="module")
def hundred() -> Ranking:
    """One informative column among a hundred of noise."""
    return ranked(*planted(100))


def test_a_planted_feature_is_first_with_an_interval_above_the_noise(hundred: Ranking) -> None:
    first, *rest = hundred.groups
    assert first["feature"] == "signal0"
    assert (first["rank"], first["rank_low"], first["rank_high"], first["top"]) == (1, 1, 1, 1.0)
    assert 0 < first["low"] < first["mean"] < first["high"]
    assert first["low"] > max(one["high"] for one in rest)
    assert first["direction"] > 0.9
    for measure_of_worth in ("shapley", "information"):
        assert first[measure_of_worth] > 3 * max(one[measure_of_worth] for one in rest)
    # Most intervals of what is worth nothing hold zero, or lie below: what was fitted to noise does harm.
    assert np.mean([one["low"] <= 0 for one in rest]) > 0.9
    assert np.mean([one["rank_high"] - one["rank_low"] for one in rest]) > 20


def test_refits_agree_on_the_first_and_on_nothing_else(hundred: Ranking) -> None:
    assert hundred.stability["folds"] == 3
    assert abs(hundred.stability["rank_correlation"]) < 0.25
    assert 0 < hundred.stability["set_stability"] < 0.6
    assert sorted({one["top"] for one in hundred.groups}) == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=0.34)
    assert len(hundred.by_fold) == 3 * 101
    assert hundred.by_fold.groupby("fold")["rise"].max().gt(0.01).all()


def test_copies_share_their_worth_as_one_group() -> None:
    X, y = planted(12, copies=4)
    # Trees that may look at every column: how many copies there are does not change how often one is at hand.
    greedy = {"random_forest": {"max_features": 1.0}, "xgboost": {"colsample_bytree": 1.0}}
    settings = {name: {**SETTINGS[name], **over} for name, over in greedy.items()}
    alone = ranked(X.drop(columns=["signal1", "signal2", "signal3"]), y, settings=settings).groups[0]
    first, second, *_ = ranked(X, y, settings=settings).groups
    assert sorted(first["features"]) == ["signal0", "signal1", "signal2", "signal3"]
    assert first["feature"] in first["features"]
    assert first["mean"] == pytest.approx(alone["mean"], rel=0.15)
    assert first["shapley"] == pytest.approx(alone["shapley"], rel=0.15)
    assert first["low"] > second["high"]
    # One by one, none of them seems to matter that much.
    each = [measured.rises for measured in _one_by_one(X, y, settings)]
    assert pd.concat(each).mean().max() < 0.8 * first["mean"]


def _one_by_one(X: pd.DataFrame, y: pd.Series, settings: dict[str, dict[str, Any]]) -> list[FoldImportance]:
    singles = PARAMS.model_copy(update={"correlation": 1.0})
    return refits(X, y, settings=settings, params=singles)[0]


def test_the_same_seed_gives_the_same_ranking() -> None:
    X, y = planted(8)
    one, again, other = ranked(X, y, seed=1), ranked(X, y, seed=1), ranked(X, y, seed=2)
    assert one.groups == again.groups
    pd.testing.assert_frame_equal(one.by_fold, again.by_fold, check_exact=True)
    assert one.groups[0]["feature"] == other.groups[0]["feature"] == "signal0"
    assert one.groups != other.groups


def test_what_selectors_kept_is_counted() -> None:
    X, y = planted(10)
    found, groups = refits(X, y, selector=ByInformation(3, 0))
    kept = chosen_columns(found, X.shape[1])
    assert kept["fits"] == 6
    assert {"feature": "signal0", "share": 1.0} in kept["columns"]
    assert sum(one["share"] for one in kept["columns"]) == pytest.approx(3)
    assert [one["share"] for one in kept["columns"]] == sorted((one["share"] for one in kept["columns"]), reverse=True)
    assert -0.2 < kept["set_stability"] < 1
    # A column that no fit looked at is worth exactly nothing.
    unused = [name for name in X.columns if name not in {one["feature"] for one in kept["columns"]}]
    table = rank_features(found, groups, PARAMS, horizon_bars=1, bar=HOUR, confidence=0.95, seed=0)
    assert unused
    assert {one["mean"] for one in table.groups if one["feature"] in unused} == {0.0}
    assert all((fold.feature_shapley[unused] == 0).all() for fold in found)


def test_without_a_selector_nothing_was_chosen() -> None:
    found, _ = refits(*planted(3, rows=300), folds=1)
    assert chosen_columns(found, 4) == {"fits": 0, "columns": [], "set_stability": pytest.approx(np.nan, nan_ok=True)}


def test_a_forest_alone_has_no_shapley_values() -> None:
    first = ranked(*planted(4, rows=600), weights={"random_forest": 1.0}).groups[0]
    assert first["feature"] == "signal0"
    assert np.isnan(first["shapley"])
    assert np.isnan(first["direction"])


def test_models_that_read_windows_are_not_judged() -> None:
    found = ranked(*planted(3, rows=300), weights={"lstm": 1.0}, folds=1)
    assert found.groups == []
    assert found.stability["folds"] == 0
    assert list(found.by_fold) == ["fold", "group", "feature", "rise", "shapley", "information"]


def test_a_test_block_without_a_known_label_is_left_out() -> None:
    X, y = planted(4, rows=900)
    t_end = pd.Series(X.index + 2 * HOUR, index=X.index)
    vote = create_ensemble(SETTINGS, TREES, seed=0).fit(X[:600], y[:600], t_end=t_end[:600])
    groups = correlated_groups(X[:600], 0.7)
    unknown = measure(vote.models_, (X[:600], y[:600]), (X[600:], y[600:] * np.nan), groups, PARAMS, 0)
    known = measure(vote.models_, (X[:600], y[:600]), (X[600:], y[600:]), groups, PARAMS, 0)
    arguments: dict[str, Any] = {"horizon_bars": 1, "bar": HOUR, "confidence": 0.95, "seed": 0}
    assert rank_features([unknown, known], groups, PARAMS, **arguments).stability["folds"] == 1
    assert rank_features([unknown], groups, PARAMS, **arguments).groups == []


def test_labels_that_overlap_widen_the_intervals() -> None:
    index = pd.date_range("2021-01-01", periods=600, freq="h", tz="UTC")
    runs = np.repeat(np.random.default_rng(0).normal(0.1, 1.0, size=(25, 2)), 24, axis=0)
    nothing, information = pd.Series(dtype=float), pd.Series(0.0, index=["a", "b"])
    fold = FoldImportance(pd.DataFrame(runs, index=index), nothing, nothing, nothing, information, {})
    widths = []
    for horizon_bars in (1, 24):
        arguments: dict[str, Any] = {"horizon_bars": horizon_bars, "bar": HOUR, "confidence": 0.95, "seed": 0}
        first = rank_features([fold], (("a",), ("b",)), PARAMS, **arguments).groups[0]
        widths.append(first["high"] - first["low"])
    assert widths[1] > 1.3 * widths[0]
    # Twenty-five independent runs.
    assert widths[1] == pytest.approx(2 * 1.96 / 5, rel=0.35)


def test_rows_are_spread_evenly_and_no_more_than_asked() -> None:
    X, y = planted(2, rows=2000)
    found, _ = refits(X, y, folds=1)
    stamps = found[0].rises.index
    assert len(stamps) == 400
    assert (stamps[0], stamps[-1]) == (X.index[1000], X.index[-1])
    assert stamps.to_series().diff().dropna().between(2 * HOUR, 3 * HOUR).all()
