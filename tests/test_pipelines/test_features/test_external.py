"""A value is used from its publication plus the delay on, ages, and becomes neutral, in batch and stream alike."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features.external import DAY, ExternalStream, arrays_of, join
from trading.errors import EngineError, ParamsError

HOUR = 3_600_000_000_000
DECLARED = {"delay": 2 * HOUR, "max_age": 10 * HOUR, "neutral": (0.25, -0.5)}
START = 1_700_000_000_000_000_000 // HOUR * HOUR
ROWS = START + np.arange(60, dtype=np.int64) * HOUR


def slow(known_at, published, values, not_before, *, delay, max_age, neutral):
    """The rule word for word, row by row."""
    table = []
    for known in known_at.tolist():
        usable = [
            (stamp, max(stamp + delay, since), order)
            for order, (stamp, since) in enumerate(zip(published.tolist(), not_before.tolist(), strict=True))
            if max(stamp + delay, since) <= known and not np.isnan(values[order]).any()
        ]
        stamp, _, order = max(usable, default=(None, 0, 0))
        fresh = stamp is not None and known - stamp <= max_age
        age = (known - stamp) / DAY if fresh else max_age / DAY
        table.append([*(values[order] if fresh else neutral), age, 0.0 if fresh else 1.0])
    return np.array(table)


@st.composite
def series(draw, late=True):
    """Observations around 60 hourly rows: any order, equal stamps, NaN, late ones."""
    quarter = HOUR // 4
    count = draw(st.integers(0, 25))
    stamps = draw(st.lists(st.integers(-60, 260), min_size=count, max_size=count))
    published = START + np.array(stamps, dtype=np.int64) * quarter
    cells = st.floats(-5, 5) | st.just(float("nan"))
    values = np.array(draw(st.lists(st.tuples(cells, cells), min_size=count, max_size=count))).reshape(-1, 2)
    lags = draw(st.lists(st.sampled_from([0, 0, 0, 5, 30, 90] if late else [0]), min_size=count, max_size=count))
    return published, values, published + np.array(lags, dtype=np.int64) * quarter


@settings(max_examples=100, deadline=None)
@given(series())
def test_the_join_is_the_rule(given_series):
    published, values, not_before = given_series
    joined = join(ROWS, published, values, not_before=not_before, **DECLARED)
    np.testing.assert_array_equal(joined.table(), slow(ROWS, published, values, not_before, **DECLARED))


@settings(max_examples=100, deadline=None)
@given(series(), st.integers(0, 59), st.randoms())
def test_batch_and_stream_agree_bit_for_bit(given_series, saved, random):
    published, values, not_before = given_series
    # Each observation is pushed at any time before the first row that may use it, in any order among its peers.
    usable = np.maximum(published + DECLARED["delay"], not_before)
    first = np.searchsorted(ROWS, usable)
    pushed_at = [random.randint(0, int(row)) for row in first]
    order = sorted(range(len(published)), key=lambda i: pushed_at[i])
    stream = ExternalStream(**DECLARED)
    rows = []
    for number, known in enumerate(ROWS.tolist()):
        for i in order:
            if pushed_at[i] == number:
                stream.push(int(published[i]), values[i].tolist(), int(not_before[i]))
        value, age, missing = stream.at(known)
        rows.append([*value, age, missing])
        if number == saved:
            stream = ExternalStream.restored(json.loads(json.dumps(stream.state())))
    joined = join(ROWS, published[order], values[order], not_before=not_before[order], **DECLARED)
    np.testing.assert_array_equal(np.array(rows), joined.table())


@settings(max_examples=100, deadline=None)
@given(series(), series(), st.integers(0, 59))
def test_what_is_published_later_changes_nothing(given_series, other, cut):
    published, values, not_before = given_series
    known = ROWS[cut]
    late = published + DECLARED["delay"] > known
    changed = values.copy()
    changed[late] = 99.0
    another = other[0] + DECLARED["delay"] > known
    futures = (
        (published, changed, not_before),
        (published[~late], values[~late], not_before[~late]),
        tuple(np.concatenate([mine, new[another]]) for mine, new in zip(given_series, other, strict=True)),
    )
    past = join(ROWS, published, values, not_before=not_before, **DECLARED).table()[: cut + 1]
    for stamps, numbers, since in futures:
        again = join(ROWS, stamps, numbers, not_before=since, **DECLARED).table()[: cut + 1]
        np.testing.assert_array_equal(again, past)


def test_pandas_gives_the_same_values():
    rng = np.random.default_rng(3)
    published = np.sort(START + rng.choice(60 * 60, 40, replace=False) * (HOUR // 60))
    values = rng.normal(size=40)
    joined = join(ROWS, published, values, delay=2 * HOUR, max_age=10_000 * HOUR, neutral=0.0)
    left = pd.DataFrame({"known": ROWS})
    right = pd.DataFrame({"known": published + 2 * HOUR, "value": values, "published": published})
    expected = pd.merge_asof(left, right, on="known")
    assert joined.value.shape == (60,)
    np.testing.assert_array_equal(joined.value, expected["value"].fillna(0.0))
    np.testing.assert_array_equal(joined.missing, expected["value"].isna())
    known = expected["published"].notna()
    days = (expected["known"] - expected["published"])[known] / DAY
    np.testing.assert_allclose(joined.age[known], days, rtol=1e-15)


def test_the_first_and_the_last_moment_of_use():
    rows = START + np.array([2 * HOUR - 1, 2 * HOUR, 10 * HOUR, 10 * HOUR + 1])
    joined = join(rows, np.array([START]), np.array([7.0]), delay=2 * HOUR, max_age=10 * HOUR, neutral=0.5)
    assert joined.value.tolist() == [0.5, 7.0, 7.0, 0.5]
    assert joined.missing.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert joined.age.tolist() == [10 / 24, 2 / 24, 10 / 24, 10 / 24]


def test_a_late_arrival_changes_no_row_before_it_and_gives_way_to_newer_values():
    stamps = START + np.array([0, 4 * HOUR, 2 * HOUR, 3 * HOUR])
    values = np.array([1.0, 4.0, 2.0, 3.0])
    # What was published after 2 h arrives after 8 h, when something newer is known; what was after 3 h in time.
    arrived = START + np.array([0, 4 * HOUR, 8 * HOUR, 3 * HOUR])
    rows = START + np.arange(12) * HOUR
    joined = join(rows, stamps, values, delay=0, max_age=24 * HOUR, neutral=0.0, not_before=arrived)
    assert joined.value.tolist() == [1, 1, 1, 3, 4, 4, 4, 4, 4, 4, 4, 4]
    without = join(rows, stamps[:1], values[:1], delay=0, max_age=24 * HOUR, neutral=0.0)
    only_late = join(
        rows, stamps[[0, 2]], values[[0, 2]], delay=0, max_age=24 * HOUR, neutral=0.0, not_before=arrived[[0, 2]]
    )
    np.testing.assert_array_equal(only_late.table()[:8], without.table()[:8])
    assert only_late.value[8:].tolist() == [2.0] * 4
    assert only_late.age[8] == 6 / 24  # the age is that of the stamp, not of the arrival


def test_a_correction_counts_from_its_recording_and_the_last_one_stays():
    stamps = np.full(3, START)
    since = START + np.array([0, 3 * HOUR, 3 * HOUR])
    rows = START + np.arange(5) * HOUR
    joined = join(rows, stamps, np.array([1.0, 2.0, 3.0]), delay=HOUR, max_age=24 * HOUR, neutral=0.0, not_before=since)
    assert joined.value.tolist() == [0, 1, 1, 3, 3]


def test_a_push_that_comes_too_late_counts_from_the_next_row_on():
    stream = ExternalStream(delay=HOUR, max_age=24 * HOUR, neutral=0.0)
    stream.push(START, 1.0)
    assert stream.at(START + 2 * HOUR) == ((1.0,), 2 / 24, 0.0)
    stream.push(START + HOUR, 2.0)  # its moment was the row that was given already
    assert stream.at(START + 2 * HOUR) == ((1.0,), 2 / 24, 0.0)
    assert stream.at(START + 3 * HOUR) == ((2.0,), 2 / 24, 0.0)
    stream.push(START - HOUR, 9.0)  # older than what is known
    assert stream.at(START + 4 * HOUR)[0] == (2.0,)
    # The batch over what the stream was given, with its moments of arrival, says the same.
    rows = START + np.arange(2, 5) * HOUR
    stamps = START + np.array([0, HOUR, -HOUR])
    since = np.array([START, START + 2 * HOUR + 1, START + 3 * HOUR + 1])
    values = np.array([1.0, 2.0, 9.0])
    joined = join(rows, stamps, values, delay=HOUR, max_age=24 * HOUR, neutral=0.0, not_before=since)
    assert joined.value.tolist() == [1.0, 2.0, 2.0]


def test_ages_of_years_are_equal_too():
    day = 24 * HOUR
    published, known = 1_500_000_000_123_456_789, 1_500_000_000_123_456_789 + 400 * day + 1
    joined = join(
        np.array([known]), np.array([published]), np.array([1.0]), delay=0, max_age=500 * day + 7, neutral=0.0
    )
    stream = ExternalStream(delay=0, max_age=500 * day + 7, neutral=0.0)
    blank = stream.at(published - 1)
    stream.push(published, 1.0)
    assert stream.at(known) == (tuple(joined.value), joined.age[0], joined.missing[0])
    before = join(
        np.array([published - 1]), np.array([published]), np.array([1.0]), delay=0, max_age=500 * day + 7, neutral=0.0
    )
    assert blank == (tuple(before.value), before.age[0], before.missing[0])


def test_without_observations_all_is_missing():
    for values in (np.empty((0, 2)), np.full((3, 2), np.nan)):
        stamps = np.full(len(values), START)
        joined = join(ROWS, stamps, values, **DECLARED)
        assert joined.value.shape == (60, 2)
        assert (joined.value == [0.25, -0.5]).all()
        assert (joined.missing == 1.0).all()
        assert (joined.age == 10 / 24).all()


def test_a_stream_goes_forward_only():
    stream = ExternalStream(**DECLARED)
    stream.at(START)
    with pytest.raises(EngineError, match="rows are asked for in time order"):
        stream.at(START - 1)
    with pytest.raises(ValueError, match="2 are declared"):
        stream.push(START, 1.0)


@pytest.mark.parametrize(("delay", "max_age"), [(HOUR, HOUR), (2 * HOUR, HOUR), (-1, HOUR)])
def test_a_series_that_could_never_be_used_is_refused(delay, max_age):
    with pytest.raises(ParamsError, match="leave no moment"):
        ExternalStream(delay=delay, max_age=max_age, neutral=0.0)
    with pytest.raises(ParamsError, match="leave no moment"):
        join(ROWS, ROWS, ROWS * 1.0, delay=delay, max_age=max_age, neutral=0.0)


def test_a_frame_as_arrays():
    index = pd.DatetimeIndex(["2024-01-01", "2024-01-02"], tz="UTC", name="published_at")
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=index)
    published, values, not_before = arrays_of(frame, ["x"])
    assert published.tolist() == index.as_unit("ns").asi8.tolist()
    assert values.tolist() == [[1.0], [2.0]]
    assert not_before is None
    late = frame.assign(not_before=pd.DatetimeIndex([None, "2024-01-05"], tz="UTC"))
    moments = arrays_of(late, ["x"])[2]
    assert pd.DatetimeIndex(moments, tz="UTC").day.tolist() == [1, 5]
    with pytest.raises(EngineError, match="without y"):
        arrays_of(frame, ["x", "y"])
    with pytest.raises(EngineError, match="without times of publication"):
        arrays_of(frame.tz_localize(None), ["x"])
