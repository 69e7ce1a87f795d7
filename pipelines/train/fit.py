"""Fit one member on what is known today, export it, and prove that the graph says what the model says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.factory import create_model
from models.onnx_export import parity
from models.out_of_fold import Splitter, out_of_fold
from models.selected import Selected, Selector
from models.training import Epoch
from models.wrapped import innermost
from pipelines.dataset import Dataset
from pipelines.model_params import Family


@dataclass(frozen=True)
class MemberTask:
    """One family at one horizon. Travels to a worker process."""

    horizon: str
    family: Family
    data: Dataset
    train: np.ndarray
    settings: Mapping[str, Any]
    seed: int
    parity_rows: int
    selector: Selector | None = None
    oldest_weight: float = 1.0
    cv: Splitter | None = None
    checkpoints: Path | None = None
    held_out: bool = False


@dataclass(frozen=True)
class FittedMember:
    """A fitted family as an ONNX graph, how far the graph is from the model, and the features it looks at.

    ``history`` holds the epochs of a network, and is empty for what is not trained in epochs. Where the vote learns
    from it, ``held_out`` is what the family said about rows that were held back from it.
    """

    horizon: str
    family: Family
    graph: bytes
    window: int
    max_difference: float
    rows: int
    columns: list[str]
    history: list[Epoch]
    held_out: pd.Series | None


def fit_member(task: MemberTask) -> FittedMember:
    """Fit on the task's training rows, export, compare on :func:`extreme_rows`."""
    X, y, t_end = task.data.training_rows(task.train)
    weight = task.data.training_weights(task.train, task.oldest_weight)
    model = create_model(
        task.family,
        task.settings,
        seed=task.seed,
        selector=task.selector,
        cv=task.cv,
        checkpoints=task.checkpoints,
    )
    held = (
        out_of_fold(model, X, y, t_end=t_end, sample_weight=weight, cv=task.cv) if task.held_out and task.cv else None
    )
    model.fit(X, y, t_end=t_end, sample_weight=weight)
    graph = model.to_onnx()
    probe = extreme_rows(X, task.parity_rows, task.seed)
    return FittedMember(
        task.horizon,
        task.family,
        graph.SerializeToString(),
        model.window,
        parity(model, graph, probe),
        len(probe),
        model.columns_ if isinstance(model, Selected) else list(X.columns),
        getattr(innermost(model), "history_", []),
        held,
    )


def extreme_rows(X: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Rows that a graph might disagree on: real ones, real ones stretched tenfold, and cells set to extremes."""
    rng = np.random.default_rng(seed)
    values = X.to_numpy()[rng.integers(0, len(X), size=rows)].astype(np.float64)
    stretched = slice(rows // 2, None)
    values[stretched] *= rng.uniform(-10, 10, size=values[stretched].shape)
    extremes = np.array([0.0, 1e6, -1e6, 1e-30, -1e-30])
    hit = rng.random(values.shape) < 0.002
    values[hit] = rng.choice(extremes, size=int(hit.sum()))
    index = pd.date_range("2000-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame(values, index=index, columns=X.columns)
