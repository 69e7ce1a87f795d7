"""Products of two features: found where neither says anything alone, not found where there is nothing, and exported."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.crossed import LEAST, Crossed, telling_pairs
from models.factory import create_model
from models.onnx_export import parity

ROWS = 3000
TREES = {
    "n_estimators": 30, "max_depth": 2, "learning_rate": 0.2, "subsample": 0.8, "colsample_bytree": 0.8,
    "min_child_weight": 5.0, "reg_lambda": 1.0,
}  # fmt: skip
RECURRENT = {
    "window": 3, "units": [4], "dropout": 0.0, "dense": 4, "epochs": 1, "batch_size": 256, "learning_rate": 0.01,
    "warmup": 0.0, "sparsity": 0.0, "patience": 0, "stride": 1,
}  # fmt: skip
INDEX = pd.date_range("2021-01-01", periods=ROWS, freq="h", tz="UTC", name="timestamp")
T_END = pd.Series(INDEX + pd.Timedelta("2h"), index=INDEX)


def columns(seed: int = 0, count: int = 12) -> pd.DataFrame:
    """Independent columns of very different scales."""
    values = np.random.default_rng(seed).normal(size=(ROWS, count)) * 10.0 ** (np.arange(count) % 5 - 2) + 3
    return pd.DataFrame(values, index=INDEX, columns=[f"f{k}" for k in range(count)])


def both(X: pd.DataFrame, seed: int = 1) -> pd.Series:
    """Up, with a probability of three quarters, where f2 and f7 are on the same side of their means."""
    same = (X["f2"] > X["f2"].mean()) == (X["f7"] > X["f7"].mean())
    chance = np.random.default_rng(seed).random(ROWS)
    return pd.Series(np.where(same, chance < 0.75, chance < 0.25).astype(float), index=INDEX)


def test_a_pair_is_found_whose_columns_say_nothing_alone() -> None:
    X = columns()
    y = both(X)
    assert all(abs(np.corrcoef(X[name], y)[0, 1]) < 0.05 for name in X)
    model = create_model("xgboost", {**TREES, "crosses": 5}, seed=0).fit(X, y, t_end=T_END)
    assert isinstance(model, Crossed)
    assert model.pairs_ == [(2, 7)]
    assert model.extended(X).columns.tolist() == [*X.columns, "f2 × f7"]
    new = columns(seed=5)
    right = ((model.predict_proba(new)[1] > 0.5) == (both(new, seed=6) > 0)).mean()
    plain = create_model("xgboost", {**TREES, "crosses": 0}, seed=0).fit(X, y, t_end=T_END)
    alone = ((plain.predict_proba(new)[1] > 0.5) == (both(new, seed=6) > 0)).mean()
    assert right > 0.72
    assert right > alone + 0.05


def test_the_distance_of_a_product_is_its_correlation_with_the_label() -> None:
    """A threshold is passed exactly where the t-value of a correlation, computed one pair at a time, passes it."""
    X = columns(3, 6).to_numpy()
    generator = np.random.default_rng(0)
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    for push in (0.05, 0.09, 0.12, 0.3):
        y = (generator.normal(size=ROWS) + push * z[:, 1] * z[:, 4] > 0).astype(float)
        expected = [
            pair
            for pair in zip(*np.triu_indices(6, 1), strict=True)
            if abs(stats.pearsonr(z[:, pair[0]] * z[:, pair[1]], y).statistic) * np.sqrt(ROWS) > LEAST
        ]
        found = telling_pairs(X, y, np.ones(ROWS), 10, shared=1.0)
        assert sorted(found) == [(int(i), int(j)) for i, j in expected]


def test_noise_has_no_pairs() -> None:
    """About one fit in seven of 20,000 pairs finds one; of 190 pairs hardly any does."""
    counts = [
        len(
            telling_pairs(
                np.random.default_rng(seed).normal(size=(500, 20)),
                np.random.default_rng(seed + 99).integers(0, 2, 500).astype(float),
                np.ones(500),
                5,
                shared=1.0,
            )
        )
        for seed in range(40)
    ]
    assert sum(counts) <= 1


def test_labels_that_share_their_time_count_once() -> None:
    """Twenty-four labels about the same day are one piece of evidence."""
    X = columns()
    y = both(X)
    values = X.to_numpy()
    assert telling_pairs(values, y.to_numpy(), np.ones(ROWS), 5, shared=1.0)
    assert not telling_pairs(values, y.to_numpy(), np.ones(ROWS), 5, shared=60.0)
    day = pd.Series(INDEX + pd.Timedelta("600h"), index=INDEX)
    assert create_model("xgboost", {**TREES, "crosses": 5}, seed=0).fit(X, y, t_end=day).pairs_ == []


def test_products_that_go_together_are_one() -> None:
    X = columns()
    y = both(X)
    twins = X.assign(twin=X["f2"] * 3 + 0.001 * X["f0"])
    model = create_model("xgboost", {**TREES, "crosses": 5}, seed=0).fit(twins, y, t_end=T_END)
    assert len(model.pairs_) == 1


def test_no_more_are_kept_than_asked_for_and_flat_columns_make_none() -> None:
    z = np.random.default_rng(0).normal(size=(ROWS, 5))
    z[:, 4] = 2.0
    y = (z[:, 0] * z[:, 1] + z[:, 2] * z[:, 3] > 0).astype(float)
    assert set(telling_pairs(z, y, np.ones(ROWS), 9, shared=1.0)) == {(0, 1), (2, 3)}
    assert len(telling_pairs(z, y, np.ones(ROWS), 1, shared=1.0)) == 1
    assert telling_pairs(z[:, 3:], y, np.ones(ROWS), 9, shared=1.0) == []


def test_rows_without_weight_or_label_choose_nothing() -> None:
    X = columns()
    y = both(X)
    free = y.copy()
    free.iloc[:1500] = 1 - free.iloc[:1500]
    weight = pd.Series(np.r_[np.zeros(1500), np.ones(1500)], index=INDEX)
    settings = {**TREES, "crosses": 5}
    weighed = create_model("xgboost", settings, seed=0).fit(X, free, t_end=T_END, sample_weight=weight)
    assert weighed.pairs_ == [(2, 7)]
    assert create_model("xgboost", settings, seed=0).fit(X, free, t_end=T_END).pairs_ == []
    one = create_model("xgboost", settings, seed=0).fit(X, y * 0, t_end=T_END)
    assert one.pairs_ == []
    assert (one.predict_proba(X)[1] == 0).all()


@pytest.mark.parametrize(("family", "settings"), [("xgboost", TREES), ("lstm", RECURRENT)])
def test_the_graph_says_the_same(family: str, settings: dict[str, object]) -> None:
    X = columns()
    model = create_model(family, {**settings, "crosses": 5}, seed=0).fit(X, both(X), t_end=T_END)
    assert model.pairs_
    probe = columns(seed=9) * np.random.default_rng(1).choice([1.0, -50.0, 1e6], size=(ROWS, 12))
    probe.iloc[7, 3] = np.nan
    graph = model.to_onnx()
    assert parity(model, graph, probe) < 1e-5
    assert graph.SerializeToString() == model.to_onnx().SerializeToString()


def test_what_follows_changes_nothing_before_it() -> None:
    X = columns()
    model = create_model("xgboost", {**TREES, "crosses": 5}, seed=0).fit(X, both(X), t_end=T_END)
    changed = X.copy()
    changed.iloc[2000:] *= -7
    pd.testing.assert_frame_equal(model.predict_proba(changed)[:2000], model.predict_proba(X)[:2000])
