"""--fix: a copy with only what is safe mended, and the original untouched."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.diagnosis.diagnose import diagnose
from pipelines.diagnosis.mend import mend, mended_path, write_table
from pipelines.ingest.reader import read_bars
from tests.test_pipelines.test_diagnosis.planting import PLANTS, PRICES, write
from trading.errors import BarError

SAFE = {
    **{
        "order_descending": (0,),
        "order_mixed": (0, 1, 2),
        "duplicates_agreeing": (0, 2),
        "high_low_swapped": (0, 1, 2),
    },
    **{"volume_swapped": (0, 1, 2), "close_stamped": (0, 1, 2), "mixed_offsets": (0, 1), "epoch_unit": (0, 1)},
    **{"jitter": (0, 1, 2), "unfinished_last_bar": (0,), "text_numbers": (0, 1, 2), "decimal_comma": (0, 1, 2)},
    **{"nan_rows": (2,), "extra_column_return": (0, 1, 2)},
}
UNSAFE = ("duplicates_conflicting", "gaps", "bad_prints", "scale_change", "infinite", "non_positive_price", "stale_run")


@pytest.fixture(scope="module")
def bars(half_hours: pd.DataFrame) -> pd.DataFrame:
    return half_hours.iloc[9000:11_000].reset_index(drop=True)


def mended(file: Path) -> tuple[tuple[str, ...], Path]:
    found = diagnose(file, max_missing=0.05)
    result = mend(found)
    assert found.mending is not None
    source = found.mending.reading.source
    return result.fixed, write_table(result.frame, mended_path(file), source.format, named=source.named)


@pytest.mark.parametrize(("kind", "severity"), [(kind, severity) for kind in SAFE for severity in SAFE[kind]])
def test_a_safe_fix_gives_back_the_bars(kind: str, severity: int, bars: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / ("bars.csv" if severity % 2 else "bars.parquet")
    write(PLANTS[kind](bars, np.random.default_rng(severity), severity), file)
    before = file.read_bytes()
    fixed, copy = mended(file)
    assert fixed == (kind,)
    assert file.read_bytes() == before
    left = {fault.kind for fault in diagnose(copy, max_missing=0.05).faults}
    assert left == ({"gaps"} if kind == "nan_rows" else set())  # nothing stands where nothing stood
    rows, _ = read_bars(copy)
    expected = bars
    if kind == "unfinished_last_bar":
        expected = bars.iloc[:-1]
    elif kind == "nan_rows":
        expected = bars[bars["timestamp"].isin(rows["timestamp"])]
        assert len(expected) == len(bars) - 50
    assert list(rows["timestamp"]) == list(expected["timestamp"])
    np.testing.assert_allclose(
        rows[[*PRICES, "volume"]].to_numpy(), expected[[*PRICES, "volume"]].to_numpy(dtype=float), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("kind", UNSAFE)
def test_what_nothing_in_the_file_decides_is_left_alone(kind: str, bars: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    write(PLANTS[kind](bars, np.random.default_rng(1), 1), file)
    found = diagnose(file, max_missing=0.05)
    assert [fault.safe_fix for fault in found.faults if fault.kind == kind] == [False]
    result = mend(found)
    assert result.fixed == ()
    assert found.mending is not None
    assert result.frame is found.mending.reading.source.frame


def test_several_faults_at_once(bars: pd.DataFrame, tmp_path: Path) -> None:
    frame = bars
    for kind in ("high_low_swapped", "duplicates_agreeing", "text_numbers", "order_descending"):
        frame = PLANTS[kind](frame, np.random.default_rng(3), 1).reset_index(drop=True)
    file = tmp_path / "bars.csv.gz"
    frame.to_csv(file, index=False)
    fixed, copy = mended(file)
    assert copy.name == "bars.fixed.csv.gz"
    assert set(fixed) == {"high_low_swapped", "duplicates_agreeing", "text_numbers", "order_descending"}
    assert diagnose(copy, max_missing=0.05).faults == ()


def test_conflicting_rows_both_stay(bars: pd.DataFrame, tmp_path: Path) -> None:
    both = PLANTS["duplicates_conflicting"](bars, np.random.default_rng(0), 0)
    file = tmp_path / "bars.csv"
    both.iloc[::-1].to_csv(file, index=False)
    fixed, copy = mended(file)
    assert fixed == ("order_descending",)
    assert len(pd.read_csv(copy)) == len(bars) + 1


def test_epochs_stay_epochs_and_other_columns_stay(bars: pd.DataFrame, tmp_path: Path) -> None:
    micros = bars["timestamp"].astype("int64")
    mixed = np.where(np.arange(len(bars)) < 500, micros, micros // 1000)
    file = tmp_path / "bars.csv"
    bars.assign(timestamp=mixed, trades=7).to_csv(file, index=False)
    _, copy = mended(file)
    written = pd.read_csv(copy)
    assert (written["timestamp"] == micros // 1000).all()
    assert (written["trades"] == 7).all()


def test_stamps_of_other_spellings_become_iso(bars: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    bars.iloc[::-1].assign(timestamp=bars["timestamp"].iloc[::-1].dt.strftime("%d/%m/%Y %H:%M")).to_csv(
        file, index=False
    )
    with pytest.raises(BarError):
        read_bars(file)
    _, copy = mended(file)
    assert list(read_bars(copy)[0]["timestamp"]) == list(bars["timestamp"])


def test_a_shift_beside_the_jitter_keeps_all_stamps(bars: pd.DataFrame, tmp_path: Path) -> None:
    stamps = bars["timestamp"].copy()
    stamps.iloc[500:900] += pd.Timedelta("7min")
    stamps.iloc[[1000, 1100]] += pd.Timedelta("2s")
    file = tmp_path / "bars.parquet"
    bars.assign(timestamp=stamps, export=1).iloc[::-1].to_parquet(file)
    fixed, copy = mended(file)
    assert "order_descending" in fixed
    assert list(pd.read_parquet(copy)["timestamp"]) == list(stamps)


@pytest.mark.parametrize("suffix", [".csv", ".feather", ".parquet"])
def test_the_copy_has_the_format_of_the_file(suffix: str, bars: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / f"BTC-USD_30m{suffix}"
    backwards = bars.iloc[::-1].reset_index(drop=True)
    if suffix == ".csv":
        headless = backwards.assign(timestamp=backwards["timestamp"].astype("int64") // 1000)
        headless.to_csv(file, index=False, header=False)
    else:
        (backwards.to_feather if suffix == ".feather" else backwards.to_parquet)(file)
    _, copy = mended(file)
    assert copy == tmp_path / f"BTC-USD_30m.fixed{suffix}"
    assert copy.read_bytes()[:4] == (file.read_bytes()[:4] if suffix != ".csv" else copy.read_bytes()[:4])
    assert list(read_bars(copy)[0]["timestamp"]) == list(bars["timestamp"])
    assert not list(tmp_path.glob(".*"))


def test_the_file_itself_is_never_the_copy(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("x")
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    hard = tmp_path / "hard.csv"
    hard.hardlink_to(file)
    for output in (file, link, hard):
        with pytest.raises(BarError, match="overwrite"):
            mended_path(file, output)
    with pytest.raises(BarError, match="folder"):
        mended_path(file, tmp_path)
    assert mended_path(file) == tmp_path / "bars.fixed.csv"
    assert mended_path(file, tmp_path / "other.csv") == tmp_path / "other.csv"
