"""How much labels that share their time tell: twenty-four about the same day are hardly more than one."""

import pandas as pd


def labels_at_once(index: pd.Index, t_end: pd.Series) -> float:
    """Mean number of labels that are open while one is; 1 if each is over before the next one begins.

    Parameters
    ----------
    index
        Openings of the bars that decide, in time order.
    t_end
        When each label is known, one a bar of ``index``. The bar that decides is no part of the label's time.
    """
    stamps = pd.DatetimeIndex(index)
    if len(stamps) < 2:
        return 1.0
    step = pd.Series(stamps).diff().median()
    lasting = (pd.DatetimeIndex(t_end) - stamps) / step
    return max(1.0, float(lasting.to_numpy().mean()) - 1.0)
