import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.feature_names import require_names
from models.onnx_session import OnnxSession
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


def test_serving_never_holds_the_windows_of_all_rows() -> None:
    rows, features, window = 200_000, 100, 48
    table = rows * window * features * 4  # bytes: 3.8 GB
    session = OnnxSession(last_row_graph(features, window).SerializeToString())
    values = np.random.default_rng(0).random((rows, features), dtype=np.float32)
    tracemalloc.start()
    try:
        found = session.predict(values)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found[window - 1 :], values[window - 1 :, 0])
    assert np.isnan(found[: window - 1]).all()
    assert peak < table / 50


def last_row_graph(features: int, window: int) -> Any:
    """A graph that answers the first feature of its window's last row."""
    from onnx import TensorProto, helper

    ends = {"from": [window - 1, 0], "to": [window, 1], "axes": [1, 2], "shape": [-1, 1]}
    nodes = [
        helper.make_node("Slice", ["input", "from", "to", "axes"], ["newest"]),
        helper.make_node("Reshape", ["newest", "shape"], ["prob_up"]),
    ]
    graph = helper.make_graph(
        nodes,
        "newest",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", window, features])],
        [helper.make_tensor_value_info("prob_up", TensorProto.FLOAT, ["rows", 1])],
        initializer=[helper.make_tensor(name, TensorProto.INT64, [2], value) for name, value in ends.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


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
