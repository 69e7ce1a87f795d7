"""The clock is read at the close."""

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine


def row(stamp, timeframe="1h"):
    bar = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0}
    index = pd.DatetimeIndex([stamp], tz="UTC", name="timestamp")
    return FeatureEngine(["calendar"], timeframe).batch(pd.DataFrame(bar, index=index)).iloc[0]


def test_the_last_hour_of_sunday_closes_on_monday():
    at = row("2024-01-07 23:00")
    assert (at["hour_sin"], at["hour_cos"]) == (0.0, 1.0)
    assert (at["weekday_sin"], at["weekday_cos"]) == (0.0, 1.0)
    assert at["weekend"] == 0.0
    assert row("2024-01-07 22:00")["weekend"] == 1.0
    assert row("2024-01-05 23:00")["weekend"] == 1.0


@pytest.mark.parametrize(
    ("opens", "asia", "europe", "america"),
    [
        ("23:00", 1, 0, 0),
        ("06:00", 1, 1, 0),
        ("07:00", 0, 1, 0),
        ("12:00", 0, 1, 1),
        ("15:00", 0, 0, 1),
        ("21:00", 0, 0, 0),
    ],
)
def test_sessions(opens, asia, europe, america):
    at = row(f"2024-01-03 {opens}")
    assert [at[f"session_{name}"] for name in ("asia", "europe", "america")] == [asia, europe, america]


def test_fractions_of_hours_and_months():
    at = row("2024-02-15 11:25", "5m")
    assert np.arctan2(at["hour_sin"], at["hour_cos"]) % (2 * np.pi) == pytest.approx(2 * np.pi * 11.5 / 24)
    passed = (14 + 11.5 / 24) / 29
    assert np.arctan2(at["month_sin"], at["month_cos"]) % (2 * np.pi) == pytest.approx(2 * np.pi * passed)
    weekday = row("2024-01-03 05:00")  # a Wednesday
    assert np.arctan2(weekday["weekday_sin"], weekday["weekday_cos"]) == pytest.approx(2 * np.pi * 2 / 7)
