import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.ingest.stage import run
from pipelines.params import Params, RunIdentity
from pipelines.pieces import PIECE, Spool
from pipelines.settings import Settings
from tests.workspace import make_context
from trading.errors import BarError

MakeContext = Callable[..., Context]


@pytest.fixture
def context(params: Params, tmp_path: Path) -> MakeContext:
    def make(source: Path | str, **identity: Any) -> Context:
        (tmp_path / "beside").mkdir(exist_ok=True)
        run = {"symbol": "BTC/USD", "timeframe": "1h", "context": "beside", "as_of": None} | identity
        return Context(params, RunIdentity(source=str(source), **run), Artifacts(tmp_path), Settings())

    return make


@pytest.fixture
def export(bars: pd.DataFrame, tmp_path: Path) -> Path:
    """200 bars, newest first, two of them twice."""
    path = tmp_path / "export.csv"
    pd.concat([bars.iloc[:200], bars.iloc[10:12]]).iloc[::-1].reset_index().to_csv(path, index=False)
    return path


def test_rows_and_their_record(context: MakeContext, export: Path, bars: pd.DataFrame, tmp_path: Path) -> None:
    run(context(export))
    files = Artifacts(tmp_path)
    rows, record = files.read_frame("data/raw/bars.parquet"), files.read_json("data/raw/ingest.json")
    pd.testing.assert_frame_equal(
        rows.drop(columns="fault_text"), bars.iloc[:200].reset_index(), check_dtype=False, check_exact=True
    )
    assert record["sha256"] == hashlib.sha256(export.read_bytes()).hexdigest()
    assert record["source"] == str(export)
    assert record["rows"] == 200
    assert record["duplicates_collapsed"] == 2
    assert record["dropped_after_as_of"] == 0
    assert record["source_timeframe"] == record["timeframe"] == "1h"
    assert record["columns"]["close"] == "close"
    assert pd.Timestamp(record["first"]) == bars.index[0]
    assert pd.Timestamp(record["last"]) == bars.index[199]


def test_a_relative_source_lies_in_the_workspace(context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "source").symlink_to(Path(__file__).resolve().parents[3] / "data" / "sample")
    run(context("source/bitfinex_BTC-USD_30m.parquet"))
    record = Artifacts(tmp_path).read_json("data/raw/ingest.json")
    assert record["source"] == "source/bitfinex_BTC-USD_30m.parquet"
    assert (record["rows"], record["source_timeframe"], record["timeframe"]) == (35019, "30m", "1h")


def test_same_input_same_bytes(context: MakeContext, export: Path, tmp_path: Path) -> None:
    run(context(export))
    first = Artifacts(tmp_path).sha256("data/raw")
    run(context(export))
    assert Artifacts(tmp_path).sha256("data/raw") == first


def test_replaying_a_past_moment(context: MakeContext, export: Path, bars: pd.DataFrame, tmp_path: Path) -> None:
    moment = bars.index[100].to_pydatetime().astimezone(UTC)
    run(context(export, as_of=moment))
    files = Artifacts(tmp_path)
    assert pd.Timestamp(files.read_json("data/raw/ingest.json")["last"]) == bars.index[99]
    assert files.read_json("data/raw/ingest.json")["dropped_after_as_of"] == 100
    assert files.read_frame("data/raw/bars.parquet")["timestamp"].iloc[-1] == bars.index[99]


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"timeframe": "15m"}, "15m bars were asked for, but the file's are 1h"),
        ({"as_of": datetime(2010, 1, 1, tzinfo=UTC)}, r"0 row\(s\) with a time before 2010"),
    ],
)
def test_a_run_that_cannot_be_leaves_nothing(
    identity: dict[str, Any], message: str, context: MakeContext, export: Path, tmp_path: Path
) -> None:
    with pytest.raises(BarError, match=message):
        run(context(export, **identity))
    assert not (tmp_path / "data").exists()


def test_a_bar_that_the_clock_has_not_closed_is_left_out(
    tmp_path: Path, source_file: Path, raw_params: dict[str, Any]
) -> None:
    context = make_context(tmp_path, raw_params, source_file)
    last = pd.read_csv(source_file)["timestamp"].iloc[-1]
    half_past = (pd.Timestamp(last) + pd.Timedelta(minutes=30)).to_pydatetime()
    run(replace(context, clock=lambda: half_past))
    assert context.files.read_json("data/raw/ingest.json")["dropped_after_as_of"] == 1


@pytest.fixture(scope="module")
def minutes() -> pd.DataFrame:
    """More rows than a piece has, each with what takers bought."""
    count = PIECE + 9_000
    price = 100 + np.sin(np.arange(count) / 500).round(4)
    frame = pd.DataFrame({"timestamp": pd.date_range("2020-01-01", periods=count, freq="1min", tz="UTC").as_unit("us")})
    return frame.assign(
        open=price, high=price + 1, low=price - 1, close=price, volume=3.0, taker_buy_volume=2.0, trades=5.0
    )


def test_rows_in_order_are_never_held_all_at_once(
    context: MakeContext, minutes: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Spool, "gather")
    minutes.to_parquet(tmp_path / "minutes.parquet")
    run(context(tmp_path / "minutes.parquet"))
    files = Artifacts(tmp_path)
    found = files.read_frame("data/raw/bars.parquet")
    pd.testing.assert_frame_equal(found.drop(columns="fault_text"), minutes)
    assert [len(piece) for piece in files.read_frames("data/raw/bars.parquet")] == [PIECE, 9_000]
    record = files.read_json("data/raw/ingest.json")
    assert (record["rows"], record["notes"]) == (len(minutes), [])
    assert (pd.Timestamp(record["first"]), pd.Timestamp(record["last"])) == tuple(minutes["timestamp"].iloc[[0, -1]])


def test_rows_out_of_order_are_sorted_and_that_is_noted(
    context: MakeContext, minutes: pd.DataFrame, tmp_path: Path
) -> None:
    pd.concat([minutes, minutes.tail(70)]).iloc[::-1].to_parquet(tmp_path / "minutes.parquet", index=False)
    run(context(tmp_path / "minutes.parquet"))
    files = Artifacts(tmp_path)
    pd.testing.assert_frame_equal(files.read_frame("data/raw/bars.parquet").drop(columns="fault_text"), minutes)
    record = files.read_json("data/raw/ingest.json")
    assert record["duplicates_collapsed"] == 70
    assert record["notes"] == ["rows not in time order: all of them were held in memory to be sorted"]
