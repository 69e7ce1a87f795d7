"""The index in all its usual forms, and when it is public."""

import json

import numpy as np
import pandas as pd
import pytest

from pipelines.features.external import arrays_of, join
from pipelines.sentiment.declared import declared
from pipelines.sentiment.errors import SeriesError
from pipelines.sentiment.reader import read_series
from tests.workspace import ROOT

INDEX = declared("fear_greed")
SHARED = ROOT / "../shared/data"
HOUR = pd.Timedelta("1h")


def joined(frame, known_at):
    published, values, not_before = arrays_of(frame, INDEX.columns)
    return join(pd.DatetimeIndex(known_at).as_unit("ns").asi8, published, values, not_before=not_before, **INDEX.terms)


def test_every_form_of_the_same_values_is_the_same_series(made_up, written, now, tmp_path):
    records = read_series(INDEX, made_up("fear_greed.json"), now=now)
    assert records.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert records["fear_greed"].iloc[[0, -1]].tolist() == [-0.18, 0.48]
    assert len(records) == 18
    forms = [made_up("fear_greed_csv.json")]
    data = json.loads((ROOT / "tests/data/sentiment/fear_greed.json").read_text())["data"]
    table = pd.DataFrame(data)
    days = pd.to_datetime(table["timestamp"].astype(int), unit="s", utc=True)
    for number, stamps in enumerate(
        [days.dt.strftime("%Y-%m-%d"), days.dt.strftime("%Y/%m/%d"), days.dt.strftime("%m/%d/%Y"), days.astype(str)]
    ):
        csv = pd.DataFrame({"date": stamps, "fng_value": table["value"]}).iloc[::-1].to_csv(index=False)
        forms.append(written(csv, f"{number}.csv"))
    parquet = tmp_path / "days.parquet"
    pd.DataFrame({"timestamp": days.dt.tz_localize(None), "fng": table["value"].astype(int)}).to_parquet(parquet)
    lines = "\n".join(json.dumps(record) for record in data)
    for form in [*forms, str(parquet), written(json.dumps(data), "list.json"), written(lines, "lines.json")]:
        pd.testing.assert_frame_equal(read_series(INDEX, form, now=now), records)


def test_a_value_is_not_used_on_its_own_day(made_up, now):
    frame = read_series(INDEX, made_up("fear_greed.json"), now=now)
    day = pd.Timestamp("2024-01-05", tz="UTC")
    closes = pd.date_range(day, periods=51, freq="1h")
    value = joined(frame, closes).value[:, 0]
    fourth, fifth, sixth = ((x - 50) / 50 for x in (39, 35, 28))
    # A reader who takes the stamp for the day the index is about is right as well: it was out an hour after that day.
    assert set(value[1:25]) == {fourth}
    assert set(value[25:49]) == {fifth}
    assert set(value[49:]) == {sixth}


def test_changing_a_day_changes_nothing_before_that_day_is_over(made_up, now):
    frame = read_series(INDEX, made_up("fear_greed.json"), now=now)
    closes = pd.date_range("2024-01-01", "2024-01-24", freq="30min", tz="UTC")
    before = joined(frame, closes).table()
    for day in frame.index:
        changed = frame.copy()
        changed.loc[day:, "fear_greed"] = 1.0
        again = joined(changed, closes).table()
        over = closes >= day + pd.Timedelta("1D") + HOUR
        np.testing.assert_array_equal(again[~over], before[~over])
        assert (again[over & (closes <= day + INDEX.max_age), 0] == 1.0).all()


def test_two_days_that_were_not_published_are_missing_not_stale(made_up, now):
    frame = read_series(INDEX, made_up("fear_greed.json"), now=now)
    closes = pd.date_range("2024-01-09 00:00", "2024-01-12 02:00", freq="1h", tz="UTC")
    result = joined(frame, closes)
    missing = result.missing == 1.0
    # The value of the 8th is four days old at midnight of the 12th; that of the 11th is usable an hour later.
    assert closes[missing].tolist() == []
    assert result.age.max() == 4.0
    without = frame.drop(pd.Timestamp("2024-01-11", tz="UTC"))
    longer = pd.date_range("2024-01-09 00:00", "2024-01-13 02:00", freq="1h", tz="UTC")
    result = joined(without, longer)
    missing = result.missing == 1.0
    assert [longer[missing][0], longer[missing][-1]] == [
        pd.Timestamp("2024-01-12 01:00", tz="UTC"),
        pd.Timestamp("2024-01-13 00:00", tz="UTC"),
    ]
    assert set(result.value[missing, 0]) == {0.0}
    assert set(result.age[missing]) == {4.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when,value\n2024-01-01,41\n", "no column for the time"),
        ("date,close\n2024-01-01,41\nx,2\n", "no column for the index"),
        ("date,value\n01-02-2024,41\n", "day first or month first"),
        ("date,value\n01-13-2024,41\n02-01-2024,40\n13-02-2024,39\n", "day first or month first"),
        ("date,value\n2024-01-01,141\n", "no Fear & Greed Index, the first is 141"),
        ("date,value\n2024-01-01,high\n", "no numbers, the first is 'high'"),
        ("date,value\n2024-01-01,\n2024-01-02,\n", "all 2 values are missing"),
        ("timestamp,value\n2024-01-01 13:00,41\n", "name no offset"),
        ("date,value\n2024-05-01,41\n", "published in the future"),
        ("date,value\n2024-01-01,41\n2024-01-01,42\n", "two values for 2024-01-01"),
        ("date,value\n", "the file has no rows"),
        ("", "the file has no rows"),
        ('{"data": 3}', "no list of records"),
        ('{"data": [', "the file has no rows"),
        ('{"data": [\nfng_value,date\nhigh,Greed\n]}', "no column for the time"),
        ('{"data"\n: }', "the file cannot be read"),
    ],
)
def test_what_is_refused(text, message, written, now):
    with pytest.raises(SeriesError, match=message):
        read_series(INDEX, written(text), now=now)


def test_naive_times_of_day_in_parquet_are_refused(tmp_path, now):
    path = tmp_path / "naive.parquet"
    pd.DataFrame({"timestamp": pd.to_datetime(["2024-01-01 07:00"]), "value": [40]}).to_parquet(path)
    with pytest.raises(SeriesError, match="name no offset"):
        read_series(INDEX, str(path), now=now)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared market data is not there")
def test_the_real_index_is_about_the_day_that_ends_at_its_stamp():
    # What the declared delay rests on: the change at a stamp goes with the market's move of the 24 hours before that
    # midnight, and not with the move after it. So the stamp is no earlier than what the value is made of, a reader who
    # waits until the day is over waits longer than he must, and no later revision reaches back.
    file = SHARED / "fear_greed_daily_2018_2026.parquet"
    index = read_series(INDEX, str(file), now=pd.Timestamp.now("UTC"))["fear_greed"]
    bars = pd.read_parquet(SHARED / "bitvavo_BTC-EUR_1h.parquet").set_index("timestamp").sort_index()
    closes = np.log(bars["close"].set_axis(bars.index + HOUR))
    steps = index.index.to_series().diff() == pd.Timedelta("1D")
    change = index.diff()[steps]
    at, day = change.index, pd.Timedelta("1D")

    def correlation(first, last):
        move = closes.reindex(at + last).to_numpy() - closes.reindex(at + first).to_numpy()
        known = np.isfinite(move)
        return np.corrcoef(move[known], change[known])[0, 1]

    before = correlation(-day, pd.Timedelta(0))
    after, earlier = correlation(pd.Timedelta(0), day), correlation(-2 * day, -day)
    assert before > 0.55
    assert max(abs(after), abs(earlier)) < 0.1
