from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from models import onnx_export
from models.blend import Blend
from models.factory import FAMILIES, create_ensemble, create_model
from models.onnx_export import constant_graph, parity
from models.onnx_session import OnnxSession
from models.onnx_vote import vote_graph
from tests.test_models.conftest import CV
from trading.errors import ModelError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]
NAMES = [f"f{i}" for i in range(5)]


def hostile(data: Data, rows: int = 10_000) -> pd.DataFrame:
    """Real-like rows, extremes, zeros, denormals and training values, which lie beside the thresholds of trees."""
    generator = np.random.default_rng(5)
    X = data[0].to_numpy()
    values = X[generator.integers(0, len(X), (rows, 5)), np.arange(5)]
    values += generator.normal(size=values.shape) * X.std(axis=0) * generator.integers(0, 2, (rows, 1))
    odd = generator.choice([1e6, -1e6, 0.0, -0.0, 1e-40, -1e-45, 3e38, -3e38], values.shape)
    return pd.DataFrame(np.where(generator.random(values.shape) < 0.1, odd, values), columns=NAMES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_graph_agrees_with_its_model_on_hostile_rows(
    name: str, fitted: dict[str, Any], graphs: dict[str, Any], data: Data
) -> None:
    assert parity(fitted[name], graphs[name], hostile(data)) <= 1e-5


def test_the_interface_is_the_same_for_all(fitted: dict[str, Any], graphs: dict[str, Any]) -> None:
    for name, model in fitted.items():
        graph = graphs[name].graph
        assert [port.name for port in graph.input] == ["input"]
        assert [port.name for port in graph.output] == ["prob_up"]
        shape = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
        assert shape[1:] == ([model.window, 5] if model.window > 1 else [5])


def test_trees_agree_on_their_thresholds(fitted: dict[str, Any], graphs: dict[str, Any], data: Data) -> None:
    trees = [tree.tree_ for tree in fitted["random_forest"].forest_.estimators_]
    features = np.concatenate([tree.feature for tree in trees])
    cuts = np.concatenate([tree.threshold for tree in trees])[features >= 0].astype(np.float32)
    features = features[features >= 0]
    rows = np.tile(data[0].iloc[7].to_numpy(), (3 * len(cuts), 1))
    sides = [cuts, np.nextafter(cuts, np.float32(np.inf)), np.nextafter(cuts, np.float32(-np.inf))]
    for block, side in enumerate(sides):
        rows[np.arange(len(cuts)) + block * len(cuts), features] = side
    X = pd.DataFrame(rows, columns=NAMES)
    for name in ("random_forest", "xgboost"):
        assert parity(fitted[name], graphs[name], X) <= 1e-6


def test_a_difference_is_seen(fitted: dict[str, Any], graphs: dict[str, Any], data: Data) -> None:
    forest, boosting, lstm = (fitted[name] for name in ("random_forest", "xgboost", "lstm"))
    difference = (forest.predict_proba(data[0]) - boosting.predict_proba(data[0]))[1].abs().max()
    assert parity(forest, graphs["xgboost"], data[0]) == pytest.approx(difference, abs=1e-6)
    assert parity(forest, graphs["lstm"], data[0]) == np.inf
    with pytest.raises(ModelError, match="no row of 3 can be compared"):
        parity(lstm, graphs["lstm"], data[0].iloc[:3])


@pytest.mark.parametrize(
    "weights",
    [{"random_forest": 1.0, "xgboost": 2.0}, {"random_forest": 1.0, "xgboost": 2.0, "lstm": 0.5}],
)
def test_a_vote_is_one_graph(
    weights: dict[str, float], fitted: dict[str, Any], settings: dict[str, Any], data: Data
) -> None:
    vote = create_ensemble(settings, weights, seed=3, cv=CV)
    vote.models_ = [fitted[name] for name in FAMILIES if name in weights]
    vote.blend_ = vote.given
    vote.feature_names_in_, vote.n_features_in_ = np.array(NAMES, dtype=object), 5
    assert parity(vote, vote.to_onnx(), hostile(data, 1000)) <= 1e-6


def test_members_with_shorter_windows_see_the_newest_rows(data: Data) -> None:
    def mean_of(window: int) -> onnx.ModelProto:
        node = helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=0)
        first = helper.make_node("Gather", ["mean", "zero"], ["prob_up"], axis=1)
        return onnx_export.flat_model(
            [node, first], [helper.make_tensor("zero", TensorProto.INT64, [1], [0])], window=window, features=5
        )

    graph = vote_graph([mean_of(2), mean_of(4)], [2, 4], Blend("soft", (1.0, 3.0)), features=5)
    values = data[0].to_numpy(np.float32)[:6]
    got = OnnxSession(graph.SerializeToString()).predict(values)
    assert np.isnan(got[:3]).all()
    for end in (3, 4, 5):
        means = [values[end - w + 1 : end + 1, 0].mean() for w in (2, 4)]
        assert got[end] == pytest.approx(0.25 * means[0] + 0.75 * means[1], rel=1e-6)


@pytest.mark.parametrize("window", [1, 3])
def test_a_constant_is_a_graph_too(window: int) -> None:
    session = OnnxSession(constant_graph(1.0, window=window, features=2).SerializeToString())
    np.testing.assert_array_equal(session.predict(np.zeros((4, 2), np.float32))[window - 1 :], 1.0)


def test_names_and_remarks_of_converters_are_gone(graphs: dict[str, Any]) -> None:
    for graph in graphs.values():
        assert graph.producer_name == graph.producer_version == graph.doc_string == ""
        assert all(not node.name and not node.doc_string for node in graph.graph.node)
        assert {tensor.name for tensor in graph.graph.initializer} == {
            f"w{i}" for i in range(len(graph.graph.initializer))
        }


def test_operators_with_graphs_of_their_own_or_strangers_are_refused() -> None:
    branch = helper.make_graph([], "branch", [], [])
    nested = helper.make_node("If", ["input"], ["prob_up"], then_branch=branch, else_branch=branch)
    with pytest.raises(ModelError, match="If holds a graph of its own"):
        onnx_export._renamed(nested, {})
    with pytest.raises(ModelError, match="standard operators only"):
        onnx_export.flat_model(
            [helper.make_node("Magic", ["input"], ["prob_up"], domain="elsewhere")], [], window=None, features=2
        )


def session_of(nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> bytes:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    content: bytes = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    ).SerializeToString()
    return content


def test_a_session_refuses_what_is_no_graph_of_ours() -> None:
    with pytest.raises(ModelError, match="can load"):
        OnnxSession(b"not a graph", where="x.onnx")
    port = helper.make_tensor_value_info
    for source, kind, shape in (
        ("x", TensorProto.FLOAT, ["n", 2]),
        ("input", TensorProto.DOUBLE, ["n", 2]),
        ("input", TensorProto.FLOAT, ["n"]),
    ):
        node = helper.make_node("Identity", [source], ["prob_up"])
        content = session_of([node], [port(source, kind, shape)], [port("prob_up", kind, shape)])
        with pytest.raises(ModelError, match="float32 input of rows or windows"):
            OnnxSession(content)


def test_long_frames_are_run_in_pieces(graphs: dict[str, Any], data: Data) -> None:
    session = OnnxSession(graphs["lstm"].SerializeToString())
    values = np.tile(data[0].to_numpy(np.float32), (7, 1))
    whole = session.predict(values)
    np.testing.assert_allclose(whole[1500:], session.predict(values[1497:])[3:], atol=1e-7)


def test_an_unfitted_model_has_no_graph(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="not fitted"):
        create_model("xgboost", settings["xgboost"], seed=1).to_onnx()
