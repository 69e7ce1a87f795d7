"""Validated bars, and what stands beside them, to features."""

import pandas as pd

from pipelines.context import Context
from pipelines.features.chosen import chosen_features
from pipelines.features.engine import FeatureEngine
from pipelines.inputs import BARS, FEATURES, SPEC, read_context
from pipelines.schemas import bar_schema, checked_pieces, feature_schema
from pipelines.sentiment.reach import Reach, ensure_reaches
from trading.bars import known_at
from trading.errors import TooFewBarsError

GROUPS = "data/features/groups.json"
# Of a piece: features are many times as wide as bars, and a piece of them is there several times while it is written.
_ROWS = 1 << 15


def run(context: Context) -> None:
    """Write every bar's features, warm-up rows included, the spec they were computed by, and which groups are on.

    Bars and features pass in pieces. Of what stands beside the bars, all is held, and the stamps of all bars with it.

    Raises
    ------
    TooFewBarsError
        If no row would have all its features.
    UnreachedError
        If something beside the bars says nothing about any of them.
    """
    files = context.files
    chosen = chosen_features(files, context.params, context.run)
    engine = chosen.engine()
    count = files.count_rows(BARS)
    if count <= engine.warmup:
        raise TooFewBarsError(
            f"{count} bars are too few for the features",
            where=BARS,
            rule=f"at least {engine.warmup + 1} bars of {context.run.timeframe}: the longest warm-up and one row",
            remedy="give a longer history, or a finer timeframe",
        )
    beside = read_context(files)
    reaches = _reaches(engine, beside, files.read_index(BARS)) if engine.series else {}
    bars = checked_pieces(files.read_frames(BARS, _ROWS), bar_schema(), BARS)
    features = engine.batches(bars, beside)
    files.write_frames(FEATURES, checked_pieces(features, feature_schema(engine.names), FEATURES))
    files.write_json(SPEC, engine.spec() | {"hash": engine.spec_hash})
    notes = [reach.note for reach in reaches.values() if reach.note]
    files.write_json(
        GROUPS,
        {
            "on": list(engine.groups),
            "off": chosen.off,
            "beside": {name: {"known": reach.share, "newest": reach.newest} for name, reach in reaches.items()},
            "notes": notes,
        },
    )
    off = f"; off: {', '.join(f'{group} ({why})' for group, why in chosen.off.items())}" if chosen.off else ""
    said = "".join(f"; {note}" for note in notes)
    context.progress(1, 1, f"{len(engine.names)} features of {count} bars{off}{said}")


def _reaches(engine: FeatureEngine, beside: dict[str, pd.DataFrame], index: pd.DatetimeIndex) -> dict[str, Reach]:
    """How much of the rows each thing beside the bars says something about."""
    published, known = engine.published(beside), known_at(index, engine.timeframe)
    return {one.name: ensure_reaches(one, published[one.name], known) for one in engine.series}
