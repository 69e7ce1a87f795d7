"""Corrections, late arrivals, the moment a run stands at, the store, and series that miss the bars."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.features.external import arrays_of, join
from pipelines.sentiment.declared import DECLARED, declared
from pipelines.sentiment.errors import SeriesError, UnreachedError
from pipelines.sentiment.reach import ensure_reaches
from pipelines.sentiment.reader import read_series
from pipelines.store.external_store import ExternalStore
from trading.errors import ParamsError

INDEX, FUNDING = declared("fear_greed"), declared("funding_rate")
HISTORY = (
    "published_at,value,recorded_at\n"
    "2024-01-01T00:00:00Z,40,2024-01-03T12:00:00Z\n"
    "2024-01-02T00:00:00Z,41,2024-01-03T12:00:00Z\n"
    "2024-01-03T00:00:00Z,42,2024-01-03T12:00:00Z\n"
    "2024-01-04T00:00:00Z,43,2024-01-04T00:10:00Z\n"
    "2024-01-06T00:00:00Z,45,2024-01-06T00:10:00Z\n"
)
LATE = "2024-01-05T00:00:00Z,44,2024-01-07T09:00:00Z\n"
CORRECTION = "2024-01-04T00:00:00Z,99,2024-01-08T09:00:00Z\n"


def day(number, hour=0):
    return pd.Timestamp(year=2024, month=1, day=number, hour=hour, tz="UTC")


def values_at(frame, moments, series=INDEX):
    published, values, not_before = arrays_of(frame, series.columns)
    known = pd.DatetimeIndex(moments).as_unit("ns").asi8
    return join(known, published, values, delay=0, max_age=10**18, neutral=(0.0,), not_before=not_before).value[:, 0]


def test_a_late_arrival_and_a_correction_do_not_alter_the_past(written, now):
    before = read_series(INDEX, written(HISTORY), now=now)
    assert "not_before" not in before  # a history fetched at once is believed by its stamps
    after = read_series(INDEX, written(HISTORY + LATE + CORRECTION), now=now)
    assert after["not_before"].tolist() == [day(1), day(2), day(3), day(4), day(8, 9), day(7, 9), day(6)]
    moments = pd.date_range(day(1), day(12), freq="1h")
    np.testing.assert_array_equal(values_at(after, moments), values_at(before, moments))
    # Where nothing newer is known, they count from their recording on.
    short = HISTORY.replace("2024-01-06T00:00:00Z,45,2024-01-06T00:10:00Z\n", "")
    corrected = read_series(INDEX, written(short + CORRECTION), now=now)
    assert values_at(corrected, [day(8, 8), day(8, 9)]).tolist() == [-0.14, 0.98]


def test_as_of_a_moment_nothing_later_is_there(written, now):
    source = written(HISTORY + LATE + CORRECTION)
    frame = read_series(INDEX, source, now=now, as_of=day(7))
    assert frame.index.tolist() == [day(1), day(2), day(3), day(4), day(6)]
    assert read_series(INDEX, source, now=now, as_of=day(8)).index.tolist() == [*frame.index[:4], day(5), day(6)]


def test_the_store_gives_the_same_as_a_file(tmp_path, written, now):
    store = ExternalStore(tmp_path / "store")
    rows = pd.read_csv(written(HISTORY + LATE + CORRECTION), parse_dates=["published_at", "recorded_at"])
    for recorded, part in rows.groupby("recorded_at"):
        store.append("sentiment/fear-greed", part.set_index("published_at")[["value"]].astype(float), recorded)
    stored = read_series(INDEX, "store:sentiment/fear-greed", now=now, store=store)
    filed = read_series(INDEX, written(HISTORY + LATE + CORRECTION), now=now)
    pd.testing.assert_frame_equal(stored, filed)
    with pytest.raises(SeriesError, match="without a store"):
        read_series(INDEX, "store:sentiment/fear-greed", now=now)


def test_funding_rates_that_were_fetched_in_two_parts_and_corrected_once(tmp_path, now):
    store, name = ExternalStore(tmp_path / "store"), "funding/binance/BTC-USDT_USDT"
    settled = pd.date_range(day(1), day(9), freq="8h", name="published_at")
    rates = pd.DataFrame({"funding_rate": np.arange(len(settled)) * 1e-5}, index=settled)
    store.append(name, rates.iloc[9:], day(10))
    store.append(name, rates.iloc[:12], day(11))  # the older part, some of it again
    frame = read_series(FUNDING, f"store:{name}", now=now, store=store)
    assert "not_before" not in frame
    np.testing.assert_allclose(frame["funding_rate"], rates["funding_rate"] * 1000)
    store.append(name, rates.iloc[[20]] + 0.001, day(12))
    corrected = read_series(FUNDING, f"store:{name}", now=now, store=store)
    moments = pd.date_range(day(1), day(11), freq="4h")
    np.testing.assert_array_equal(values_at(corrected, moments, FUNDING), values_at(frame, moments, FUNDING))
    assert corrected["not_before"].max() == day(12)


def test_compressed_and_columnar_files(tmp_path, made_up, now):
    frame = read_series(FUNDING, made_up("funding_ccxt.json"), now=now)
    table = pd.DataFrame({"published_at": frame.index, "rate": frame["funding_rate"].to_numpy() / 1000})
    (tmp_path / "rates.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False, sep=";").encode()))
    table.to_feather(tmp_path / "rates.feather")
    table.set_index("published_at").to_parquet(tmp_path / "rates.parquet")
    for name in ("rates.csv.gz", "rates.feather", "rates.parquet"):
        again = read_series(FUNDING, str(tmp_path / name), now=now)
        np.testing.assert_allclose(again["funding_rate"], frame["funding_rate"], rtol=1e-12)
        assert again.index.equals(frame.index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("published_at,value,recorded_at\n2024-01-02T00:00:00Z,4,2024-01-01T00:00:00Z\n", "recorded before they were"),
        ("published_at,value,recorded_at\n2024-01-02T00:00:00Z,4,2024-01-03 00:00\n", "column recorded_at"),
        ("published_at,value\n1709337600000,4\n", "published in the future, the first at 2024-03-02"),
    ],
)
def test_stamps_that_contradict_each_other(text, message, written, now):
    with pytest.raises(SeriesError, match=message):
        read_series(INDEX, written(text), now=now)


def test_damaged_and_missing_files(tmp_path, now):
    with pytest.raises(SeriesError, match="the file is not there"):
        read_series(INDEX, str(tmp_path / "none.json"), now=now)
    (tmp_path / "half.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "latin.csv").write_bytes(b"date,value\n2024-01-01,\xe9\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"date,value\n2024-01-01,4\n" * 50)[:30])
    for name in ("half.parquet", "latin.csv", "cut.gz"):
        with pytest.raises(SeriesError, match="cannot be read"):
            read_series(INDEX, str(tmp_path / name), now=now)


def test_a_series_of_other_years_is_refused(made_up, now):
    frame = read_series(INDEX, made_up("fear_greed.json"), now=now)
    bars = pd.date_range(day(1), day(20), freq="1h")
    reach = ensure_reaches(INDEX, frame, bars)
    assert (reach.share, reach.newest) == (pytest.approx(1 - 25 / len(bars)), True)
    # The first day, whose value is not used before the second, is most of it.
    assert ensure_reaches(INDEX, frame, bars[24:]).note == ""
    assert reach.note.startswith("fear_greed is missing in 5% of the rows: published from 2024-01-01")
    ended = ensure_reaches(INDEX, frame, pd.date_range(day(2), day(30), freq="1h"))
    assert not ended.newest
    assert "of the rows, the newest row among them: published from" in ended.note
    assert "to 2024-01-20" in ended.note
    for moments in (bars - pd.Timedelta("100D"), bars + pd.Timedelta("100D")):
        with pytest.raises(UnreachedError, match="fear_greed says nothing about any bar"):
            ensure_reaches(INDEX, frame, moments)
    with pytest.raises(UnreachedError, match="empty by then"):
        ensure_reaches(
            INDEX, read_series(INDEX, made_up("fear_greed.json"), now=now, as_of=day(1) - day(2).resolution), bars
        )


def test_headlines_before_the_first_are_an_empty_series(made_up, now):
    headlines = declared("headlines")
    frame = read_series(headlines, made_up("headlines.csv"), now=now, as_of=day(1))
    assert len(frame) == 0
    with pytest.raises(UnreachedError, match="headlines says nothing"):
        ensure_reaches(headlines, frame, pd.date_range(day(1), day(2), freq="1h"))


def test_what_is_declared_is_whole():
    assert [series.name for series in DECLARED] == ["fear_greed", "funding_rate", "headlines"]
    names = [name for series in DECLARED for name in series.features]
    assert len(names) == len(set(names)) == 12
    for series in DECLARED:
        assert len(series.columns) == len(series.neutral) == len(series.formula)
        assert series.features[-2:] == (f"{series.name}_age", f"{series.name}_missing")
        assert pd.Timedelta(0) <= series.delay < series.max_age
    assert replace(INDEX, delay=pd.Timedelta("1h")).features == INDEX.features
    with pytest.raises(ParamsError, match="one of fear_greed, funding_rate, headlines"):
        declared("moods")
