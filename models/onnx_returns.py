"""A model of returns as one ONNX graph: its parts side by side, quantiles in order, units back to returns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.onnx_export import canonical, flat_model, graft
from models.onnx_session import INPUT

if TYPE_CHECKING:
    import onnx

RETURNS = "returns"


def return_graph(
    graphs: "Sequence[onnx.ModelProto]", *, unit: int | None, window: int, features: int
) -> "onnx.ModelProto":
    """Graph of the expected return and of quantiles that do not cross.

    Parameters
    ----------
    graphs
        Of one input and one output (N, 1): of the expected return, and of the quantiles from the lowest level up.
    unit
        Position of the feature that all of them are multiplied by, where it is above zero; None multiplies by nothing.
    window, features
        Of the input.
    """
    from onnx import TensorProto, helper

    nodes: list[Any] = []
    tensors: list[Any] = []
    width = len(graphs)
    for position, graph in enumerate(graphs):
        names = {graph.graph.input[0].name: INPUT, graph.graph.output[0].name: f"part{position}"}
        graft(graph, names, f"m{position}.", nodes, tensors)
    told = "part0"
    if width > 1:
        tensors.append(helper.make_tensor("levels", TensorProto.INT64, [1], [width - 1]))
        parts = [f"part{position}" for position in range(1, width)]
        nodes += [
            helper.make_node("Concat", parts, ["crossing"], axis=1),
            helper.make_node("TopK", ["crossing", "levels"], ["sorted", "order"], axis=1, largest=0, sorted=1),
            helper.make_node("Concat", ["part0", "sorted"], ["told"], axis=1),
        ]
        told = "told"
    if unit is None:
        nodes.append(helper.make_node("Identity", [told], [RETURNS]))
    else:
        newest = INPUT
        if window > 1:
            newest = "newest"
            tensors.append(helper.make_tensor("last", TensorProto.INT64, [], [window - 1]))
            nodes.append(helper.make_node("Gather", [INPUT, "last"], [newest], axis=1))
        tensors.append(helper.make_tensor("column", TensorProto.INT64, [1], [unit]))
        nodes += [
            helper.make_node("Gather", [newest, "column"], ["signed"], axis=1),
            helper.make_node("Relu", ["signed"], ["unit"]),
            helper.make_node("Mul", [told, "unit"], [RETURNS]),
        ]
    shape = None if window == 1 else window
    made = flat_model(nodes, tensors, window=shape, features=features, output=RETURNS, width=width)
    return canonical(made, window=shape, features=features, output=RETURNS, width=width)
