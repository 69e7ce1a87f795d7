"""Another future: the same bars up to a moment, other ones after it."""

import numpy as np
import pandas as pd

PRICES = ["open", "high", "low", "close"]
MISSING = 0.02


def changed_after(raw: pd.DataFrame, moment: pd.Timestamp, bar: pd.Timedelta, seed: int) -> pd.DataFrame:
    """Bars in which everything that became known after ``moment`` is different.

    Prices are multiplied by a random walk, one factor a bar, so that each bar keeps its shape; volumes are scaled at
    random; and one row in fifty is gone, for whether a bar exists is news as well.

    Parameters
    ----------
    raw
        Rows as ingest writes them: ``timestamp`` (open of the bar, UTC) and the columns of a bar.
    moment
        Bars that closed by then stay as they are, bit for bit.
    bar
        Length of a source bar.
    seed
        Of the other future.
    """
    later = (raw["timestamp"] + bar > moment).to_numpy()
    rng = np.random.default_rng(seed)
    count = int(later.sum())
    factor = np.exp(np.cumsum(rng.normal(0.0, 0.01, count)) + 0.02)
    other = raw.copy()
    other.loc[later, PRICES] = raw.loc[later, PRICES].mul(factor, axis=0)
    trade = np.exp(rng.normal(0.1, 0.5, count))
    other.loc[later, "volume"] = raw.loc[later, "volume"] * trade
    if "quote_volume" in other:
        other.loc[later, "quote_volume"] = raw.loc[later, "quote_volume"] * trade * factor
    gone = np.zeros(len(raw), dtype=bool)
    gone[later] = rng.random(count) < MISSING
    return other[~gone].reset_index(drop=True)
