import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.params import Params, RunIdentity
from pipelines.settings import Settings
from pipelines.validate import stage
from pipelines.validate.expectations import Verdict
from trading.bars import COLUMNS, ORDER_FLOW
from trading.errors import BarError, StageError, TooFewBarsError

Ingested = Callable[[pd.DataFrame], Context]


@pytest.fixture
def ingested(params: Params, tmp_path: Path) -> Ingested:
    """A workspace as *ingest* leaves it."""

    def write(bars: pd.DataFrame) -> Context:
        files = Artifacts(tmp_path)
        rows = bars.reset_index()
        files.write_frame(stage.ROWS, rows.assign(fault_text=pd.Series(pd.NA, dtype="string", index=rows.index)))
        record = {"source": "a.csv", "source_timeframe": "1h", "duplicates_collapsed": 3, "dropped_after_as_of": 2}
        files.write_json(stage.RECORD, record)
        run = RunIdentity(symbol="BTC/USD", timeframe="1h", source="a.csv", context="data/context", as_of=None)
        return Context(params, run, files, Settings())

    return write


@pytest.fixture
def bars(sample_bars: pd.DataFrame) -> pd.DataFrame:
    return sample_bars.iloc[:1200].copy()


def test_good_rows_become_bars_a_report_and_data_docs(ingested: Ingested, bars: pd.DataFrame) -> None:
    bars.iloc[50, 2] = np.nan
    context = ingested(bars)
    stage.run(context)
    files = context.files
    pd.testing.assert_frame_equal(files.read_frame(stage.BARS), bars.drop(index=bars.index[50]), check_freq=False)
    report = files.read_json(stage.REPORT)
    assert report["rows"] == 1199
    assert report["quarantined_by_rule"] == {"price_not_a_number": 1}
    assert (report["duplicates_collapsed"], report["dropped_after_as_of"]) == (3, 2)
    assert report["expectations"] >= 10
    assert pd.Timestamp(report["gaps"][0]["start"]) == bars.index[50]
    assert list(files.read_frame(stage.QUARANTINE)["rule"]) == ["price_not_a_number"]
    assert "BTC-USD-1h" in files.path(stage.DOCS).read_text()
    before = files.sha256("data/validated")
    stage.run(context)
    assert files.sha256("data/validated") == before


def test_too_many_offending_rows_leave_only_the_quarantine(ingested: Ingested, bars: pd.DataFrame) -> None:
    bars.iloc[10:30, 3] = -1.0
    context = ingested(bars)
    with pytest.raises(BarError, match="non_positive_price: 20") as caught:
        stage.run(context)
    assert str(context.files.path(stage.QUARANTINE)) in caught.value.remedy
    assert len(context.files.read_frame(stage.QUARANTINE)) == 20
    assert not context.files.exists(stage.BARS)
    assert not context.files.exists(stage.REPORT)


def test_too_few_bars(ingested: Ingested, bars: pd.DataFrame) -> None:
    with pytest.raises(TooFewBarsError, match=r"900 complete 1h bars.*1000 are needed"):
        stage.run(ingested(bars.iloc[:900]))


def test_a_failed_expectation_stops_the_run_after_writing_the_docs(
    ingested: Ingested, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "expect", lambda *_: Verdict(21, ("the feed is frozen",), "<html>frozen</html>"))
    context = ingested(bars)
    with pytest.raises(BarError, match="1 of 21 expectations failed"):
        stage.run(context)
    assert context.files.path(stage.DOCS).read_text() == "<html>frozen</html>"
    assert not context.files.exists(stage.BARS)


def test_rows_that_ingest_never_wrote_are_refused(ingested: Ingested, bars: pd.DataFrame) -> None:
    context = ingested(bars)
    context.files.write_frame(stage.ROWS, bars.reset_index())
    with pytest.raises(BarError, match="raw bars") as caught:
        stage.run(context)
    assert "fault_text" in caught.value.rule
    context.files.path(stage.ROWS).unlink()
    with pytest.raises(StageError, match="is missing"):
        stage.run(context)


def test_importing_the_stage_does_not_import_great_expectations() -> None:
    code = "import pipelines.validate.stage, sys; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are read 1001 rows at a time."""
    read = Artifacts.read_frames
    monkeypatch.setattr(Artifacts, "read_frames", lambda files, name: read(files, name, 1001))


@pytest.mark.parametrize("timeframe", ["1h", "4h"])
def test_rows_in_pieces_become_the_same_bars(
    timeframe: str, ingested: Ingested, sample_bars: pd.DataFrame, request: pytest.FixtureRequest
) -> None:
    bars = sample_bars.iloc[:4500].assign(taker_buy_volume=1.0, trades=4.0)
    bars["volume"] += 1.0
    bars.iloc[[50, 1000, 1001, 2001], 2] = np.nan
    context = ingested(bars.drop(index=bars.index[[2002, 3004, 3005]]))
    context = replace(context, run=context.run.model_copy(update={"timeframe": timeframe}))
    files = context.files
    stage.run(context)
    names = (stage.BARS, stage.QUARANTINE)
    frames = [files.read_frame(name) for name in names]
    report, page = files.read_json(stage.REPORT), files.path(stage.DOCS).read_text()
    request.getfixturevalue("small_pieces")
    stage.run(context)
    for name, frame in zip(names, frames, strict=True):
        pd.testing.assert_frame_equal(files.read_frame(name), frame, check_exact=True)
    assert files.read_json(stage.REPORT) == report
    without_deviation = r"\d+\.\d{6,}"
    assert re.sub(without_deviation, "", files.path(stage.DOCS).read_text()) == re.sub(without_deviation, "", page)
    assert list(frames[0].columns) == [*COLUMNS, *ORDER_FLOW]
    assert (frames[0]["trades"] == 4.0 * (4 if timeframe == "4h" else 1)).all()
