"""What a bundle stores of what stands beside the bars."""

from collections.abc import Mapping

import pandas as pd

from pipelines.features.engine import FeatureEngine
from pipelines.sentiment.declared import DECLARED


def context_tail(
    engine: FeatureEngine, history: pd.DataFrame, context: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """What the features of a history read beside it, and no more of the past.

    The row known at K reads of a series the newest value, if that was published in [K - max_age, K]; an older one is
    missing there. So what was published before the close of the first bar less ``max_age`` is read by no row: without
    it every row comes out the same, to the bit. The look-back of the features asks for nothing older. It goes over
    rows, and the history holds the bars of the warm-up. What was published after the last bar stays: the bars to come
    read it.

    Parameters
    ----------
    engine
        What is computed.
    history
        Bars, one or more.
    context
        What :meth:`FeatureEngine.batch` takes, of every series that is read; others are left out.

    Returns
    -------
    dict
        A frame for each series that is read, in the form given.
    """
    first = history.index[0] + engine.bar
    read = {one.name: context[one.name] for one in engine.series}
    published = engine.published(read)
    return {one.name: read[one.name][published[one.name].index >= first - one.max_age] for one in engine.series}


def names_beside(engine: FeatureEngine) -> dict[str, list[str]]:
    """What an engine is rebuilt with, besides its groups: the ``assets`` and the external ``series`` that it reads."""
    external = {one.name for one in DECLARED}
    return {
        "assets": [one.name for one in engine.series if one.name not in external],
        "series": [one.name for one in engine.series if one.name in external],
    }
