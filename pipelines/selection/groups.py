"""Features that say the same are judged together: shuffling one of two twins loses nothing, and proves nothing.

López de Prado (2020), "Machine Learning for Asset Managers", section 6.5.2, judges clusters of features for the same
reason. The distance here is one minus the absolute rank correlation, so that no monotonic change of a feature moves
it out of its group, and a feature and its negative are the same.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

Groups = tuple[tuple[str, ...], ...]

# Evenly spread rows tell as much of a correlation as all of them.
_ROWS = 4000


def correlated_groups(X: pd.DataFrame, correlation: float) -> Groups:
    """Columns in groups of which any two correlate at least this much, in rank, whatever the sign.

    Parameters
    ----------
    X
        Rows that may be looked at, without NaN, two or more.
    correlation
        Between 0 and 1.

    Returns
    -------
    Groups
        Every column is in one group, in the order of the frame; groups are in the order of their first columns.

    Notes
    -----
    Complete linkage (Sørensen 1948): the distance of two groups is that of their furthest members, which is what makes
    the promise hold for any two. A column that does not vary correlates with nothing.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    names = [str(name) for name in X.columns]
    if len(names) < 2:
        return tuple((name,) for name in names)
    distance = 1 - np.abs(rank_correlation(X))
    tree = linkage(squareform(distance, checks=False), method="complete")
    numbers = fcluster(tree, t=1 - correlation, criterion="distance")
    found: dict[int, list[str]] = {}
    for name, number in zip(names, numbers, strict=True):
        found.setdefault(int(number), []).append(name)
    return tuple(tuple(group) for group in found.values())


def rank_correlation(X: pd.DataFrame) -> NDArray[np.float64]:
    """Spearman's correlation of the columns, shape (columns, columns); 0 beside a column that does not vary."""
    values = X.to_numpy(dtype=np.float64)[:: max(1, len(X) // _ROWS)]
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    unit = ranks / np.where(length > 0, length, 1.0)
    correlation: NDArray[np.float64] = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation
