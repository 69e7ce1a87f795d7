import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.diagnosis.clock import read_clock
from pipelines.diagnosis.fault import NAT

HOURS = pd.date_range("2019-03-30 20:00", periods=30, freq="h", tz="UTC").as_unit("us")
MICROS = HOURS.asi8


def stamps(column: object) -> np.ndarray:
    return read_clock(pd.Series(column)).at  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "per"), [("s", 10**6), ("ms", 10**3), ("us", 1)])
@pytest.mark.parametrize("kind", ["int64", "float64", "str"])
def test_epochs(unit: str, per: int, kind: str) -> None:
    clock = read_clock(pd.Series(MICROS // per).astype(kind))
    assert clock.written == unit
    assert (clock.at == MICROS).all()
    assert not clock.other_unit.any()


@given(st.lists(st.sampled_from(["s", "ms", "us", "ns"]), min_size=3, max_size=30))
@settings(deadline=None, max_examples=50)
def test_every_cell_is_read_in_its_own_unit(units: list[str]) -> None:
    per = {"s": 10**6, "ms": 10**3, "us": 1}
    moment = int(MICROS[0])
    cells = [moment * 1000 if unit == "ns" else moment // per[unit] for unit in units]
    clock = read_clock(pd.Series(cells, dtype="int64"))
    assert (clock.at == moment).all()
    usual = max(set(units), key=lambda unit: (units.count(unit), -["s", "ms", "us", "ns"].index(unit)))
    assert clock.other_unit.tolist() == [unit != usual for unit in units]


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("%Y-%m-%d %H:%M:%S", False),
        ("%Y-%m-%dT%H:%M:%SZ", False),
        ("%Y-%m-%d %H:%M:%S UTC", False),
        ("%Y-%m-%d %I-%p", True),
        ("%d/%m/%Y %H:%M", True),
        ("%m/%d/%Y %H:%M", True),
        ("%d.%m.%Y %H:%M:%S", True),
        ("%Y.%m.%d %H:%M", False),
        ("%m/%d/%Y %I:%M:%S %p", True),
        ("%Y%m%d %H%M%S", False),
    ],
)
def test_text(form: str, note: bool) -> None:
    clock = read_clock(pd.Series(HOURS.strftime(form)))
    assert (clock.at == MICROS).all()
    assert bool(clock.notes) == note


def test_days_and_months_are_told_apart_by_what_is_regular() -> None:
    days = pd.date_range("2019-01-01", periods=12, freq="D", tz="UTC")
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        assert (stamps(days.strftime(form)) == days.as_unit("us").asi8).all()


def test_offsets_are_told_and_converted() -> None:
    text = [stamp.tz_convert("Europe/Berlin").isoformat() for stamp in HOURS]
    clock = read_clock(pd.Series(text))
    assert (clock.at == MICROS).all()
    assert clock.offset is not None
    assert set(clock.offset) == {60, 120}
    half = [stamp.isoformat() if at % 2 else stamp.tz_localize(None).isoformat() for at, stamp in enumerate(HOURS)]
    mixed = read_clock(pd.Series(half))
    assert mixed.naive.tolist() == [at % 2 == 0 for at in range(30)]
    assert mixed.offset is not None
    west = read_clock(pd.Series(["2019-01-01T00:00:00-0330", "2019-01-01T00:00:00Z"]))
    assert west.offset is not None
    assert west.offset.tolist() == [-210, 0]


def test_names_of_zones() -> None:
    local = HOURS.tz_convert("America/New_York")
    clock = read_clock(pd.Series(local.strftime("%Y-%m-%d %H:%M:%S %Z")))
    assert clock.zone == "EDT"
    assert (clock.at == MICROS).all()


@pytest.mark.parametrize(
    ("column", "exact"),
    [
        (pd.to_datetime(MICROS // 1000, unit="us", utc=True), True),
        (pd.to_datetime(MICROS // 10**6, unit="ns", utc=True), True),
        (pd.to_datetime(MICROS // 1000, unit="s"), True),
        ((HOURS - pd.Timestamp("1899-12-30", tz="UTC")) / pd.Timedelta("1D"), True),
        (HOURS.strftime("%Y%m%d%H%M"), True),
        (HOURS.strftime("%Y%m%d%H%M%S").astype("int64"), True),
    ],
)
def test_units_taken_for_others(column: object, exact: bool) -> None:
    clock = read_clock(pd.Series(column))  # type: ignore[arg-type]
    assert clock.other_unit.all()
    assert clock.unit_text
    assert (clock.at == MICROS).all() == exact


def test_what_is_no_time_is_none_and_the_rest_is_read() -> None:
    text = [stamp.isoformat() for stamp in HOURS]
    text[3] = "yesterday"
    assert np.flatnonzero(stamps(text) == NAT).tolist() == [3]
    epochs = [str(second) for second in MICROS // 10**6]
    epochs[5] = "time"
    clock = read_clock(pd.Series(epochs))
    assert np.flatnonzero(clock.at == NAT).tolist() == [5]
    text[3] = str(MICROS[3] // 10**6)
    among = read_clock(pd.Series(text))
    assert (among.at == MICROS).all()
    assert np.flatnonzero(among.other_unit).tolist() == [3]
    for nothing in ([True, False], ["a", "b"], [1.0, 2.0], [None, None]):
        assert (stamps(nothing) == NAT).all()


def test_zones_of_typed_columns_are_noted() -> None:
    clock = read_clock(pd.Series(HOURS.tz_convert("Asia/Tokyo")))
    assert (clock.at == MICROS).all()
    assert "Asia/Tokyo" in clock.notes[0]
    assert read_clock(pd.Series(HOURS.tz_localize(None))).naive.all()
