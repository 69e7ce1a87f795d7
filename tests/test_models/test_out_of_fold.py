"""Predictions for rows that a model did not learn from: which rows it learnt from, and what it saw."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.base import Float64, SingleModel
from models.out_of_fold import out_of_fold
from models.overlap import labels_at_once
from models.windows import Float32, Positions, gather
from pipelines.splits import PurgedKFold, PurgedWalkForward

HOUR = pd.Timedelta("1h")
INDEX = pd.date_range("2021-01-01", periods=40, freq="h", tz="UTC", name="timestamp")
X = pd.DataFrame({"place": np.arange(40.0), "other": np.arange(40.0) % 7}, index=INDEX)
Y = pd.Series(np.arange(40) % 2.0, index=INDEX)
T_END = pd.Series(INDEX + 3 * HOUR, index=INDEX)
FITS: list[dict[str, Any]] = []


class Recording(SingleModel):
    """Notes what it learns from, and says the mean place of a window as if that were a probability."""

    name = "recording"
    window: int = 3

    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        FITS.append({"rows": values[rows, 0].tolist(), "labels": labels, "weights": weights, "known": t_end.max()})

    def _predict(self, values: Float32, ends: Positions) -> Any:
        return gather(values, ends, self.window)[:, :, 0].mean(axis=1) / 100

    def _to_onnx(self) -> Any:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    FITS.clear()


def held(y: pd.Series = Y, weight: pd.Series | None = None, cv: Any = None) -> pd.Series:
    splitter = cv or PurgedWalkForward(2, 0.5, 2 * HOUR)
    return out_of_fold(Recording(), X, y, t_end=T_END, sample_weight=weight, cv=splitter)


def test_rows_before_the_first_test_have_none_and_the_rest_see_their_own_windows() -> None:
    found = held()
    assert found.index.equals(INDEX)
    assert found.iloc[:20].isna().all()
    assert found.iloc[20:].to_numpy() == pytest.approx(np.arange(19, 39) / 100)


def test_no_fit_knows_a_label_that_is_known_later_than_the_embargo_before_its_test() -> None:
    held()
    for fit, first in zip(FITS, (20, 30), strict=True):
        assert fit["known"] <= INDEX[first] - 2 * HOUR
        # The first two rows have no window; the last whose label is known then is five rows back.
        assert fit["rows"] == list(range(2, first - 4))


def test_rows_without_label_or_weight_are_context() -> None:
    y = Y.copy()
    y.iloc[[4, 25]] = np.nan
    weight = pd.Series(1.0, index=INDEX)
    weight.iloc[[6, 26]] = 0.0
    weight.iloc[8] = 5.0
    found = held(y, weight)
    assert not {4.0, 6.0} & set(FITS[0]["rows"])
    assert FITS[0]["weights"][FITS[0]["rows"].index(8.0)] == 5.0
    assert found.iloc[[25, 26]].isna().all()
    assert found.iloc[27] == pytest.approx(0.26)


def test_folds_in_the_middle_leave_rows_after_them_to_learn_from() -> None:
    found = held(cv=PurgedKFold(4, HOUR))
    assert found.iloc[2:].notna().all()
    assert max(FITS[0]["rows"]) == 39.0


@pytest.mark.parametrize(("hours", "expected"), [(1, 1.0), (2, 1.0), (5, 4.0), (25, 24.0)])
def test_labels_at_once(hours: int, expected: float) -> None:
    """A label of one bar ends at the second opening after its bar's own: two hours for an hourly bar."""
    assert labels_at_once(INDEX, pd.Series(INDEX + hours * HOUR, index=INDEX)) == pytest.approx(expected)


def test_a_single_label_is_one() -> None:
    assert labels_at_once(INDEX[:1], T_END[:1]) == 1.0
