"""Models of returns as ONNX graphs: parts side by side, quantiles in order, in units of return."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.onnx_export import canonical, flat_model, graft
from models.onnx_session import INPUT, OUTPUT

if TYPE_CHECKING:
    import onnx

_XGBOOST_OPSET = 15


def regression_graph(booster: Any, *, features: int) -> "onnx.ModelProto":
    """Graph of a fitted ``XGBRegressor``."""
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    converted = convert_xgboost(
        booster, initial_types=[(INPUT, FloatTensorType([None, features]))], target_opset=_XGBOOST_OPSET
    )
    return canonical(converted, window=None, features=features)


def returns_graph(parts: "Sequence[onnx.ModelProto]", scale: float, *, window: int, features: int) -> "onnx.ModelProto":
    """Graph of the mean and the sorted quantiles of parts whose columns are the mean and the quantiles, times scale."""
    from onnx import TensorProto, helper

    nodes: list[Any] = []
    tensors: list[Any] = []
    for place, part in enumerate(parts):
        graft(part, {INPUT: INPUT}, f"p{place}.", nodes, tensors)
    names = [f"p{place}.{OUTPUT}" for place in range(len(parts))]
    tensors += [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("end", TensorProto.INT64, [1], [np.iinfo(np.int64).max]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    nodes += [
        helper.make_node("Concat", names, ["columns"], axis=1),
        helper.make_node("Mul", ["columns", "scale"], ["scaled"]),
        helper.make_node("Slice", ["scaled", "zero", "one", "axis"], ["mean"]),
        helper.make_node("Slice", ["scaled", "one", "end", "axis"], ["quantiles"]),
        # TopK of all of them, smallest first, is a sort.
        helper.make_node("Shape", ["quantiles"], ["count"], start=1, end=2),
        helper.make_node("TopK", ["quantiles", "count"], ["sorted", "order"], axis=1, largest=0, sorted=1),
        helper.make_node("Concat", ["mean", "sorted"], [OUTPUT], axis=1),
    ]
    shape = None if window == 1 else window
    made = flat_model(nodes, tensors, window=shape, features=features, columns=None)
    return canonical(made, window=shape, features=features, columns=None)
