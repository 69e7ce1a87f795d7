"""What a feature alone says about the direction, above what its memory would make it say anyway.

The estimate from counts is never negative, and overlapping labels beside slow features share runs that look like
information. Both are measured on the data themselves: the labels are turned around the circle of rows against the
features, which breaks what ties them and keeps the memory of each (circular shifts, one of the surrogates of Theiler
et al. 1992, "Testing for nonlinearity in time series").
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS = 10
SHIFTS = 16
Codes = NDArray[np.intp]
Float64 = NDArray[np.float64]


def excess_information(
    X: pd.DataFrame, y: pd.Series, *, seed: int, sample_weight: pd.Series | None = None, shifts: int = SHIFTS
) -> pd.Series:
    """Mutual information of each column and the label in nats, minus its mean over turned labels.

    Parameters
    ----------
    X
        Rows in time order, without NaN.
    y
        1 or 0; index of ``X``.
    seed
        Of the shifts, each by a tenth of the rows at least, in either direction.
    sample_weight
        Not negative; turned together with the labels.
    shifts
        Number of turned copies; 0 gives the plain estimate.

    Returns
    -------
    Series
        Named ``mutual_information``, by column; about zero for a column that says nothing, below it half of the time.
    """
    labels = y.to_numpy(dtype=np.float64)
    weights = np.ones(len(y)) if sample_weight is None else sample_weight.to_numpy(dtype=np.float64)
    far = max(1, len(y) // 10)
    turns = np.random.default_rng(seed).integers(far, max(far + 1, len(y) - far), size=shifts)
    turned = [(np.roll(labels, turn), np.roll(weights, turn)) for turn in turns]
    found = []
    for codes in _columns(X):
        by_chance = [information(codes, label, weight) for label, weight in turned]
        found.append(information(codes, labels, weights) - (float(np.mean(by_chance)) if by_chance else 0.0))
    return pd.Series(found, index=X.columns, name="mutual_information", dtype=float)


def information(codes: Codes, labels: Float64, weights: Float64) -> float:
    """Mutual information of codes (0, 1, ...) and labels (0 or 1) in nats, from their weighted counts."""
    rows = np.bincount(codes, weights=weights)
    rises = np.bincount(codes, weights=weights * labels)
    joint = np.column_stack([rows - rises, rises]) / rows.sum()
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = joint * np.log(joint / expected)
    return float(terms[joint > 0].sum())


def equal_counts(column: NDArray[np.floating], bins: int = BINS) -> Codes:
    """Codes of bins of about equally many rows; a value that fills several bins has one to itself.

    So a flag that is up in a few rows keeps its two values, and a column of a few values keeps them all.
    """
    edges, times = np.unique(np.quantile(column, np.arange(1, bins) / bins), return_counts=True)
    just_above = np.nextafter(edges[times > 1], np.inf)
    return np.searchsorted(np.sort(np.concatenate([edges, just_above])), column, side="right")


def _columns(X: pd.DataFrame) -> Iterator[Codes]:
    for name in X.columns:
        yield equal_counts(X[name].to_numpy(dtype=np.float64))
