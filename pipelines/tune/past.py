"""What the search may see: the bars before the first test bar, and the outcomes that were known by then."""

import pandas as pd

from pipelines.backtest.walk_forward import splitter
from pipelines.dataset import Dataset
from pipelines.params import Params
from trading.instrument import Instrument


def first_test_bar(data: Dataset, params: Params, instrument: Instrument) -> pd.Timestamp:
    """Opening of the first bar that the walk-forward tests."""
    _, test = next(splitter(params, instrument).split(data.X, t_end=data.t_end))
    first: pd.Timestamp = data.X.index[test[0]]
    return first


def before_the_test(data: Dataset, first: pd.Timestamp, params: Params, instrument: Instrument) -> Dataset:
    """Rows before the first test bar, and only the labels that were known an embargo before it."""
    stop = int(data.X.index.searchsorted(first))
    return data.before(stop, first - params.backtest.embargo_bars * instrument.bar)
