"""Validated bars to features."""

from pipelines.context import Context
from pipelines.features.engine import FeatureEngine
from pipelines.schemas import bar_schema, checked, feature_schema
from trading.errors import TooFewBarsError

BARS = "data/validated/bars.parquet"
FEATURES = "data/features/features.parquet"
SPEC = "data/features/spec.json"


def run(context: Context) -> None:
    """Write every bar's features, warm-up rows included, and the spec they were computed by.

    Raises
    ------
    TooFewBarsError
        If no row would have all its features.
    """
    engine = FeatureEngine(context.params.features.groups, context.run.timeframe)
    bars = checked(context.files.read_frame(BARS), bar_schema(), BARS)
    if len(bars) <= engine.warmup:
        raise TooFewBarsError(
            f"{len(bars)} bars are too few for the features",
            where=BARS,
            rule=f"at least {engine.warmup + 1} bars of {context.run.timeframe}: the longest warm-up and one row",
            remedy="give a longer history, or a finer timeframe",
        )
    features = engine.batch(bars)
    context.files.write_frame(FEATURES, checked(features, feature_schema(engine.names), FEATURES))
    context.files.write_json(SPEC, engine.spec() | {"hash": engine.spec_hash})
    context.progress(1, 1, f"{len(engine.names)} features of {len(bars)} bars")
