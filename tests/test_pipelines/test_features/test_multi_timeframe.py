"""Longer bars seen from the base bars."""

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.features.catalogue import GROUPS
from pipelines.features.multi_timeframe import contexts
from tests.test_pipelines.test_features.markets import make_bars
from trading.errors import InstrumentError


def test_a_day_is_seen_from_its_last_hour_on():
    bars = make_bars(100, start="2024-01-01 00:00")
    frame = FeatureEngine(["multi_timeframe"], "1h").batch(bars)["since_close_1d"]
    assert frame.iloc[:46].isna().all()  # its warm-up allows for a history that begins within a day
    day_close, before = bars["close"].iloc[47], bars["close"].iloc[23]
    assert frame.iloc[46] == pytest.approx(np.log(bars["close"].iloc[46] / before))
    assert frame.iloc[47] == 0.0  # 23:00 to 24:00: the day is over at its close
    assert frame.iloc[50] == pytest.approx(np.log(bars["close"].iloc[50] / day_close))


@pytest.mark.parametrize("start", range(24))
def test_the_warmup_suffices_wherever_the_history_begins(start):
    engine = FeatureEngine(["multi_timeframe"], "1h")
    bars = make_bars(500, start="2024-01-01 00:00")
    whole, later = engine.batch(bars), engine.batch(bars.iloc[start:])
    for feature in engine.features:
        known = later[feature.name].iloc[feature.warmup :]
        np.testing.assert_allclose(known, whole.loc[known.index, feature.name], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("timeframe", "expected"),
    [
        ("1m", ("5m", "30m")),
        ("5m", ("30m", "2h")),
        ("15m", ("1h", "6h")),
        ("30m", ("2h", "12h")),
        ("1h", ("4h", "1d")),
        ("2h", ("8h", "2d")),
        ("4h", ("1d", "4d")),
    ],
)
def test_which_longer_bars_stand_behind_a_timeframe(timeframe, expected):
    assert contexts(pd.Timedelta(timeframe)) == expected


@pytest.mark.parametrize("timeframe", ["1d", "7m"])
def test_no_longer_bars_for_some(timeframe):
    with pytest.raises(InstrumentError, match="no longer bars"):
        FeatureEngine(["multi_timeframe"], timeframe)
    others = [group for group in GROUPS if group not in ("multi_timeframe", "cross_asset", "sentiment")]
    assert FeatureEngine(others, timeframe).names
