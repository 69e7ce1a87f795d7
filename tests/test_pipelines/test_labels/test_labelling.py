"""Every method with every weight: the contract is kept, and nothing in a row is known later than it says."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels.direction import direction_labels
from pipelines.labels.labelling import make_labels
from pipelines.params import LabelParams, TripleBarrierParams
from pipelines.schemas import checked, label_schema
from tests.test_pipelines.test_labels.conftest import another_end, markets
from trading.costs import Costs
from trading.instrument import Instrument

HOURLY = Instrument("BTC/USD", "1h")
COSTS = Costs(fee_bps=5.0, spread_bps=2.0, slippage_bps=1.0)
METHODS, WEIGHTS = ("direction", "triple_barrier"), ("none", "uniqueness", "return")


def asked(method, weights, round_trips=1.0, width=0.5):
    barriers = TripleBarrierParams(width=width, volatility_bars=4, round_trips=round_trips)
    return LabelParams(horizons=["4h"], method=method, weights=weights, oldest_weight=1.0, triple_barrier=barriers)


@pytest.mark.parametrize(("method", "weights"), list(product(METHODS, WEIGHTS)))
def test_real_bars_with_gaps_keep_the_contract(method, weights, bars):
    bars = bars.drop(bars.index[[70, 71, 400]])
    labels = make_labels(bars, HOURLY, "12h", asked(method, weights), COSTS)
    checked(labels, label_schema(), "labels")
    assert labels["label"].notna().mean() > 0.9
    assert labels["gap"].any()
    assert ("weight" in labels) == ("uniqueness" in labels) == (weights != "none")
    assert ("horizon_ret" in labels) == (method == "triple_barrier")


def test_the_plain_labels_are_what_they_were(bars):
    labels = make_labels(bars, HOURLY, "4h", asked("direction", "none"), COSTS)
    pd.testing.assert_frame_equal(labels, direction_labels(bars, HOURLY, "4h"))


@settings(max_examples=40, deadline=None)
@given(markets(min_size=12), st.sampled_from(METHODS), st.sampled_from(["uniqueness", "return"]), st.integers(0, 99))
def test_a_weight_is_known_when_its_label_is(bars, method, weights, seed):
    true = make_labels(bars, HOURLY, "4h", asked(method, weights), COSTS)
    for moment in bars.index[[len(bars) // 2, -2]]:
        other = make_labels(another_end(bars, moment, seed), HOURLY, "4h", asked(method, weights), COSTS)
        known = true["t_end"] <= moment
        columns = ["label", "ret", "t_end", "weight", "uniqueness"]
        # To the last bit: a refit under another future must not move.
        pd.testing.assert_frame_equal(
            true.loc[known, columns], other.loc[known[known].index, columns], check_freq=False, check_exact=True
        )


def test_a_running_horizon_makes_labels_as_common_as_it_is_long(bars):
    labels = make_labels(bars, HOURLY, "4h", asked("direction", "uniqueness"), COSTS)
    assert labels["weight"].iloc[10:-10].to_numpy() == pytest.approx(0.25)
    early = make_labels(bars, HOURLY, "4h", asked("triple_barrier", "uniqueness"), COSTS)
    assert early["weight"].mean() > 0.3  # barriers end labels early, so they share less


def test_the_weight_by_return_is_larger_where_the_price_moved(bars):
    labels = make_labels(bars, HOURLY, "4h", asked("direction", "return"), COSTS).iloc[10:-10]
    assert labels["weight"].to_numpy() == pytest.approx(np.abs(np.log1p(labels["ret"])).to_numpy() / 4)


def test_barriers_lie_beyond_the_costs(bars):
    def touched(round_trips):
        return make_labels(bars, HOURLY, "12h", asked("triple_barrier", "none", round_trips, 0.1), COSTS)

    inside = touched(3.0)
    met = inside["ret"][inside["touch"].abs() == 1]
    assert met.abs().min() >= 3 * 2 * COSTS.per_side
    assert touched(0.0)["ret"].abs().median() < met.abs().min()
