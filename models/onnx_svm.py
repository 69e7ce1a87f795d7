"""Sums of radial kernels as ONNX graphs of plain operators: converters know exact machines only, and flip them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from models.base import Float64
from models.onnx_export import flat_model
from models.onnx_session import INPUT, OUTPUT

if TYPE_CHECKING:
    import onnx


def kernel_graph(centres: Float64, dual: Float64, intercept: float, sharpness: float) -> "onnx.ModelProto":
    """Graph of ``sigmoid(exp(-sharpness |x - s|²) @ dual + intercept)``.

    Squared distances are differences of large sums, so the graph computes in float64 between its float32 ends.

    Parameters
    ----------
    centres
        The s, shape (m, features).
    dual
        Shape (m,).
    intercept, sharpness
        Numbers.
    """
    from onnx import TensorProto, helper, numpy_helper

    def node(operator: str, *names: str, **attributes: Any) -> Any:
        return helper.make_node(operator, list(names[:-1]), [names[-1]], **attributes)

    # |x|² + |s|² - 2 x s, with the factor of the exponent already in what is constant.
    nodes = [
        node("Cast", INPUT, "x", to=TensorProto.DOUBLE),
        node("Mul", "x", "x", "squares"),
        node("MatMul", "squares", "sharpened", "own"),
        node("MatMul", "x", "directions", "shared"),
        node("Add", "own", "shared", "near"),
        node("Add", "near", "lengths", "exponent"),
        node("Exp", "exponent", "kernel"),
        node("MatMul", "kernel", "dual", "sum"),
        node("Add", "sum", "intercept", "decision"),
        node("Sigmoid", "decision", "wide"),
        node("Cast", "wide", OUTPUT, to=TensorProto.FLOAT),
    ]
    weights = {
        "sharpened": np.full((centres.shape[1], 1), -sharpness),
        "directions": np.ascontiguousarray(2 * sharpness * centres.T),
        "lengths": -sharpness * (centres**2).sum(axis=1)[None],
        "dual": dual[:, None],
        "intercept": np.array([[intercept]]),
    }
    tensors = [numpy_helper.from_array(np.asarray(value, dtype=np.float64), name) for name, value in weights.items()]
    return flat_model(nodes, tensors, window=None, features=centres.shape[1])
