"""Rows as found become believed bars at the run's timeframe; what is left out is kept aside and counted."""

from pipelines.context import Context
from pipelines.schemas import bar_schema, checked, raw_schema
from pipelines.validate.expectations import ensure_met, expect
from pipelines.validate.screen import enforce, screen

ROWS = "data/raw/bars.parquet"
RECORD = "data/raw/ingest.json"
BARS = "data/validated/bars.parquet"
QUARANTINE = "data/validated/quarantine.parquet"
REPORT = "data/validated/report.json"
DOCS = "data/validated/docs/index.html"


def run(context: Context) -> None:
    """Judge the rows that *ingest* wrote, and write the four outputs above and the Data Docs.

    The quarantine is written before anything can stop the run, so that its reader finds every offending row.
    """
    limits, instrument, files = context.params.validate_, context.run.instrument, context.files
    rows = checked(files.read_frame(ROWS), raw_schema(), ROWS)
    record = files.read_json(RECORD)
    context.progress(0, 3, f"judging {len(rows)} rows")
    found = screen(rows, record["source_timeframe"], instrument.timeframe, limits)
    files.write_frame(QUARANTINE, found.quarantine)
    enforce(found, limits, record["source"], quarantine_file=str(files.path(QUARANTINE)))
    bars = checked(found.bars, bar_schema(), BARS)

    context.progress(1, 3, f"expectations on {len(bars)} bars")
    verdict = expect(bars, limits.min_bars, instrument.name)
    files.write_text(DOCS, verdict.page)
    ensure_met(verdict, record["source"], str(files.path(DOCS)))

    context.progress(2, 3, "writing bars")
    files.write_frame(BARS, bars)
    files.write_json(
        REPORT,
        {
            **found.report,
            "duplicates_collapsed": record["duplicates_collapsed"],
            "dropped_after_as_of": record["dropped_after_as_of"],
            "expectations": verdict.expectations,
        },
    )
    context.progress(3, 3, f"{len(bars)} bars of {instrument.timeframe}, {len(found.quarantine)} rows quarantined")
