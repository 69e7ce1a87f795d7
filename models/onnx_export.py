"""Fitted models as ONNX graphs with one interface, and with bytes that depend on nothing but the model.

Converters name nodes by counters of the process, sign their work and differ in inputs and outputs. Each graph is
therefore rebuilt: from ``input`` to ``prob_up`` only, with nodes and weights in the order in which the output needs
them, and named by that order.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.onnx_session import INPUT, OUTPUT, OnnxSession
from models.windows import Float32, as_float32
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx

    from models.base import SignalModel

# One operator set for all families, so that their graphs can be merged. onnxmltools knows trees up to 15; the operators
# it writes are the same in 17, which the checker and the comparison with the model confirm.
_OPSETS = {"": 17, "ai.onnx.ml": 3}
_XGBOOST_OPSET = 15
_IR_VERSION = 8


def parity(model: "SignalModel", graph: "onnx.ModelProto", X: pd.DataFrame) -> float:
    """Largest difference between a model and its graph, as ONNX Runtime runs it.

    Parameters
    ----------
    model
        The fitted model.
    graph
        What it was exported to.
    X
        Feature frame in time order.

    Returns
    -------
    float
        Largest absolute difference of the probability of a rise; infinite if they disagree on which rows have one.

    Raises
    ------
    ModelError
        If no row has a probability, because then nothing was compared.
    """
    ours = model.predict_proba(X)[1].to_numpy()
    theirs = OnnxSession(graph.SerializeToString()).predict(as_float32(X))
    if np.isnan(ours).all():
        raise ModelError(
            f"no row of {len(X)} can be compared", rule=f"a complete window of {model.window}", remedy="give more rows"
        )
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return float("inf")
    return float(np.abs(ours - theirs)[~np.isnan(ours)].max())


def forest_graph(forest: Any, *, features: int) -> "onnx.ModelProto":
    """Graph of a fitted scikit-learn forest with two classes."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    converted = to_onnx(
        forest,
        initial_types=[(INPUT, FloatTensorType([None, features]))],
        options={"zipmap": False},
        target_opset=_OPSETS,
    )
    return canonical(_rising_column(converted), window=None, features=features)


def xgboost_graph(booster: Any, *, features: int) -> "onnx.ModelProto":
    """Graph of a fitted ``XGBClassifier`` with two classes."""
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    converted = convert_xgboost(
        booster, initial_types=[(INPUT, FloatTensorType([None, features]))], target_opset=_XGBOOST_OPSET
    )
    return canonical(_rising_column(converted), window=None, features=features)


def keras_graph(network: Any, *, window: int, features: int) -> "onnx.ModelProto":
    """Graph of a Keras network from (N, window, features) to a probability (N, 1)."""
    import logging

    import tensorflow as tf
    import tf2onnx

    noisy = logging.getLogger("tf2onnx")
    level = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        converted, _ = tf2onnx.convert.from_keras(
            network,
            input_signature=[tf.TensorSpec((None, window, features), tf.float32, name=INPUT)],
            opset=_OPSETS[""],
        )
    finally:
        noisy.setLevel(level)
    return canonical(converted, window=window, features=features)


def constant_graph(probability: float, *, window: int, features: int) -> "onnx.ModelProto":
    """Graph that answers the same probability for every row."""
    from onnx import TensorProto, helper

    shape = None if window == 1 else window
    nodes = [
        helper.make_node("Shape", [INPUT], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "one"], ["shape"], axis=0),
        helper.make_node(
            "ConstantOfShape",
            ["shape"],
            [OUTPUT],
            value=helper.make_tensor("value", TensorProto.FLOAT, [1], [probability]),
        ),
    ]
    weights = [helper.make_tensor("one", TensorProto.INT64, [1], [1])]
    return canonical(flat_model(nodes, weights, window=shape, features=features), window=shape, features=features)


def scaled_graph(
    graph: "onnx.ModelProto", centre: Float32, scale: Float32, clip: float, *, window: int, features: int
) -> "onnx.ModelProto":
    """A graph in front of which each feature is centred, divided by its scale, and clipped on both sides."""
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("Sub", [INPUT, "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
    ]
    limits = {"centre": centre, "scale": scale, "low": np.float32(-clip), "high": np.float32(clip)}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in limits.items()]
    return _preceded(graph, nodes, tensors, window=window, features=features)


def selected_graph(
    graph: "onnx.ModelProto", columns: Sequence[int], *, window: int, features: int
) -> "onnx.ModelProto":
    """A graph of some columns as one that takes all ``features`` and looks at those."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Gather", [INPUT, "columns"], ["chosen"], axis=-1)]
    tensors = [helper.make_tensor("columns", TensorProto.INT64, [len(columns)], columns)]
    return _preceded(graph, nodes, tensors, window=window, features=features)


def crossed_graph(
    graph: "onnx.ModelProto",
    pairs: Sequence[tuple[int, int]],
    centre: Float32,
    scale: Float32,
    reach: float,
    *,
    window: int,
    features: int,
) -> "onnx.ModelProto":
    """A graph of ``features`` and products of pairs of them as one that takes the features alone.

    Factors are centred, divided by their scale and clipped at ``reach`` on both sides.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors = [], []
    for side, columns in zip(("left", "right"), np.array(pairs).T, strict=True):
        tensors += [
            helper.make_tensor(f"{side}.columns", TensorProto.INT64, [len(columns)], columns),
            numpy_helper.from_array(centre[columns], f"{side}.centre"),
            numpy_helper.from_array(scale[columns], f"{side}.scale"),
        ]
        nodes += [
            helper.make_node("Gather", [INPUT, f"{side}.columns"], [f"{side}.raw"], axis=-1),
            helper.make_node("Sub", [f"{side}.raw", f"{side}.centre"], [f"{side}.centred"]),
            helper.make_node("Div", [f"{side}.centred", f"{side}.scale"], [f"{side}.scaled"]),
            helper.make_node("Clip", [f"{side}.scaled", "low", "high"], [side]),
        ]
    tensors += [numpy_helper.from_array(np.float32(sign * reach), name) for sign, name in ((-1, "low"), (1, "high"))]
    nodes += [
        helper.make_node("Mul", ["left", "right"], ["products"]),
        helper.make_node("Concat", [INPUT, "products"], ["extended"], axis=-1),
    ]
    return _preceded(graph, nodes, tensors, window=window, features=features)


def _preceded(
    graph: "onnx.ModelProto", nodes: list[Any], tensors: list[Any], *, window: int, features: int
) -> "onnx.ModelProto":
    """A graph that is given what the last of ``nodes`` makes of the input."""
    graft(graph, {INPUT: nodes[-1].output[0], OUTPUT: OUTPUT}, "m.", nodes, tensors)
    shape = None if window == 1 else window
    return canonical(flat_model(nodes, tensors, window=shape, features=features), window=shape, features=features)


def graft(
    graph: "onnx.ModelProto", names: Mapping[str, str], prefix: str, nodes: list[Any], tensors: list[Any]
) -> None:
    """Add a graph to nodes and tensors; what ``names`` does not rename is named with the prefix."""
    nodes += [_renamed(node, names, prefix) for node in graph.graph.node]
    for tensor in graph.graph.initializer:
        copy = _copied(tensor)
        copy.name = prefix + tensor.name
        tensors.append(copy)


def _rising_column(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Replace a classifier's outputs by the second column of its probabilities."""
    from onnx import TensorProto, helper

    scores = next(out.name for out in model.graph.output if out.type.tensor_type.elem_type == TensorProto.FLOAT)
    model.graph.initializer.append(helper.make_tensor("rising", TensorProto.INT64, [1], [1]))
    model.graph.node.append(helper.make_node("Gather", [scores, "rising"], [OUTPUT], axis=1))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1]))
    return model


def canonical(
    model: "onnx.ModelProto", *, window: int | None, features: int, columns: int | None = 1
) -> "onnx.ModelProto":
    """The part of a graph that its output needs, in an order and with names that follow from its structure alone."""
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    names = {graph.input[0].name: INPUT}
    nodes: list[Any] = []
    tensors: list[Any] = []
    waiting = [graph.output[0].name]
    while waiting:
        name = waiting[-1]
        if not name or name in names:
            waiting.pop()
        elif name in stored:
            names[name] = f"w{len(tensors)}"
            tensors.append(_copied(stored[name]))
            tensors[-1].name = names[name]
        elif unseen := [source for source in reversed(producers[name].input) if source and source not in names]:
            waiting.extend(unseen)
        else:
            node = producers[name]
            names.update({output: f"t{len(nodes)}_{port}" for port, output in enumerate(node.output) if output})
            nodes.append(node)
    names[graph.output[0].name] = OUTPUT
    renamed = [_renamed(node, names) for node in nodes]
    return flat_model(renamed, tensors, window=window, features=features, columns=columns)


def _renamed(node: Any, names: Mapping[str, str], prefix: str = "") -> Any:
    """A copy of a node with its tensors renamed; its own name, remarks and the order of its attributes are dropped."""
    from onnx import AttributeProto

    if any(attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute):
        raise ModelError(
            f"operator {node.op_type} holds a graph of its own",
            rule="graphs are flat, so that equal models have equal bytes",
            remedy="use layers that convert to plain operators",
        )
    copy = _copied(node)
    copy.name = copy.doc_string = ""
    copy.input[:] = [names.get(name, prefix + name) if name else "" for name in node.input]
    copy.output[:] = [names.get(name, prefix + name) if name else "" for name in node.output]
    attributes = sorted(node.attribute, key=lambda attribute: str(attribute.name))
    del copy.attribute[:]
    copy.attribute.extend(attributes)
    for attribute in copy.attribute:
        attribute.doc_string = ""
        if attribute.type == AttributeProto.TENSOR:
            attribute.t.name = attribute.t.doc_string = ""
    return copy


def _copied(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    copy.doc_string = ""
    return copy


def flat_model(
    nodes: Sequence[Any], tensors: Sequence[Any], *, window: int | None, features: int, columns: int | None = 1
) -> "onnx.ModelProto":
    """A model with the uniform interface of nodes that lead from ``input`` to ``prob_up``."""
    from onnx import TensorProto, checker, helper

    shape = ["rows", features] if window is None else ["rows", window, features]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", columns or "columns"])],
        initializer=tensors,
    )
    used = {node.domain for node in nodes} | {""}
    unknown = used - set(_OPSETS)
    if unknown:
        raise ModelError(f"operators of {sorted(unknown)}", rule="standard operators only", remedy="use other layers")
    model = helper.make_model(
        graph,
        producer_name="",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid(domain, _OPSETS[domain]) for domain in sorted(used)],
    )
    checker.check_model(model)
    return model
