"""Frames cut into pieces, for tests of what must not depend on where the cuts are."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd


def cut(frame: pd.DataFrame, cuts: Sequence[int]) -> list[pd.DataFrame]:
    """Consecutive rows; some pieces may have none."""
    return [frame.iloc[begin:end] for begin, end in pairwise([0, *sorted(cuts), max(len(frame), *cuts, 0)])]
