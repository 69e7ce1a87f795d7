"""Validated bars to labels, one file per horizon."""

from pipelines.context import Context
from pipelines.labels.labelling import make_labels
from pipelines.schemas import bar_schema, checked, label_schema
from trading.errors import TooFewBarsError

BARS = "data/validated/bars.parquet"


def run(context: Context) -> None:
    """Write ``data/labels/<horizon>.parquet`` for every horizon of the params.

    Raises
    ------
    TooFewBarsError
        If no bar has the longest horizon after it, or the volatility that barriers need before it.
    """
    params, instrument = context.params, context.run.instrument
    horizons = params.labels.horizons
    bars = checked(context.files.read_frame(BARS), bar_schema(), BARS)
    before = params.labels.triple_barrier.volatility_bars if params.labels.method == "triple_barrier" else 0
    needed = before + max(instrument.bars_in(horizon) for horizon in horizons) + 2
    if len(bars) < needed:
        history = f"{before} for the volatility, " if before else ""
        raise TooFewBarsError(
            f"{len(bars)} bars are too few for labels over {', '.join(horizons)}",
            where=BARS,
            rule=f"at least {needed} bars: {history}one to decide on, one to fill at, and the longest horizon",
            remedy="give a longer history, or remove the longest horizon from params.yaml",
        )
    for done, horizon in enumerate(horizons, start=1):
        name = f"data/labels/{horizon}.parquet"
        labels = make_labels(bars, instrument, horizon, params.labels, params.costs.costs())
        context.files.write_frame(name, checked(labels, label_schema(), name))
        context.progress(done, len(horizons), f"labels over {horizon}")
