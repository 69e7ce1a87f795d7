"""Headlines are counted and averaged over trailing hours by their publication."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features.external import DAY, arrays_of, join
from pipelines.sentiment.declared import WINDOWS, declared
from pipelines.sentiment.errors import SeriesError
from pipelines.sentiment.headlines import windows
from pipelines.sentiment.reader import read_series

HEADLINES = declared("headlines")
HOUR = 3_600_000_000_000
START = 1_700_006_400_000_000_000
ROWS = START + np.arange(80, dtype=np.int64) * HOUR


def rows_of(published, not_before, scores):
    frame = windows(published, not_before, scores, HOUR)
    return join(
        ROWS,
        *arrays_of(frame, HEADLINES.columns)[:2],
        not_before=arrays_of(frame, HEADLINES.columns)[2],
        **HEADLINES.terms,
    )


def slow(published, not_before, scores):
    table = []
    for known in ROWS.tolist():
        entered = [i for i in range(len(published)) if max(published[i] + HOUR, not_before[i]) <= known]
        newest = max((published[i] for i in entered), default=None)
        fresh = newest is not None and known - newest <= 48 * HOUR
        row = []
        for hours in WINDOWS:
            inside = [scores[i] for i in entered if known < published[i] + HOUR + hours * HOUR]
            row += [np.mean(inside) if inside and fresh else 0.0, np.log1p(len(inside)) if fresh else 0.0]
        table.append([*row, (known - newest) / DAY if fresh else 2.0, 0.0 if fresh else 1.0])
    return np.array(table)


@st.composite
def headlines(draw):
    quarter = HOUR // 4
    count = draw(st.integers(1, 15))
    stamps = np.array(draw(st.lists(st.integers(-200, 330), min_size=count, max_size=count)), dtype=np.int64)
    lags = np.array(draw(st.lists(st.sampled_from([0, 0, 0, 9, 150]), min_size=count, max_size=count)), dtype=np.int64)
    scores = draw(st.lists(st.integers(-10_000, 10_000), min_size=count, max_size=count))
    published = START + stamps * quarter
    return published, published + lags * quarter, np.array(scores) / 10_000


@settings(max_examples=80, deadline=None)
@given(headlines())
def test_the_windows_are_the_rule(some):
    np.testing.assert_allclose(rows_of(*some).table(), slow(*some), atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(headlines(), st.integers(0, 79))
def test_what_is_published_later_changes_nothing(some, cut):
    published, not_before, scores = some
    late = published + HOUR > ROWS[cut]
    past = rows_of(*some).table()[: cut + 1]
    changed = np.where(late, -scores, scores)
    np.testing.assert_array_equal(rows_of(published, not_before, changed).table()[: cut + 1], past)
    if not late.all():
        rest = rows_of(published[~late], not_before[~late], scores[~late]).table()
        np.testing.assert_array_equal(rest[: cut + 1], past)


def test_a_longer_past_changes_no_bit():
    rng = np.random.default_rng(5)
    published = np.sort(START - 400 * HOUR + rng.integers(0, 470 * 60, 4000) * (HOUR // 60))
    scores = np.round(rng.uniform(-1, 1, 4000), 4)
    recent = published > START - 30 * HOUR
    whole, tail = rows_of(published, published, scores), rows_of(published[recent], published[recent], scores[recent])
    np.testing.assert_array_equal(tail.table(), whole.table())


def test_a_file_of_headlines(made_up, now):
    frame = read_series(HEADLINES, made_up("headlines.csv"), now=now)
    known = pd.DatetimeIndex(
        [
            "2024-01-01 07:00",  # 06:12 is public for less than an hour
            "2024-01-01 08:00",
            "2024-01-01 10:00",  # 09:55+02:00 was 07:55, and the repeated headline counts once
            "2024-01-02 06:00",
            "2024-01-03 01:00",  # the one with a date only is out when its day is over
            "2024-01-04 14:00",
            "2024-01-05 00:00",  # two days after the newest
            "2024-01-05 01:00",
            "2024-01-05 12:00",
            "2024-01-05 13:00",
        ],
        tz="UTC",
    )
    published, values, not_before = arrays_of(frame, HEADLINES.columns)
    joined = join(known.as_unit("ns").asi8, published, values, not_before=not_before, **HEADLINES.terms)
    table = pd.DataFrame(joined.table(), columns=HEADLINES.features, index=known)
    assert np.expm1(table["headlines_count_24h"]).round(9).tolist() == [0, 1, 2, 3, 2, 0, 0, 0, 1, 2]
    assert np.expm1(table["headlines_count_4h"]).round(9).tolist() == [0, 1, 2, 0, 1, 0, 0, 0, 1, 2]
    assert table["headlines_missing"].tolist() == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    scam, nodes = table["headlines_score_4h"].iloc[1], 0.0
    assert scam < -0.3
    assert table["headlines_score_4h"].iloc[2] == pytest.approx((scam + nodes) / 2)
    assert table["headlines_score_4h"].iloc[8] > 0.5
    assert table["headlines_score_4h"].iloc[9] < table["headlines_score_4h"].iloc[8]


def test_scores_from_elsewhere_are_taken_and_the_lexicon_fills_the_rest(written, now):
    text = "published_at,title,score\n2024-01-01T06:00:00Z,Great success,-0.5\n2024-01-01T07:00:00Z,Great success,\n"
    asked = []

    def score(texts):
        asked.extend(texts)
        return np.array([0.75] * len(texts))

    frame = read_series(HEADLINES, written(text), now=now, score=score)
    assert asked == ["Great success"]
    assert frame["headlines_score_4h"].iloc[1] == 0.125
    only = written("published_at,score\n2024-01-01T06:00:00Z,0.5\n2024-01-01T06:00:00Z,0.5\n", "scores.csv")
    frame = read_series(HEADLINES, only, now=now, score=None)
    assert np.expm1(frame["headlines_count_4h"].iloc[0]) == pytest.approx(2.0)  # two headlines of one minute, not one


def test_times_as_feeds_write_them(written, now):
    text = '{"pubDate": "Mon, 01 Jan 2024 06:30:00 GMT", "title": "a"}\n'
    text += '{"pubDate": "Mon, 1 Jan 2024 06:45:00 +0100", "title": "b"}'
    frame = read_series(HEADLINES, written(text, "feed.json"), now=now)
    assert frame.index.unique().strftime("%H:%M").tolist() == ["05:45", "06:30"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("published_at,text\n2024-01-01T06:00:00Z,x\n", "no column for headlines"),
        ("timestamp,title\n2024-01-01T06:00:00Z,x\n", "rename timestamp to published_at"),
        ("published_at,title\n2024-01-01 06:00:00,x\n", "1 of 1 stamps name no offset"),
        ("published_at,title\n2024-01-01T06:00:00Z,\n", "all 1 headlines are empty"),
        ("published_at,score\n2024-01-01T06:00:00Z,7\n", r"scale scores to \[-1, 1\]"),
        ("published_at,title\nyesterdayZ,x\n", "stamps are no times"),
        ("published_at,title\n2024-01-01T06:00:00Z,x\n2024-01-01T07:00:00Z,x\n,y\n", "the first in row 3"),
    ],
)
def test_what_is_refused(text, message, written, now):
    with pytest.raises(SeriesError, match=message):
        read_series(HEADLINES, written(text), now=now)
