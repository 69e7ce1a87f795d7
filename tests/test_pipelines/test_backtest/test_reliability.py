"""Reliability tables and what a Brier score is made of."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.backtest.reliability import brier_decomposition, reliability
from pipelines.metrics import brier

N = 4000
INDEX = pd.date_range("2020-01-01", periods=N, freq="h", tz="UTC")


def honest(seed: int = 0) -> tuple[pd.Series, pd.Series]:
    """Forecasts that come true as often as they say."""
    generator = np.random.default_rng(seed)
    said = pd.Series(generator.uniform(0.3, 0.7, N), index=INDEX)
    return said, (pd.Series(generator.random(N), index=INDEX) < said).astype(float)


def test_bins_hold_equally_many_rows_and_their_means() -> None:
    said, came = honest()
    said.iloc[7] = np.nan
    table = reliability(said, came, 1, 0.95, bins=8)
    assert sum(row["count"] for row in table) == N - 1
    assert max(row["count"] for row in table) - min(row["count"] for row in table) <= 1
    assert [row["predicted"] for row in table] == sorted(row["predicted"] for row in table)
    assert sum(row["count"] * row["observed"] for row in table) == pytest.approx(came[said.notna()].sum())


def test_intervals_hold_what_was_said_by_honest_forecasts() -> None:
    held = [
        row["observed_low"] <= row["predicted"] <= row["observed_high"]
        for seed in range(20)
        for row in reliability(*honest(seed), 1, 0.95)
    ]
    assert 0.9 < np.mean(held) < 0.99


def test_intervals_are_wider_where_labels_overlap() -> None:
    said, came = honest()
    blocks = pd.Series(np.repeat(came.to_numpy()[::20], 20), index=INDEX)
    still = pd.Series(np.repeat(said.to_numpy()[::20], 20), index=INDEX)

    def width(horizon_bars: int) -> float:
        return float(
            np.mean([r["observed_high"] - r["observed_low"] for r in reliability(still, blocks, horizon_bars, 0.95)])
        )

    assert width(20) > 2 * width(1)


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1, max_size=60),
    bins=st.integers(1, 12),
)
def test_the_parts_add_up_exactly(pairs: list[tuple[float, float]], bins: int) -> None:
    said, came = (pd.Series(values) for values in zip(*pairs, strict=True))
    parts = brier_decomposition(said, came, bins)
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    assert total == pytest.approx(brier(came, said), abs=1e-12)


def test_honest_forecasts_are_reliable_and_others_are_not() -> None:
    said, came = honest()
    plain = brier_decomposition(said, came)
    assert plain["reliability"] < 0.002
    assert plain["resolution"] == pytest.approx(said.var(), rel=0.3)
    assert plain["uncertainty"] == pytest.approx(0.25, abs=0.001)
    loud = brier_decomposition(0.5 + 2.4 * (said - 0.5), came)
    assert loud["reliability"] > 10 * plain["reliability"]
    assert loud["resolution"] == pytest.approx(plain["resolution"], rel=0.25)


def test_a_constant_forecast_resolves_nothing() -> None:
    _, came = honest()
    parts = brier_decomposition(pd.Series(float(came.mean()), index=INDEX), came)
    assert parts["reliability"] - parts["resolution"] == pytest.approx(0.0, abs=1e-12)


def test_without_a_row_there_is_no_table() -> None:
    assert reliability(pd.Series([np.nan]), pd.Series([1.0]), 1, 0.95) == []
