"""Requests are read strictly, and answers carry what the design promises."""

import pandas as pd
import pytest
from pydantic import ValidationError

from serving.contracts import (
    Bar,
    NotServedError,
    PredictRequest,
    UnavailableError,
    bars_frame,
    context_frames,
    error_response,
)
from trading.errors import ServingError

PRICES = {"open": 1, "high": 2, "low": 0.5, "close": 1.5, "volume": 3}


@pytest.mark.parametrize("stamp", ["2019-10-01T00:00:00Z", "2019-10-01T02:00:00+02:00", 1569888000000, 1569888000000.0])
def test_one_moment_in_many_spellings(stamp):
    request = PredictRequest(symbol="BTC/USD", bars=[{"timestamp": stamp, **PRICES}])
    frame = bars_frame(request.bars)
    assert frame.index[0] == pd.Timestamp("2019-10-01", tz="UTC")
    assert frame.index.name == "timestamp"
    assert frame.to_dict("records") == [{k: float(v) for k, v in PRICES.items()}]


@pytest.mark.parametrize("stamp", [1569888000, 1569888000000000, "yesterday", "2019-10-01T00:00:00", True, None])
def test_a_moment_that_could_be_another_is_refused(stamp):
    with pytest.raises(ValidationError):
        Bar(timestamp=stamp, **PRICES)


@pytest.mark.parametrize(
    "wrong", [{"symbol": 1}, {}, {"symbol": "BTC/USD", "horizon": "1h"}, {"symbol": "BTC/USD", "bars": [{"open": 1}]}]
)
def test_unknown_and_missing_keys_are_refused(wrong):
    with pytest.raises(ValidationError):
        PredictRequest(**wrong)


FLOW = {"taker_buy_volume": 1, "trades": 7}
DAY = "2019-10-01T00:00:00Z"


def test_order_flow_is_there_where_any_bar_has_it():
    plain = {"timestamp": DAY, **PRICES}
    bars = PredictRequest(symbol="BTC/USD", bars=[plain, {**plain, **FLOW}]).bars
    assert list(bars_frame(bars[:1]).columns) == ["open", "high", "low", "close", "volume"]
    both = bars_frame(bars)
    assert list(both.columns[5:]) == ["taker_buy_volume", "trades"]
    assert both["trades"].isna().tolist() == [True, False]


def test_context_holds_bars_or_observations_by_name():
    request = PredictRequest(
        symbol="BTC/USD",
        context={
            "ETH/USD": [{"timestamp": DAY, **PRICES}],
            "fear_greed": [{"published_at": 1569888000000, "value": 42}],
            "headlines": [{"published_at": DAY, "title": "up"}, {"published_at": DAY, "title": "down", "score": -1}],
            "funding_rate": [],
        },
    )
    frames = context_frames(request.context)
    assert list(frames) == ["ETH/USD", "fear_greed", "headlines"]
    assert frames["ETH/USD"].index[0] == frames["fear_greed"]["published_at"].iloc[0] == pd.Timestamp(DAY)
    assert frames["fear_greed"].drop(columns="published_at").to_dict("list") == {"value": [42.0]}
    assert frames["headlines"]["title"].tolist() == ["up", "down"]
    assert frames["headlines"]["score"].isna().tolist() == [True, False]
    assert context_frames(PredictRequest.model_validate_json(request.model_dump_json()).context).keys() == frames.keys()
    assert PredictRequest(symbol="BTC/USD", context=request.context) == request


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ([{"timestamp": DAY, "close": 1}], "open"),
        ([{"published_at": "2019-10-01", "value": 1}], "published_at"),
        ([{"published_at": DAY, "close": 1}], "bars.0.published_at"),
        ([{"published": DAY, "value": 1}], "observations.0.published_at"),
        ([{"published_at": DAY, "value": "much"}], "value"),
        ([{"published_at": DAY, "value": 1}, {"timestamp": DAY, **PRICES}], "observations.1.published_at"),
        ([{"published_at": DAY, "title": "x" * 1001}], "title"),
        ([{"value": 1}], "observations.0.published_at"),
        ([4], "observations.0"),
        ({"published_at": DAY}, "observations"),
        (4, "observations"),
        (None, "observations"),
    ],
)
def test_what_is_neither_is_refused_by_what_it_looks_like(entries, key):
    with pytest.raises(ValidationError) as caught:
        PredictRequest(symbol="BTC/USD", context={"fear_greed": entries})
    assert any(key in ".".join(map(str, issue["loc"])) for issue in caught.value.errors())


def test_no_more_series_than_anybody_reads():
    with pytest.raises(ValidationError, match="at most 50"):
        PredictRequest(symbol="BTC/USD", context={str(number): [] for number in range(51)})


def test_mistakes_are_told_apart_from_what_is_not_served():
    status, body = error_response(ServingError("what", where="where", rule="rule", remedy="do"))
    assert (status, body) == (400, {"error": "what", "where": "where", "rule": "rule", "what_to_do": "do"})
    assert error_response(NotServedError("what"))[0] == 404
    assert error_response(UnavailableError("what"))[0] == 503
