"""What a split may train on, and what it keeps as context only."""

import numpy as np
import pandas as pd
import pytest

from pipelines.dataset import Dataset, time_decay
from trading.errors import TooFewBarsError

INDEX = pd.date_range("2019-01-01", periods=8, freq="h", tz="UTC", name="timestamp")


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    features = pd.DataFrame({"a": [np.nan, np.nan, 2, 3, 4, 5, 6, 7.0]}, index=INDEX)
    labels = pd.DataFrame({"label": [1.0, 0, 1, 0, 1, 0, np.nan, np.nan], "ret": 0.1}, index=INDEX)
    labels["t_end"] = (INDEX + pd.Timedelta(hours=2)).to_series(index=INDEX).where(labels["label"].notna())
    return features, labels


def test_the_warm_up_is_dropped_and_nothing_else() -> None:
    data = Dataset.join(*frames())
    assert list(data.X.index) == list(INDEX[2:])
    assert data.y.tolist()[:4] == [1, 0, 1, 0]
    assert data.y.isna().tolist() == [False] * 4 + [True] * 2


def test_no_warm_row_is_the_users_error() -> None:
    features, labels = frames()
    with pytest.raises(TooFewBarsError, match="warm-up"):
        Dataset.join(features.iloc[:2], labels)


def test_purged_rows_stay_as_context_without_a_label() -> None:
    data = Dataset.join(*frames())
    X, y, t_end = data.training_rows(np.array([0, 2]))
    assert len(X) == len(y) == len(t_end) == 3
    assert y.isna().tolist() == [False, True, False]


def test_labels_that_end_later_are_hidden() -> None:
    data = Dataset.join(*frames()).before(4, INDEX[5])
    assert len(data.X) == 4
    # Rows 2 and 3 end at 04:00 and 05:00; rows 4 and 5 end later than 05:00.
    assert data.y.isna().tolist() == [False, False, True, True]
    assert data.t_end.isna().tolist() == [False, False, True, True]
    assert data.ret.isna().tolist() == [False, False, True, True]


def weighed() -> Dataset:
    features, labels = frames()
    known = labels["label"].notna()
    unique = pd.Series([0.2, 0.2, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0], index=INDEX).where(known)
    end = (INDEX + pd.Timedelta(hours=3)).to_series(index=INDEX)
    labels = labels.assign(uniqueness=unique, weight=unique * 10, horizon_ret=0.2, horizon_end=end)
    return Dataset.join(features, labels)


def test_plain_labels_have_no_weights_and_one_return() -> None:
    data = Dataset.join(*frames())
    assert data.weight is None
    assert data.training_weights(np.array([0, 1]), 0.5) is None


def test_weights_are_scaled_to_the_training_rows_and_nothing_for_the_rest() -> None:
    data = weighed()
    weights = data.training_weights(np.array([0, 1, 3]), 1.0)
    assert weights is not None
    assert weights.index.equals(data.training_rows(np.array([0, 1, 3]))[0].index)
    assert weights.to_numpy() == pytest.approx(np.array([2, 4, 0, 8]) * 3 / 14)


def test_old_labels_fade_by_what_was_learnt_since() -> None:
    data = weighed()
    weights = data.training_weights(np.array([0, 1, 2, 3]), 0.0)
    assert weights is not None
    # Cumulated uniqueness .2 .6 1.2 2 of 2, times the weights 2 4 6 8.
    faded = np.array([0.1 * 2, 0.3 * 4, 0.6 * 6, 1.0 * 8])
    assert weights.to_numpy() == pytest.approx(faded / faded.mean())


def test_the_factor_of_age_is_a_line_in_cumulated_uniqueness() -> None:
    unique = np.array([1.0, 0.5, 0.25, 0.25])
    assert time_decay(unique, 1.0).tolist() == [1, 1, 1, 1]
    assert time_decay(unique, 0.0).tolist() == [0.5, 0.75, 0.875, 1.0]
    assert time_decay(unique, 0.5).tolist() == [0.75, 0.875, 0.9375, 1.0]


def test_a_market_that_never_moves_weighs_nothing() -> None:
    features, labels = frames()
    data = Dataset.join(features, labels.assign(uniqueness=1.0, weight=0.0))
    weights = data.training_weights(np.array([0, 1]), 1.0)
    assert weights is not None
    assert weights.tolist() == [0, 0]


def test_a_return_over_the_horizon_may_be_known_later_than_its_label() -> None:
    data = weighed()
    # Labels end two hours after their stamp, horizons three: the last row's is still running.
    seen = data.before(4, INDEX[5])
    assert seen.horizon_ret is not None
    assert seen.weight is not None
    assert seen.y.isna().tolist() == [False, False, True, True]
    assert seen.weight.isna().tolist() == [False, False, True, True]
    assert seen.horizon_ret.isna().tolist() == [False, True, True, True]
