import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.feature_names import require_names
from models.windows import as_float32, complete_windows, gather
from trading.errors import ModelError


@given(st.lists(st.sampled_from([1.0, 2.0, np.nan, np.inf]), max_size=30), st.integers(1, 9))
def test_complete_windows_are_those_that_a_loop_finds(column: list[float], window: int) -> None:
    values = np.array([[value, 0.0] for value in column]).reshape(-1, 2)
    expected = [end for end in range(window - 1, len(column)) if all(np.isfinite(column[end - window + 1 : end + 1]))]
    assert complete_windows(values, window).tolist() == expected


def test_a_window_ends_at_its_row_and_keeps_time_order() -> None:
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    windows = gather(values, np.array([2, 5]), 3)
    assert windows[:, :, 0].tolist() == [[0, 2, 4], [6, 8, 10]]


def test_what_float32_cannot_hold_is_unusable() -> None:
    values = as_float32(pd.DataFrame({"a": [1e300, 1.0, -1e39]}))
    assert values.dtype == np.float32
    assert complete_windows(values, 1).tolist() == [1]


@pytest.mark.parametrize(
    ("given_names", "message"),
    [
        (["a", "c", "b"], "feature 1 is 'c' where 'b' was expected"),
        (["a", "b"], "feature 'c' is missing at position 2"),
        (["a", "b", "c", "d"], "extra feature 'd' at position 3"),
    ],
)
def test_the_first_difference_between_features_is_named(given_names: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        require_names(["a", "b", "c"], given_names, where="here")


def test_equal_features_pass() -> None:
    require_names(["a", "b"], pd.Index(["a", "b"]), where="here")
