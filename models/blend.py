"""The vote of several probabilities, defined once for training and serving."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

VOTE = "vote"


def weighted_mean(members: pd.DataFrame, weights: Sequence[float]) -> pd.Series:
    """Weighted mean of the columns.

    Parameters
    ----------
    members
        Probability of a rise, one column a member.
    weights
        One positive weight a column, in their order; only their ratios count.

    Returns
    -------
    Series
        Named ``vote``, on the index of ``members``; NaN where any member has no opinion, because a mean over whoever
        happens to be there would be another model than the one that was tested.
    """
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights, dtype=np.float64)
    total = np.zeros(len(members))
    for name, share in zip(members.columns, shares, strict=True):
        total += share * members[name].to_numpy(dtype=np.float64)
    return pd.Series(total, index=members.index, name=VOTE)
