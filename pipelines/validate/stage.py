"""Rows as found become believed bars at the run's timeframe; what is left out is kept aside and counted."""

from pipelines.context import Context
from pipelines.schemas import bar_schema, checked_pieces, raw_schema
from pipelines.validate.expectations import ensure_met, expect
from pipelines.validate.screen import Screener, enforce

ROWS = "data/raw/bars.parquet"
RECORD = "data/raw/ingest.json"
BARS = "data/validated/bars.parquet"
QUARANTINE = "data/validated/quarantine.parquet"
REPORT = "data/validated/report.json"
DOCS = "data/validated/docs/index.html"


def run(context: Context) -> None:
    """Judge the rows that *ingest* wrote, and write the four outputs above and the Data Docs.

    The quarantine is written before anything can stop the run, so that its reader finds every offending row. Rows and
    bars pass in pieces, so that no more of them is held than a piece.
    """
    limits, instrument, files = context.params.validate_, context.run.instrument, context.files
    record = files.read_json(RECORD)
    context.progress(0, 3, f"judging {files.count_rows(ROWS)} rows")
    screener = Screener(record["source_timeframe"], instrument.timeframe, limits)
    with files.spool() as believed, files.spool() as aside:
        rows = checked_pieces(files.read_frames(ROWS), raw_schema(), ROWS)
        for bars in checked_pieces(screener.bars(rows, aside.write), bar_schema(), BARS):
            believed.write(bars)
        files.write_frames(QUARANTINE, aside.read())
        enforce(screener, limits, record["source"], quarantine_file=str(files.path(QUARANTINE)))

        report = screener.report
        context.progress(1, 3, f"expectations on {report['rows']} bars")
        verdict = expect(believed.read(), limits.min_bars, instrument.name)
        files.write_text(DOCS, verdict.page)
        ensure_met(verdict, record["source"], str(files.path(DOCS)))

        context.progress(2, 3, "writing bars")
        files.write_frames(BARS, believed.read())
    files.write_json(
        REPORT,
        {
            **report,
            "duplicates_collapsed": record["duplicates_collapsed"],
            "dropped_after_as_of": record["dropped_after_as_of"],
            "expectations": verdict.expectations,
        },
    )
    found = f"{report['rows']} bars of {instrument.timeframe}, {report['rows_quarantined']} rows quarantined"
    context.progress(3, 3, found)
