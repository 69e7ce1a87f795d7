"""Programs run by hand: compiled or interpreted, in one piece or in many."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
from numba.core.dispatcher import Dispatcher

from pipelines.features import execution, kernels, longer_bars, program
from pipelines.features.expression import Expression
from pipelines.features.program import Program


@contextmanager
def interpreted() -> Iterator[None]:
    """Kernels run as the Python they are written in, where coverage sees them."""
    with ExitStack() as stack:
        for module in (kernels, longer_bars, program, execution):
            for name, value in list(vars(module).items()):
                if isinstance(value, Dispatcher):
                    stack.enter_context(patch.object(module, name, value.py_func))
        yield


def values_of(wanted: Sequence[Expression], columns: Mapping[str, Sequence[float]], cuts: Sequence[int] = ()):
    """Values of expressions at all rows; shape (expressions, rows). Rows before a warm-up mean nothing.

    Parameters
    ----------
    cuts
        Rows at which a new piece begins.
    """
    compiled = Program.compile(wanted)
    given = np.array([columns[name] for name in compiled.columns], dtype=np.float64)
    rows = given.shape[1]
    state, found = compiled.start.copy(), np.full((len(wanted), rows), np.nan)
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < rows}), rows]
    for begin, end in itertools.pairwise(bounds):
        room = np.zeros((compiled.size, end - begin + 1))
        room[: len(given), : end - begin] = given[:, begin:end]
        compiled.run(state, room, begin, end - begin)
        found[:, begin:end] = room[compiled.places, : end - begin]
    return found


def value_of(wanted: Expression, columns: Mapping[str, Sequence[float]], cuts: Sequence[int] = ()):
    """Values of one expression, NaN before its warm-up."""
    found = values_of([wanted], columns, cuts)[0]
    found[: wanted.warmup] = np.nan
    return found
