"""Requests are read strictly, and answers carry what the design promises."""

import pandas as pd
import pytest
from pydantic import ValidationError

from serving.contracts import Bar, NotServedError, PredictRequest, UnavailableError, bars_frame, error_response
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


def test_mistakes_are_told_apart_from_what_is_not_served():
    status, body = error_response(ServingError("what", where="where", rule="rule", remedy="do"))
    assert (status, body) == (400, {"error": "what", "where": "where", "rule": "rule", "what_to_do": "do"})
    assert error_response(NotServedError("what"))[0] == 404
    assert error_response(UnavailableError("what"))[0] == 503
