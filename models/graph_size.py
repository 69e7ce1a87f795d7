"""How much a graph has to look at for one prediction: a measure of its latency that no busy machine changes."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def constants(graph: "onnx.ModelProto") -> int:
    """Learnt numbers in a graph: weights of its tensors, nodes of its trees, coordinates of its support vectors.

    Parameters
    ----------
    graph
        A fitted model's.

    Returns
    -------
    int
        Elements of all initializers, and of each operator the longest of its attributes (of an ensemble of trees all
        attributes have one entry a node).
    """
    weights = sum(math.prod(tensor.dims) for tensor in graph.graph.initializer)
    held = sum(
        max((max(len(one.floats), len(one.ints), math.prod(one.t.dims)) for one in node.attribute), default=0)
        for node in graph.graph.node
    )
    return int(weights + held)
