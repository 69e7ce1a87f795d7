"""The source's rows, in time order, at the source's own timeframe."""

from dataclasses import asdict

from pipelines.artifacts import digest
from pipelines.context import Context
from pipelines.ingest.arrange import arrange, ensure_reachable
from pipelines.ingest.reader import read_bars
from pipelines.schemas import checked, raw_schema

BARS = "data/raw/bars.parquet"
RECORD = "data/raw/ingest.json"


def run(context: Context) -> None:
    """Read the run's source and write ``data/raw/bars.parquet`` and ``data/raw/ingest.json``.

    A bar whose end lies ahead, of ``as_of`` or of the clock, is not closed yet and left out. A relative source is a
    path below the workspace. Rows that cannot be believed are kept: *validate* judges and quarantines them.
    """
    target = context.run.instrument.timeframe
    source = context.files.path(context.run.source)
    context.progress(0, 2, f"reading {source.name}")
    rows, notes = read_bars(source)
    arranged = arrange(rows, context.run.as_of or context.clock(), str(source))
    ensure_reachable(arranged.timeframe, target, str(source))
    context.progress(1, 2, f"writing {len(arranged.rows)} rows of {arranged.timeframe}")
    context.files.write_frame(BARS, checked(arranged.rows, raw_schema(), BARS))
    stamps = arranged.rows["timestamp"]
    context.files.write_json(
        RECORD,
        {
            "source": context.run.source,
            "sha256": digest(source),
            "rows": len(arranged.rows),
            "first": stamps.min(),
            "last": stamps.max(),
            "source_timeframe": arranged.timeframe,
            "timeframe": target,
            "duplicates_collapsed": arranged.duplicates_collapsed,
            "dropped_after_as_of": arranged.dropped_after_as_of,
            "columns": dict(notes.files[0].columns),
            "files": [asdict(file) for file in notes.files],
            "notes": list(notes.remarks),
        },
    )
    context.progress(2, 2, f"{len(arranged.rows)} rows from {stamps.min()} to {stamps.max()}")
