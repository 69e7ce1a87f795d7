"""An ensemble as one ONNX graph."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.blend import Blend
from models.calibration import EXTREME, Calibration, Isotonic, Platt
from models.onnx_export import canonical, flat_model, graft
from models.onnx_session import INPUT, OUTPUT
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx


def vote_graph(
    graphs: "Sequence[onnx.ModelProto]", windows: Sequence[int], blend: Blend, *, features: int
) -> "onnx.ModelProto":
    """Graph of the vote of graphs with the uniform interface.

    Members with a shorter window than the longest see the newest rows of it.

    Raises
    ------
    ModelError
        For a vote whose calibration has no graph.
    """
    from onnx import TensorProto, helper

    longest = max(windows)
    made = _Nodes()
    for position, (graph, window) in enumerate(zip(graphs, windows, strict=True)):
        source, prefix = INPUT, f"m{position}."
        if window < longest:
            source = f"{prefix}tail"
            start = [longest - 1] if window == 1 else np.arange(longest - window, longest)
            rank = [] if window == 1 else [window]
            made.tensors.append(helper.make_tensor(f"{prefix}rows", TensorProto.INT64, rank, start))
            made.nodes.append(helper.make_node("Gather", [INPUT, f"{prefix}rows"], [source], axis=1))
        graft(graph, {INPUT: source}, prefix, made.nodes, made.tensors)
    weights = np.asarray(blend.weights)
    shares = weights if blend.method == "stacking" else weights / weights.sum()
    parts = []
    for position, share in enumerate(shares):
        said = f"m{position}.{OUTPUT}"
        match blend.method:
            case "hard":
                side = made.add("Sign", made.add("Sub", said, made.number(0.5)))
                said = made.add("Add", made.add("Mul", side, made.number(0.5)), made.number(0.5))
            case "stacking":
                said = _log_odds(made, said)
        parts.append(made.add("Mul", said, made.number(share)))
    voted = made.add("Add", made.add("Sum", *parts), made.number(blend.intercept))
    if blend.method == "stacking":
        voted = made.add("Sigmoid", voted)
    if blend.calibration is not None:
        voted = _calibrated(made, voted, blend.calibration)
    made.nodes.append(helper.make_node("Identity", [voted], [OUTPUT]))
    shape = None if longest == 1 else longest
    return canonical(
        flat_model(made.nodes, made.tensors, window=shape, features=features), window=shape, features=features
    )


class _Nodes:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def add(self, operator: str, *inputs: str) -> str:
        """Add a node, and give its output's name."""
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name]))
        return name

    def number(self, value: float) -> str:
        """Add a constant, and give its name."""
        from onnx import TensorProto, helper

        name = f"c{len(self.tensors)}"
        self.tensors.append(helper.make_tensor(name, TensorProto.FLOAT, [], [float(value)]))
        return name


def _log_odds(made: _Nodes, prob_up: str) -> str:
    kept = made.add("Clip", prob_up, made.number(EXTREME), made.number(1 - EXTREME))
    return made.add("Log", made.add("Div", kept, made.add("Sub", made.number(1.0), kept)))


def _calibrated(made: _Nodes, voted: str, calibration: Calibration) -> str:
    match calibration:
        case Platt(slope, intercept):
            bent = made.add("Mul", _log_odds(made, voted), made.number(slope))
            return made.add("Sigmoid", made.add("Add", bent, made.number(intercept)))
        case Isotonic(scores, probabilities):
            # A rising line through points is a level and, for each piece, the share of it that was gone times its rise.
            total = made.number(probabilities[0])
            pieces = zip(scores[:-1], scores[1:], np.diff(probabilities), strict=True)
            for begin, end, rise in pieces:
                gone = made.add("Div", made.add("Sub", voted, made.number(begin)), made.number(end - begin))
                gone = made.add("Clip", gone, made.number(0.0), made.number(1.0))
                total = made.add("Add", total, made.add("Mul", gone, made.number(rise)))
            return made.add("Add", total, made.add("Mul", voted, made.number(0.0)))
        case _:
            raise ModelError(
                f"a graph of {type(calibration).__name__}", rule="platt or isotonic", remedy="choose one of them"
            )
