"""Levels of a series that changes in steps, told apart."""

from itertools import pairwise

import numpy as np

from pipelines.diagnosis.fault import Ints


def merge_levels(level: Ints) -> Ints:
    """Rounded levels with neighbouring ones taken for one: what was rounded apart belongs together."""
    values = np.unique(level)
    merged = {int(values[0]): int(values[0])}
    for previous, value in pairwise(values):
        merged[int(value)] = merged[int(previous)] if value - previous <= 1 else int(value)
    return np.array([merged[int(value)] for value in values])[np.searchsorted(values, level)]
