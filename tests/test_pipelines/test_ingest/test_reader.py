import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import feather

from pipelines.ingest.reader import BarReader, read_bars
from trading.bars import COLUMNS
from trading.errors import BarError


@pytest.fixture
def rows(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.iloc[:60].reset_index()


def epoch(rows: pd.DataFrame, per_second: int = 1000) -> pd.Series:
    return pd.Series(pd.DatetimeIndex(rows["timestamp"]).as_unit("s").asi8 * per_second, index=rows.index)


def csv(text: str | pd.DataFrame, path: Path, **options: object) -> Path:
    path.write_text(text if isinstance(text, str) else text.to_csv(index=False, **options))
    return path


def binance(rows: pd.DataFrame) -> pd.DataFrame:
    opens = epoch(rows)
    table = pd.DataFrame(
        {"open_time": opens, **{name: rows[name] for name in COLUMNS}, "close_time": opens + 3_599_999}
    )
    table["quote_volume"] = rows["volume"] * rows["close"]
    return table.assign(count=9, taker_buy_volume=1.0, taker_buy_quote_volume=2.0, ignore=0)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "iso csv": lambda rows, to: csv(rows, to / "a.csv"),
    "offset csv": lambda rows, to: csv(
        rows.assign(timestamp=rows["timestamp"].dt.tz_convert("Asia/Tokyo")), to / "a.csv"
    ),
    "gzipped": lambda rows, to: _gz(rows, to / "a.csv.gz"),
    "gzipped under a plain name": lambda rows, to: _gz(rows, to / "a.csv"),
    "semicolons": lambda rows, to: csv(rows, to / "a.csv", sep=";"),
    "tabs": lambda rows, to: csv(rows, to / "a.txt", sep="\t"),
    "byte order mark": lambda rows, to: csv("\ufeff" + rows.to_csv(index=False), to / "a.csv"),
    "quoted": lambda rows, to: csv(rows, to / "a.csv", quoting=1),
    "windows line ends and a blank first line": lambda rows, to: _raw(
        ("\n" + rows.to_csv(index=False)).replace("\n", "\r\n").encode(), to / "a.csv"
    ),
    "row numbers written along": lambda rows, to: csv(rows.to_csv(index=True), to / "a.csv"),
    "time index without a name": lambda rows, to: csv(
        rows.set_index("timestamp").rename_axis(None).to_csv(), to / "a.csv"
    ),
    "binance": lambda rows, to: csv(binance(rows), to / "a.csv"),
    "binance without header": lambda rows, to: csv(binance(rows), to / "a.csv", header=False),
    "bitfinex": lambda rows, to: csv(
        rows.assign(mts=epoch(rows))[["mts", "open", "close", "high", "low", "volume"]], to / "a.csv"
    ),
    "bitfinex without header": lambda rows, to: csv(
        rows.assign(mts=epoch(rows))[["mts", "open", "close", "high", "low", "volume"]], to / "a.csv", header=False
    ),
    "coinbase": lambda rows, to: csv(
        rows.assign(time=epoch(rows, 1))[["time", "low", "high", "open", "close", "volume"]], to / "a.csv"
    ),
    "kraken without header": lambda rows, to: csv(
        rows.assign(timestamp=epoch(rows, 1), trades=5), to / "a.csv", header=False
    ),
    "cryptodatadownload": lambda rows, to: csv(
        "https://www.example.com\n"
        + rows.assign(Unix=epoch(rows, 1), Symbol="BTCUSD", quote=rows["volume"] * rows["close"])
        .rename(columns={"volume": "Volume BTC", "quote": "Volume USD", "timestamp": "Date"})
        .iloc[::-1]
        .to_csv(index=False),
        to / "a.csv",
    ),
    "ccxt lists through a frame": lambda rows, to: csv(
        pd.DataFrame(rows.assign(timestamp=epoch(rows)).to_numpy().tolist()).to_csv(), to / "a.csv"
    ),
    "ccxt lists in parquet": lambda rows, to: _parquet(
        pd.DataFrame(rows.assign(timestamp=epoch(rows)).to_numpy().tolist()).rename(columns=str), to / "a.parquet"
    ),
    "parquet": lambda rows, to: _parquet(rows, to / "a.parquet"),
    "parquet with a time index": lambda rows, to: _parquet(rows.set_index("timestamp"), to / "a.pq"),
    "parquet with a nameless time index": lambda rows, to: _parquet(
        rows.set_index("timestamp").rename_axis(None), to / "a.parquet"
    ),
    "parquet with leftover row numbers": lambda rows, to: _parquet(
        pd.concat([rows.iloc[:0], rows]).set_axis(range(7, 67)), to / "a.parquet"
    ),
    "feather": lambda rows, to: _feather(rows, to / "a.feather"),
}


def _raw(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


def _gz(rows: pd.DataFrame, path: Path) -> Path:
    return _raw(gzip.compress(rows.to_csv(index=False).encode()), path)


def _parquet(table: pd.DataFrame, path: Path) -> Path:
    table.to_parquet(path)
    return path


def _feather(table: pd.DataFrame, path: Path) -> Path:
    table.to_feather(path)
    return path


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_same_bars(form: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    found, notes = read_bars(WRITERS[form](rows, tmp_path))
    found = found.sort_values("timestamp", ignore_index=True)
    pd.testing.assert_frame_equal(found[["timestamp", *COLUMNS]], rows, check_exact=True, check_dtype=False)
    assert str(found["timestamp"].dtype) == "datetime64[us, UTC]"
    assert found["fault_text"].isna().all()
    assert notes.files[0].rows == 60
    if "quote_volume" in found:
        assert np.allclose(found["quote_volume"], found["volume"] * found["close"])
    assert ("quote_volume" in found) == ("binance" in form or form == "cryptodatadownload")


def test_what_was_assumed_or_skipped_is_noted(rows: pd.DataFrame, tmp_path: Path) -> None:
    _, notes = read_bars(WRITERS["cryptodatadownload"](rows, tmp_path))
    assert notes.remarks == ("a.csv: skipped before the first row: https://www.example.com",)
    assert notes.files[0].columns["volume"] == "Volume BTC"
    assert (notes.files[0].time_unit, notes.files[0].format) == ("s", "csv")
    _, notes = read_bars(WRITERS["bitfinex without header"](rows, tmp_path))
    assert "no header; taken as timestamp, open, close, high, low, volume" in notes.remarks[0]


def test_faulty_cells_survive_with_their_text(rows: pd.DataFrame, tmp_path: Path) -> None:
    table = rows.astype(object)
    table.loc[3, "close"] = "n.a. "
    table.loc[3, "volume"] = "lots"
    table.loc[5, "low"] = -4.5
    table.loc[6, "high"] = np.nan
    table.loc[8, "timestamp"] = "soon"
    found, _ = read_bars(csv(table, tmp_path / "a.csv"))
    assert len(found) == 60
    assert found.loc[3, "fault_text"] == "close='n.a. '; volume='lots'"
    assert np.isnan(found.loc[3, "close"])
    assert found.loc[5, "low"] == -4.5
    assert np.isnan(found.loc[6, "high"])
    assert found.loc[8, "timestamp"] is pd.NaT
    assert found.loc[8, "fault_text"] == "timestamp='soon'"
    assert found["fault_text"].notna().sum() == 2


def test_columns_of_truth_values_or_dates_are_no_prices(rows: pd.DataFrame, tmp_path: Path) -> None:
    found, _ = read_bars(_parquet(rows.assign(close=True, open=rows["timestamp"]), tmp_path / "a.parquet"))
    assert found[["open", "close"]].isna().all(axis=None)
    assert found.loc[0, "fault_text"].startswith("open='2017-")


def test_a_row_that_breaks_off_is_kept_as_faulty(rows: pd.DataFrame, tmp_path: Path) -> None:
    found, _ = read_bars(csv(rows.to_csv(index=False).rsplit(",", 3)[0] + "\n", tmp_path / "a.csv"))
    assert len(found) == 60
    assert found.iloc[-1][["low", "close", "volume"]].isna().all()


def test_a_folder_is_read_whole_each_file_in_its_own_unit(rows: pd.DataFrame, tmp_path: Path) -> None:
    csv(binance(rows.iloc[:30]), tmp_path / "2024.csv")
    csv(binance(rows.iloc[30:]).assign(open_time=epoch(rows.iloc[30:], 10**6)), tmp_path / "2025.csv")
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / ".hidden.csv").write_text("x")
    found, notes = read_bars(tmp_path)
    assert list(found["timestamp"]) == list(rows["timestamp"])
    assert [file.time_unit for file in notes.files] == ["ms", "us"]
    assert "README.md" in notes.remarks[0]


def test_a_folder_of_several_timeframes_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    csv(rows, tmp_path / "a.csv")
    csv(rows.iloc[::2], tmp_path / "b.csv")
    with pytest.raises(BarError, match=r"several timeframes: a\.csv 0 days 01:00:00, b\.csv 0 days 02:00:00"):
        read_bars(tmp_path)


HEADER = "timestamp,open,high,low,close,volume\n"
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "header only": (HEADER.encode(), "no rows"),
    "nul bytes": (b"\x89PNG\r\n\0\0\0", "binary"),
    "not utf-8": (HEADER.encode() + b"2024,\xff\xfe\xff", "binary"),
    "utf-16": ((HEADER * 3).encode("utf-16"), "binary"),
    "damaged parquet": (b"PAR1" + b"x" * 50 + b"PAR1", "damaged"),
    "damaged feather": (b"ARROW1\0\0" + b"y" * 60, "damaged"),
    "gzip that breaks off": (gzip.compress((HEADER + "2024-01-01,1,1,1,1,1\n" * 9000).encode())[:-40], "damaged"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "damaged gzip": (b"\x1f\x8b" + b"\x08\x00" * 20, "damaged"),
    "prose": (b"Dear reader,\nno bars here.\n", r"2 column\(s\)"),
    "no price column": (
        b"timestamp,bid,ask,spread,depth,volume\n2024-01-01,1,2,3,4,5\n",
        "no column for open, high, low, close",
    ),
    "other language": (b"Zeit,Eroeffnung,Hoch,Tief,Schluss,Umsatz\n2024-01-01,1,2,3,4,5\n", "no column for timestamp"),
    "row too long": ((HEADER + "2024-01-01,1,1,1,1,1\n2024-01-02,1,1,1,1,1,9\n").encode(), "damaged.*line 3"),
    "every row too long": ((HEADER + "2024-01-01,1,1,1,1,1,9\n2024-01-02,1,1,1,1,1,9\n").encode(), "damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_unreadable_files_end_with_one_clear_message(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    path = _raw(content, tmp_path / "a.csv")
    with pytest.raises(BarError, match=message) as caught:
        read_bars(path)
    assert str(path) in caught.value.where
    assert caught.value.remedy
    assert len(str(caught.value).splitlines()) <= 4


def test_missing_file_and_folder_without_bars(tmp_path: Path) -> None:
    with pytest.raises(BarError, match="not there"):
        read_bars(tmp_path / "nowhere.csv")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(BarError, match="no file of bars"):
        read_bars(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BarError, match="cannot be read: Permission denied"):
        read_bars(tmp_path / "a.csv")


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("size", [1, 7, 59, 60, 61])
def test_pieces_are_the_file(form: str, size: int, rows: pd.DataFrame, tmp_path: Path) -> None:
    path = WRITERS[form](rows, tmp_path)
    whole, notes = read_bars(path)
    reader = BarReader(path, size)
    pieces = list(reader.pieces())
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True)[reader.columns], whole)
    assert reader.notes == notes
    # Feather comes in the pieces that it was written in.
    assert form == "feather" or max(map(len, pieces)) <= size


def test_the_first_piece_decides_how_the_others_are_read(rows: pd.DataFrame, tmp_path: Path) -> None:
    table = rows.assign(timestamp=epoch(rows), volume=rows["volume"].astype(object))
    # More than half of the second piece has no time and no number.
    table.loc[10:16, "volume"] = "lots"
    table["timestamp"] = table["timestamp"].astype(object)
    table.loc[10:16, "timestamp"] = "soon"
    path = csv(table, tmp_path / "a.csv")
    whole, _ = read_bars(path)
    found = pd.concat(BarReader(path, 10).pieces(), ignore_index=True)
    pd.testing.assert_frame_equal(found[list(whole)], whole)
    assert found["timestamp"].isna().sum() == 7
    table["timestamp"] = epoch(rows)
    table.loc[40:45, "timestamp"] //= 1000
    with pytest.raises(BarError, match="several units: all before these in ms, 6 in s"):
        list(BarReader(csv(table, path), 10).pieces())
    with pytest.raises(BarError, match="several units: 54 in ms, 6 in s"):
        read_bars(path)


def test_a_damaged_place_is_met_when_it_is_reached(rows: pd.DataFrame, tmp_path: Path) -> None:
    path = csv(rows.to_csv(index=False) + "2024-01-01,1,1,1,1,1,1\n", tmp_path / "a.csv")
    pieces = BarReader(path, 20).pieces()
    assert [len(next(pieces)) for _ in range(3)] == [20, 20, 20]
    with pytest.raises(BarError, match=r"damaged.*line 62"):
        next(pieces)


@pytest.mark.parametrize("write", [_parquet, _feather])
def test_a_columnar_file_without_rows_is_refused(
    write: Callable[[pd.DataFrame, Path], Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(BarError, match="no rows"):
        read_bars(write(rows.iloc[:0], tmp_path / "a.parquet"))


def test_feather_of_the_first_version_is_read(rows: pd.DataFrame, tmp_path: Path) -> None:
    plain = rows.assign(timestamp=rows["timestamp"].dt.tz_localize(None))
    feather.write_feather(plain, str(tmp_path / "a.feather"), version=1)
    found, notes = read_bars(tmp_path / "a.feather")
    assert list(found["timestamp"]) == list(rows["timestamp"])
    assert notes.files[0].format == "feather"


def test_a_scattered_piece_says_nothing_of_a_timeframe(bars: pd.DataFrame, tmp_path: Path) -> None:
    rows = bars.iloc[:1200].reset_index()
    csv(rows.iloc[:600], tmp_path / "a.csv")
    csv(rows.iloc[600:].sample(frac=1, random_state=1), tmp_path / "b.csv")
    whole, _ = read_bars(tmp_path)
    assert len(pd.concat(BarReader(tmp_path, 30).pieces())) == len(whole) == 1200
    csv(rows.iloc[600::2].iloc[::-1], tmp_path / "b.csv")
    with pytest.raises(BarError, match="several timeframes"):
        list(BarReader(tmp_path, 30).pieces())


def test_order_flow_is_read_where_a_file_has_it(rows: pd.DataFrame, tmp_path: Path) -> None:
    for form in ("binance", "binance without header"):
        found, notes = read_bars(WRITERS[form](rows, tmp_path))
        assert (found["taker_buy_volume"] == 1.0).all()
        assert (found["trades"] == 9.0).all()
        assert found["trades"].dtype == "float64"
        assert {"taker_buy_volume", "trades"} <= set(notes.files[0].columns)
        assert not any("left out" in remark for remark in notes.remarks)


def test_one_column_of_order_flow_is_left_out_and_said_so(rows: pd.DataFrame, tmp_path: Path) -> None:
    for form in ("kraken without header", "binance"):
        path = WRITERS[form](rows, tmp_path)
        if form == "binance":
            path = csv(pd.read_csv(path).drop(columns="count"), path)
        found, notes = read_bars(path)
        lacking, own = ("taker_buy_volume", "trades (6)") if "kraken" in form else ("trades", "taker_buy_volume ('")
        assert not {"taker_buy_volume", "trades"} & {*found, *notes.files[0].columns}
        assert f"{lacking} is missing" in notes.remarks[-1]
        assert own in notes.remarks[-1]


def test_a_column_without_a_number_counts_as_missing(rows: pd.DataFrame, tmp_path: Path) -> None:
    found, notes = read_bars(csv(rows.assign(trades="", taker_buy_volume=1.0), tmp_path / "a.csv"))
    assert "taker_buy_volume" not in found
    assert "trades is missing" in notes.remarks[0]
    found, notes = read_bars(csv(rows.assign(trades="", taker_buy_volume=np.nan), tmp_path / "a.csv"))
    assert "trades" not in found
    assert notes.remarks == ()
    table = rows.assign(trades=3, taker_buy_volume=1.0).astype({"trades": object})
    table.loc[5, "trades"] = "few"
    found, _ = read_bars(csv(table, tmp_path / "a.csv"))
    assert found["trades"].notna().sum() == 59
    assert found.loc[5, "fault_text"] == "trades='few'"


def test_files_without_order_flow_take_it_from_a_folder(rows: pd.DataFrame, tmp_path: Path) -> None:
    csv(binance(rows.iloc[:30]), tmp_path / "2024.csv")
    csv(binance(rows.iloc[30:]), tmp_path / "2025.csv")
    assert {"taker_buy_volume", "trades"} <= set(read_bars(tmp_path)[0])
    csv(rows.iloc[30:], tmp_path / "2025.csv")
    found, notes = read_bars(tmp_path)
    assert not {"taker_buy_volume", "trades"} & {*found, *notes.files[0].columns}
    assert notes.remarks == ("taker_buy_volume and trades left out: not both are in 2025.csv",)
    # What only one file has of other columns is kept.
    assert found["quote_volume"].notna().sum() == 30
