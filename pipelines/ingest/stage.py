"""The source's rows, in time order, at the source's own timeframe."""

from dataclasses import asdict

from pipelines.artifacts import digest
from pipelines.context import Context
from pipelines.ingest.arrange import Arrangement, Survey, ensure_reachable, spooled
from pipelines.ingest.context import read_context_folder
from pipelines.ingest.reader import BarReader
from pipelines.schemas import checked_pieces, raw_schema

BARS = "data/raw/bars.parquet"
RECORD = "data/raw/ingest.json"


def run(context: Context) -> None:
    """Read the run's source and context; write ``data/raw/bars.parquet``, ``data/raw/context`` and their record.

    A bar whose end lies ahead, of ``as_of`` or of the clock, is not closed yet and left out. A relative source is a
    path below the workspace, and so is a relative context. Rows that cannot be believed are kept: *validate* judges and
    quarantines them. Bars of other instruments are judged here, by the same rules.

    The run's own rows are never held all at once, unless they are not in time order.
    """
    target = context.run.instrument.timeframe
    source = context.files.path(context.run.source)
    context.progress(0, 3, f"reading {source.name}")
    reader, kept = BarReader(source), Survey()
    with context.files.spool() as spool:
        rows, sorting = spooled(reader, spool)
        arranged = Arrangement(rows, context.run.as_of or context.clock(), str(source))
        ensure_reachable(arranged.timeframe, target, str(source))
        context.progress(1, 3, f"reading what stands beside them in {context.run.context}")
        beside, remarks = read_context_folder(
            context.files.path(context.run.context), context.run, context.params, context.clock()
        )
        context.progress(2, 3, f"writing rows of {arranged.timeframe}, {len(beside)} beside them")
        for one in beside:
            context.files.write_frame(one.path, one.frame)
        context.files.write_frames(BARS, checked_pieces(kept.watch(arranged.pieces()), raw_schema(), BARS))
    context.files.write_json(
        RECORD,
        {
            "source": context.run.source,
            "sha256": digest(source),
            "rows": kept.rows,
            "first": kept.first,
            "last": kept.last,
            "source_timeframe": arranged.timeframe,
            "timeframe": target,
            "duplicates_collapsed": arranged.duplicates_collapsed,
            "dropped_after_as_of": arranged.dropped_after_as_of,
            "columns": dict(reader.notes.files[0].columns),
            "files": [asdict(file) for file in reader.notes.files],
            "context": [one.record for one in beside],
            "notes": [*reader.notes.remarks, *sorting, *remarks],
        },
    )
    context.progress(3, 3, f"{kept.rows} rows from {kept.first} to {kept.last}")
