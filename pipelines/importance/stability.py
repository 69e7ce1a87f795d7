"""Whether refits agree on what matters: a feature that is first in one and last in the next explains nothing."""

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata


def top_share(worth: pd.DataFrame, top: int) -> pd.Series:
    """How often each column is among the ``top`` largest of its row: 1 if always."""
    return (_ranks(worth) <= top).mean()


def top_sets(worth: pd.DataFrame, top: int) -> list[set[object]]:
    """The ``top`` largest columns of each row; of equals, the first."""
    return [set(row.sort_values(ascending=False, kind="stable").index[:top]) for _, row in worth.iterrows()]


def rank_agreement(worth: pd.DataFrame) -> float:
    """Mean of Spearman's correlation over all pairs of rows: 1 if all rank alike, about 0 for noise.

    It is a rescaled coefficient of concordance (Kendall and Babington Smith 1939). NaN with fewer than two rows.
    """
    ranks = [rankdata(row) for row in worth.to_numpy()]
    if len(ranks) < 2 or any(np.ptp(row) == 0 for row in ranks):
        return float("nan")
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in combinations(ranks, 2)]))


def set_stability(chosen: Sequence[Collection[object]], total: int) -> float:
    """Agreement of several choices among ``total`` things, corrected for chance: 1 if all are equal, 0 for random ones.

    Nogueira, Sechidis and Brown (2018), "On the Stability of Feature Selection Algorithms", JMLR 18, equation 4.

    Parameters
    ----------
    chosen
        What each fit chose; may differ in number.
    total
        Number of things to choose from.

    Returns
    -------
    float
        NaN for fewer than two choices, and where all or none is always chosen: nothing could have differed.
    """
    fits = len(chosen)
    mean = sum(len(choice) for choice in chosen) / max(fits, 1)
    if fits < 2 or mean in (0, total):
        return float("nan")
    things = {thing for choice in chosen for thing in choice}
    shares = np.array([sum(thing in choice for choice in chosen) / fits for thing in things])
    # Things that nobody chose have no variance, and count in the mean.
    variance = (fits / (fits - 1) * shares * (1 - shares)).sum() / total
    return float(1 - variance / (mean / total * (1 - mean / total)))


def _ranks(worth: pd.DataFrame) -> pd.DataFrame:
    return worth.rank(axis=1, ascending=False, method="min")
