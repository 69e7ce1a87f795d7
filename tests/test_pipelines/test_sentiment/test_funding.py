"""Funding rates from ccxt's records and from tables."""

import pandas as pd
import pytest

from pipelines.sentiment.declared import declared
from pipelines.sentiment.errors import SeriesError
from pipelines.sentiment.reader import read_series

FUNDING = declared("funding_rate")


def test_unified_records(made_up, now):
    frame = read_series(FUNDING, made_up("funding_ccxt.json"), now=now)
    assert frame["funding_rate"].tolist() == pytest.approx(
        [0.1, 0.12, 0.31, 0.45, 0.1, -0.05, -0.2, 0.1, 0.1, 5.0, 0.25, 0.1]
    )
    assert frame.index[1] == pd.Timestamp("2024-01-01 08:00:00.003", tz="UTC")


def test_a_table_says_when_rates_were_published(written, now):
    rows = "2024-01-01T08:00:00Z,0.0001\n2024-01-01T00:00:00Z,-0.0002\n2024-01-01T16:00:00Z,\n"
    frame = read_series(FUNDING, written(f"published_at,funding_rate\n{rows}"), now=now)
    assert frame["funding_rate"].tolist() == [-0.2, 0.1]
    with pytest.raises(SeriesError, match="rename timestamp to published_at"):
        read_series(FUNDING, written(f"timestamp,funding_rate\n{rows}"), now=now)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("published_at,close\n2024-01-01T00:00:00Z,1\n", "no column for the funding rate"),
        ("published_at,rate\n2024-01-01T00:00:00Z,0.5\n", "divide rates in percent by 100"),
        ("rate,event\n0.0001,x\n", "what to do: add published_at"),
        (
            "published_at,symbol,rate\n2024-01-01T00:00:00Z,BTC,0.0001\n2024-01-01T00:00:00Z,ETH,0.0001\n",
            "several markets: BTC, ETH",
        ),
    ],
)
def test_what_is_refused(text, message, written, now):
    with pytest.raises(SeriesError, match=message):
        read_series(FUNDING, written(text), now=now)
