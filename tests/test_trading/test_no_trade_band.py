import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.no_trade_band import band_positions

edges = st.lists(st.one_of(st.floats(-0.01, 0.01), st.just(math.nan)), min_size=0, max_size=60)


def series(values: list[float]) -> pd.Series:
    return pd.Series(values, index=pd.date_range("2024", periods=len(values), freq="h", tz="UTC"), dtype=float)


def by_hand(values: list[float], cost: float, hold: int, round_trips: float) -> list[float]:
    positions = []
    for t in range(len(values)):
        position = 0.0
        for edge in reversed(values[max(0, t - hold + 1) : t + 1]):
            if abs(edge) > 2 * cost * round_trips:
                position = math.copysign(1.0, edge)
                break
        positions.append(position)
    return positions


@settings(max_examples=200, deadline=None)
@given(values=edges, hold=st.integers(1, 30), cost=st.floats(0, 0.003), round_trips=st.floats(0, 2))
def test_positions_are_the_definition_row_by_row(
    values: list[float], hold: int, cost: float, round_trips: float
) -> None:
    position = band_positions(series(values), cost, hold, round_trips)
    assert list(position) == by_hand(values, cost, hold, round_trips)
    assert position.name == "position"
    assert position.dtype == float


@settings(max_examples=60, deadline=None)
@given(values=edges.filter(len), hold=st.integers(1, 10))
def test_the_last_hold_bars_rows_are_enough(values: list[float], hold: int) -> None:
    """Serving keeps only so much."""
    full = band_positions(series(values), 0.001, hold, 1.0)
    assert band_positions(series(values).iloc[-hold:], 0.001, hold, 1.0).iloc[-1] == full.iloc[-1]


def test_no_look_ahead() -> None:
    edge = series(list(np.random.default_rng(0).normal(0, 0.003, 100)))
    before = band_positions(edge, 0.001, 5, 1.0)
    edge.iloc[60:] *= -7.0
    pd.testing.assert_series_equal(band_positions(edge, 0.001, 5, 1.0).iloc[:60], before.iloc[:60])


def test_an_edge_equal_to_its_costs_does_not_trade_and_zero_costs_follow_every_sign() -> None:
    assert list(band_positions(series([0.002, -0.002]), 0.001, 3, 1.0)) == [0.0, 0.0]
    assert list(band_positions(series([1e-9, 0.0, -1e-9]), 0.0, 1, 1.0)) == [1.0, 0.0, -1.0]


def test_a_forecast_is_held_for_its_horizon_and_reversed_by_a_newer_one() -> None:
    assert list(band_positions(series([0.01, math.nan, 0.0, 0.001, 0.0]), 0.001, 3, 1.0)) == [1, 1, 1, 0, 0]
    assert list(band_positions(series([0.01, -0.01, 0.0, 0.0, 0.0]), 0.001, 3, 1.0)) == [1, -1, -1, -1, 0]


@pytest.mark.parametrize(("cost", "hold", "round_trips"), [(0.001, 0, 1.0), (-0.001, 1, 1.0), (0.001, 1, -1.0)])
def test_refuses_arguments_without_meaning(cost: float, hold: int, round_trips: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        band_positions(series([0.0]), cost, hold, round_trips)
