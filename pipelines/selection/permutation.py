"""Permutation importance: how much worse forecasts become when features are given the values of other times.

Breiman (2001), "Random Forests", section 10, and Fisher, Rudin and Dominici (2019), "All Models are Wrong, but Many
are Useful". Rows are permuted in stretches, so that a feature keeps its own memory and only its tie to the outcome is
cut, and correlated features are permuted together.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import SignalModel
from models.windows import as_float32
from pipelines.selection.groups import Groups

Positions = NDArray[np.intp]
Float64 = NDArray[np.float64]

# Rows of permuted copies that are predicted at once: enough to pay for a call, few enough to stay in the cache.
_BATCH = 20_000
# Stretches that there are at least, where there are rows enough.
_STRETCHES = 10
_SMALLEST_PROBABILITY = 1e-15


def stretched_permutation(rows: int, block: int, generator: np.random.Generator) -> Positions:
    """Positions of rows in another order: stretches of about ``block`` consecutive rows change places.

    Cuts fall anywhere. Stretches of equal length, a day say, would leave every hour of the day where it was, and a
    feature of the hour would seem worthless.

    Parameters
    ----------
    rows
        Number of rows.
    block
        Mean length of a stretch; shorter where fewer than ten stretches would come of it.
    generator
        Draws cuts and order.
    """
    stretches = min(rows, max(_STRETCHES, round(rows / block)))
    if rows < 2:
        return np.arange(rows)
    cuts = np.sort(generator.choice(np.arange(1, rows), size=stretches - 1, replace=False))
    pieces = np.split(np.arange(rows), cuts)
    return np.concatenate([pieces[piece] for piece in generator.permutation(len(pieces))])


def loss_rises(
    models: Sequence[SignalModel],
    X: pd.DataFrame,
    y: pd.Series,
    groups: Groups,
    *,
    at: Positions,
    block: int,
    repeats: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Rise of each row's log loss when a group's columns are permuted together.

    Parameters
    ----------
    models
        Fitted models that read one row, one or more; their mean counts. None of them has seen these rows.
    X
        Rows in time order, without NaN.
    y
        Labels, 1 or 0.
    groups
        Columns that are permuted together.
    at
        Positions of the rows that are predicted; values come from all rows.
    block
        Mean length of the stretches that are permuted, in rows.
    repeats
        Permutations; every group is permuted alike in each.
    generator
        Draws them.

    Returns
    -------
    DataFrame
        Nats, mean over models and permutations; index: ``X.index[at]``, one column a group, numbered from 0.
    """
    if any(model.window != 1 for model in models):
        raise ValueError("models that read a window: permuting single rows would tear their windows")
    values, outcome = as_float32(X), y.to_numpy(dtype=np.float64)[at]
    place = {name: number for number, name in enumerate(X.columns)}
    places = [np.array([place[name] for name in group], dtype=np.intp) for group in groups]
    # As float32 like the copies, so that a group that no model looks at is worth exactly nothing.
    judged = pd.DataFrame(values[at], columns=X.columns)
    base = np.mean([_losses(model, judged, outcome) for model in models], axis=0)
    rises = np.zeros((len(at), len(groups)))
    for _ in range(repeats):
        other = stretched_permutation(len(X), block, generator)[at]
        for first, batch in _batches(places, max(1, _BATCH // max(1, len(at)))):
            copies = np.tile(values[at], (len(batch), 1))
            for number, columns in enumerate(batch):
                part = slice(number * len(at), (number + 1) * len(at))
                copies[part, columns] = values[np.ix_(other, columns)]
            frame = pd.DataFrame(copies, columns=X.columns)
            losses = np.mean([_losses(model, frame, np.tile(outcome, len(batch))) for model in models], axis=0)
            rises[:, first : first + len(batch)] += losses.reshape(len(batch), len(at)).T - base[:, None]
    return pd.DataFrame(rises / repeats, index=X.index[at])


def _losses(model: SignalModel, X: pd.DataFrame, outcome: Float64) -> Float64:
    up = model.predict_proba(X)[1].to_numpy()
    right = np.where(outcome == 1.0, up, 1.0 - up)
    return -np.log(np.maximum(right, _SMALLEST_PROBABILITY))


def _batches(places: Sequence[Positions], size: int) -> Iterator[tuple[int, Sequence[Positions]]]:
    for first in range(0, len(places), size):
        yield first, places[first : first + size]
