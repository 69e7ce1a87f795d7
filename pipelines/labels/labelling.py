"""Labels of one horizon as the params want them: the one place that knows every method."""

import numpy as np
import pandas as pd

from pipelines.labels.barriers import bar_volatility
from pipelines.labels.direction import direction_labels
from pipelines.labels.grid import grid_slots
from pipelines.labels.spans import Labelled, horizon_spans
from pipelines.labels.triple_barrier import triple_barrier
from pipelines.labels.weights import average_uniqueness, return_attribution
from pipelines.params import LabelParams
from trading.costs import Costs
from trading.instrument import Instrument


def make_labels(
    bars: pd.DataFrame, instrument: Instrument, horizon: str, settings: LabelParams, costs: Costs
) -> pd.DataFrame:
    """Label each bar.

    Parameters
    ----------
    bars
        n validated bars on a strictly increasing DatetimeIndex of openings.
    instrument
        Gives the length of a bar.
    horizon
        Duration such as ``4h``, a whole number of bars.
    settings
        Method, weights, and what they need.
    costs
        Of a fill; barriers lie further out by ``settings.triple_barrier.round_trips`` round trips of them.

    Returns
    -------
    DataFrame
        n rows on the index of ``bars`` with the columns of the method: see
        :func:`pipelines.labels.direction.direction_labels` and :func:`pipelines.labels.triple_barrier.triple_barrier`.
        With weights also ``uniqueness`` and ``weight``, NaN where there is no label; known at ``t_end``.

    Raises
    ------
    InstrumentError, BarError
        As :func:`pipelines.labels.direction.direction_labels`.
    """
    if settings.method == "triple_barrier":
        barriers = settings.triple_barrier
        labelled = triple_barrier(
            bars,
            instrument,
            horizon,
            volatility=bar_volatility(bars, instrument, barriers.volatility_bars),
            width=barriers.width,
            cost=2 * costs.per_side * barriers.round_trips,
        )
    else:
        slots = grid_slots(pd.DatetimeIndex(bars.index), instrument)
        spans = horizon_spans(slots, instrument.bars_in(horizon))
        labelled = Labelled(direction_labels(bars, instrument, horizon), spans)
    if settings.weights == "none":
        return labelled.labels
    return _weighed(bars, labelled, by_return=settings.weights == "return")


def _weighed(bars: pd.DataFrame, labelled: Labelled, by_return: bool) -> pd.DataFrame:
    labels, spans = labelled.labels, labelled.spans
    unique = pd.Series(average_uniqueness(spans), index=labels.index).where(labels["label"].notna())
    if not by_return:
        return labels.assign(uniqueness=unique, weight=unique)
    open_ = bars["open"].to_numpy(dtype=np.float64)
    entry = np.append(open_, np.nan)[spans.first]
    exit_price = entry * (1 + labels["ret"].to_numpy())
    return labels.assign(uniqueness=unique, weight=return_attribution(spans, open_, exit_price))
