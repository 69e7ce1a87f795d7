"""More capital pays more impact, by the law that it follows, until nothing is left."""

import numpy as np
import pandas as pd
import pytest

from pipelines.stress.capacity import capacity_curve
from tests.test_pipelines.test_stress.markets import account, constant, still, wild
from trading.costs import Costs


def foreseen(bars: pd.DataFrame) -> pd.DataFrame:
    """Positions that know the next move, half of the time."""
    ahead = np.sign((bars["open"].shift(-2) - bars["open"].shift(-1)).fillna(0.0))
    return (ahead * (np.arange(len(bars)) % 2)).to_frame("X")


WHO = account(Costs(0.0, 0.0, 0.0, impact=1.0), band=0.1, participation=0.2)


def test_the_ratio_falls_from_what_it_is_without_size_and_is_halved_where_it_says() -> None:
    bars = wild(2000)
    positions = foreseen(bars)
    found = capacity_curve({"X": bars}, positions, WHO, [1e-6, 1.0, 100.0, 1000.0], 0.95)
    assert found["free_sharpe"] > 10
    assert found["sharpe"][0] == pytest.approx(found["free_sharpe"], rel=1e-3)
    assert np.all(np.diff(found["sharpe"]) < 0)
    assert all(
        low < mid < high
        for low, mid, high in zip(found["sharpe_low"], found["sharpe"], found["sharpe_high"], strict=True)
    )
    assert found["reason"] is None
    (at_half,) = capacity_curve({"X": bars}, positions, WHO, [found["half_capital"]], 0.95)["sharpe"]
    assert at_half == pytest.approx(found["free_sharpe"] / 2, rel=1e-2)


def test_impact_is_the_square_root_law_in_money() -> None:
    # Closes alternate by one percent around opens of 100: volatility is known, and opens, where it fills, are flat.
    bars = still(50, volume=400.0)
    bars["close"] = np.where(np.arange(50) % 2, 100.0, 100.0 * np.exp(0.01))
    bars["high"], bars["low"] = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    positions = constant(bars, 0.0)
    positions.iloc[30:] = 1.0
    capital = 5000.0
    found = capacity_curve({"X": bars}, positions, account(Costs(0.0, 0.0, 0.0, impact=0.7)), [capital], 0.95)
    units = capital / 100.0
    assert found["impact_cost"][0] == pytest.approx(capital * 0.7 * 0.01 * np.sqrt(units / 400.0), rel=1e-9)


def test_participation_leaves_large_capital_idle() -> None:
    bars = wild(500, volume=10.0)
    who = account(participation=0.1)
    found = capacity_curve({"X": bars}, constant(bars, 1.0), who, [10.0, 1e6], 0.95)
    assert found["exposure"][0] > 0.9
    assert found["exposure"][1] < 0.05


@pytest.mark.parametrize(
    ("bars", "sign", "reason"),
    [
        (wild(300), 0.0, "it never traded"),
        (wild(300), -1.0, "it earns nothing even without impact"),
        (wild(300, volume=1e40), 1.0, "above half of it up to 1e+12"),
        (wild(300, volume=1e-9), 1.0, "below half of it from 1 on"),
    ],
)
def test_where_there_is_no_half_it_says_why(bars: pd.DataFrame, sign: float, reason: str) -> None:
    found = capacity_curve({"X": bars}, sign * foreseen(bars), WHO, [1000.0], 0.95)
    assert found["half_capital"] is None
    assert found["reason"] == reason
