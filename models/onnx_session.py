"""A graph with the uniform interface, run by ONNX Runtime on one thread. Needs no other learning library."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.windows import Float32, complete_windows, gather
from trading.errors import ModelError

INPUT, OUTPUT = "input", "prob_up"
_BATCH = 1024


class OnnxSession:
    """A loaded graph.

    Parameters
    ----------
    graph
        Serialised graph: float32 input ``input`` of shape (N, features) or (N, window, features), and one float32
        output ``prob_up`` of shape (N,) or (N, 1).
    where
        Name of its file, for messages.

    Raises
    ------
    ModelError
        If the bytes are no graph, or one with another interface.
    """

    def __init__(self, graph: bytes, *, where: str = "graph") -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise ModelError(
                f"not a graph that ONNX Runtime can load: {error}", where=where, remedy="export the model again"
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape if inputs else []
        names = [port.name for port in [*inputs, *outputs]]
        types = {port.type for port in [*inputs, *outputs]}
        if names != [INPUT, OUTPUT] or types != {"tensor(float)"} or len(shape) not in (2, 3):
            raise ModelError(
                f"a graph from {names} of {sorted(types)}, input shape {shape}",
                where=where,
                rule=f"float32 {INPUT} of rows or windows, and float32 {OUTPUT}",
                remedy="export the model again",
            )
        self.window: int = shape[1] if len(shape) == 3 else 1
        self.features: int = shape[-1]
        self._rows_only = len(shape) == 2

    def predict(self, values: Float32) -> NDArray[np.float64]:
        """Probability of a rise for each row.

        Parameters
        ----------
        values
            Raw features, shape (rows, features), in time order.

        Returns
        -------
        array of float64
            Shape (rows,); NaN where a row has no complete window.
        """
        ends = complete_windows(values, self.window)
        up = np.full(len(values), np.nan)
        for start in range(0, len(ends), _BATCH):
            batch = ends[start : start + _BATCH]
            rows: Any = values[batch] if self._rows_only else gather(values, batch, self.window)
            up[batch] = np.ravel(self._session.run([OUTPUT], {INPUT: rows})[0])
        return up
