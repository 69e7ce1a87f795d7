import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.timestamps import parse_stamps
from trading.errors import BarError

HOURS = pd.date_range("2019-03-31", periods=6, freq="h", tz="UTC").as_unit("us")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def parsed(column: object) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(parse_stamps(pd.Series(column), "x")[0])


@pytest.mark.parametrize("unit", PER_SECOND)
@pytest.mark.parametrize("kind", ["int64", "Int64", "float64", "str"])
def test_epochs_in_every_unit(unit: str, kind: str) -> None:
    epochs = pd.Series((HOURS.as_unit("s").asi8 * PER_SECOND[unit]).astype("int64")).astype(kind)
    times, found = parse_stamps(epochs, "x")
    assert found == unit
    assert list(times) == list(HOURS)
    assert str(times.dtype) == "datetime64[us, UTC]"


@given(st.lists(st.integers(200_000_000, 4_000_000_000), min_size=1, max_size=20), st.sampled_from(list(PER_SECOND)))
@settings(deadline=None, max_examples=50)
def test_whole_seconds_survive_any_unit_exactly(seconds: list[int], unit: str) -> None:
    times, found = parse_stamps(pd.Series([second * PER_SECOND[unit] for second in seconds], dtype="int64"), "x")
    assert found == unit
    assert [int(stamp.timestamp()) for stamp in times] == seconds


@pytest.mark.parametrize(
    "text",
    [
        [stamp.strftime("%Y-%m-%d %H:%M:%S") for stamp in HOURS],  # naive is UTC
        [stamp.strftime("%Y-%m-%dT%H:%M:%SZ") for stamp in HOURS],
        [stamp.strftime("%Y-%m-%d %H:%M:%S UTC") for stamp in HOURS],
        [stamp.strftime("%Y-%m-%d %I-%p") for stamp in HOURS],
        [stamp.tz_convert("Europe/Berlin").isoformat() for stamp in HOURS],  # across a change of the clock
        [
            stamp.tz_convert("Asia/Kolkata").isoformat() if at % 2 else stamp.isoformat()
            for at, stamp in enumerate(HOURS)
        ],
    ],
)
def test_text_of_any_offset(text: list[str]) -> None:
    assert list(parsed(text)) == list(HOURS)


def test_datetimes_of_any_zone_and_resolution() -> None:
    assert list(parsed(HOURS.tz_localize(None).as_unit("ns"))) == list(HOURS)
    assert list(parsed(HOURS.tz_convert("America/New_York").as_unit("s"))) == list(HOURS)
    assert list(parsed([stamp.date() for stamp in HOURS])) == [HOURS[0]] * 6


def test_fractions_of_a_second_round_to_the_microsecond() -> None:
    assert parsed([1_500_000_000.25, 1_500_000_001.0])[0] == pd.Timestamp(1_500_000_000.25, unit="s", tz="UTC")


def test_cells_that_are_no_times_become_nat_in_place() -> None:
    epochs = HOURS.as_unit("s").asi8.astype(float)
    epochs[2] = 0
    epochs[4] = np.nan
    assert parsed(epochs).isna().tolist() == [False, False, True, False, True, False]
    text = [stamp.isoformat() for stamp in HOURS]
    text[1] = "yesterday"
    assert parsed(text).isna().tolist() == [False, True, False, False, False, False]
    mixed = pd.Series([str(int(second)) for second in HOURS.as_unit("s").asi8])
    mixed[3] = "time"
    assert parsed(mixed).isna().tolist() == [False, False, False, True, False, False]


def test_mixed_units_are_refused_with_counts() -> None:
    seconds = HOURS.as_unit("s").asi8
    with pytest.raises(BarError, match="4 in ms, 2 in s") as caught:
        parse_stamps(pd.Series(np.r_[seconds[:2], seconds[2:] * 1000]), "binance.csv, column open_time")
    assert caught.value.where == "binance.csv, column open_time"


@pytest.mark.parametrize("column", [[20190331, 20190401], ["01/02/2024", "02/02/2024"], [12, 13]])
def test_what_could_mean_several_times_is_refused(column: list[object]) -> None:
    with pytest.raises(BarError) as caught:
        parse_stamps(pd.Series(column), "x")
    assert "ISO 8601" in caught.value.rule + caught.value.remedy
