"""What a split may train on, and what it keeps as context only."""

import numpy as np
import pandas as pd
import pytest

from pipelines.dataset import Dataset
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
