"""What a search may see: the bars before the first bar of a test, and the outcomes that were known by then."""

import pandas as pd

from pipelines.dataset import Dataset
from pipelines.params import Params
from trading.instrument import Instrument


def before_the_test(data: Dataset, first: pd.Timestamp, params: Params, instrument: Instrument) -> Dataset:
    """Rows before the first test bar, and only the labels that were known an embargo before it."""
    stop = int(data.X.index.searchsorted(first))
    return data.before(stop, first - params.backtest.embargo_bars * instrument.bar)
