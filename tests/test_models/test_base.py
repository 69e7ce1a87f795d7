from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.factory import create_model
from tests.test_models.conftest import CV
from trading.errors import ModelError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]


@pytest.fixture
def forest(settings: dict[str, Any]) -> Any:
    return create_model("random_forest", settings["random_forest"], seed=3)


def test_what_does_not_belong_together_is_refused(forest: Any, data: Data) -> None:
    X, y, t_end = data
    weights = pd.Series(1.0, index=X.index)
    cases: list[tuple[str, pd.DataFrame, pd.Series, pd.Series, pd.Series | None]] = [
        ("y does not stand", X, y.iloc[:-1], t_end, None),
        ("t_end does not stand", X, y, t_end.iloc[::-1], None),
        ("sample_weight does not stand", X, y, t_end, weights.reset_index(drop=True)),
        ("below zero or NaN", X, y, t_end, weights - 2),
        ("below zero or NaN", X, y, t_end, weights.where(y > 0)),
        ("labels hold -1", X, y.replace(0.0, -1.0), t_end, None),
        ("not in time order", X.iloc[::-1], y.iloc[::-1], t_end.iloc[::-1], None),
    ]
    for message, *frames, weight in cases:
        with pytest.raises(ModelError, match=message):
            forest.fit(frames[0], frames[1], t_end=frames[2], sample_weight=weight)


def test_duplicated_and_unsorted_rows_are_refused_when_asking(fitted: dict[str, Any], data: Data) -> None:
    X = data[0].iloc[[0, 1, 1, 2]]
    with pytest.raises(ModelError, match="not in time order"):
        fitted["xgboost"].predict_proba(X)


def test_a_label_that_is_never_known_is_not_learnt_from(forest: Any, data: Data) -> None:
    X, y, t_end = data
    known = t_end.where(np.arange(len(X)) < 300)
    by_time = forest.fit(X, y, t_end=known).predict_proba(X)
    by_label = forest.fit(X, y.where(known.notna()), t_end=t_end).predict_proba(X)
    pd.testing.assert_frame_equal(by_time, by_label)
    assert not by_time.equals(forest.fit(X, y, t_end=t_end).predict_proba(X))


def test_a_row_without_weight_is_as_good_as_one_without_label(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    hidden = np.arange(len(X)) % 3 == 0
    weights = pd.Series(1.0 - hidden, index=X.index)
    for name in ("random_forest", "xgboost"):
        model = create_model(name, settings[name], seed=3, cv=CV)
        by_weight = model.fit(X, 1 - y.where(hidden, 1 - y), t_end=t_end, sample_weight=weights).predict_proba(X)
        by_label = model.fit(X, y.mask(hidden), t_end=t_end).predict_proba(X)
        apart = model.fit(X[~hidden], y[~hidden], t_end=t_end[~hidden]).predict_proba(X)
        pd.testing.assert_frame_equal(by_weight, by_label, check_exact=True)
        pd.testing.assert_frame_equal(apart, by_label, check_exact=True)


def test_importances_add_up_and_find_what_drives(fitted: dict[str, Any]) -> None:
    for name in ("random_forest", "xgboost"):
        importances = fitted[name].importances_
        assert importances.index.tolist() == ["f0", "f1", "f2", "f3", "f4"]
        assert importances.sum() == pytest.approx(1)
        assert importances.idxmax() == "f0"


def test_importances_of_a_constant_model_are_zero(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    for name in ("random_forest", "xgboost"):
        model = create_model(name, settings[name], seed=3, cv=CV)
        with pytest.raises(ModelError, match="not fitted"):
            _ = model.importances_  # type: ignore[attr-defined]
        model.fit(X, y * 0, t_end=t_end)
        assert (model.importances_ == 0).all()  # type: ignore[attr-defined]


def test_an_empty_frame_has_no_predictions(fitted: dict[str, Any], data: Data) -> None:
    for model in fitted.values():
        assert model.predict_proba(data[0].iloc[:0]).shape == (0, 2)


def test_settings_that_need_more_rows_say_how_many(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    for name, over, needed in (
        ("random_forest", {"min_samples_leaf": 101}, 404),
        ("xgboost", {"min_child_weight": 50.0}, 500),
        ("lstm", {"window": 300}, 301),
    ):
        with pytest.raises(ModelError, match=rf"at least {needed} labelled rows"):
            create_model(name, {**settings[name], **over}, seed=1, cv=CV).fit(X, y, t_end=t_end)


def test_forest_is_scikit_learns(fitted: dict[str, Any], data: Data, settings: dict[str, Any]) -> None:
    from sklearn.ensemble import RandomForestClassifier

    X, y, _ = data
    keywords = {key: value for key, value in settings["random_forest"].items() if key != "crosses"}
    reference = RandomForestClassifier(**keywords, random_state=3)
    reference.fit(X.to_numpy(np.float32), y.astype(int), np.ones(len(X)))
    expected = reference.predict_proba(X.to_numpy(np.float32))
    np.testing.assert_array_equal(fitted["random_forest"].predict_proba(X)[1], expected[:, 1])


def test_xgboost_is_xgboosts(fitted: dict[str, Any], data: Data, settings: dict[str, Any]) -> None:
    import xgboost

    X, y, _ = data
    chosen = {key: value for key, value in settings["xgboost"].items() if key not in ("n_estimators", "crosses")}
    booster = xgboost.train(
        {"objective": "binary:logistic", "seed": 3, "nthread": 1, **chosen},
        xgboost.DMatrix(X.to_numpy(np.float32), y),
        num_boost_round=settings["xgboost"]["n_estimators"],
    )
    expected = booster.predict(xgboost.DMatrix(X.to_numpy(np.float32)))
    np.testing.assert_allclose(fitted["xgboost"].predict_proba(X)[1], expected, atol=1e-7)
