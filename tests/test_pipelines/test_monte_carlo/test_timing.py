import itertools
import math

import numpy as np
import pandas as pd
import pytest

from pipelines.monte_carlo.timing import TimingTest, timing_test
from tests.test_pipelines.test_monte_carlo.markets import hourly
from trading.costs import Costs
from trading.errors import ParamsError
from trading.simulator import simulate


def make_positions(count: int, seed: int) -> pd.Series:
    """Runs of -1, 0 and 1."""
    rng = np.random.default_rng(seed)
    return pd.Series(np.repeat(rng.integers(-1, 2, count), rng.integers(1, 9, count))[:count].astype(float), name="p")


def seen(positions: pd.Series, shuffle: str, draws: int, seed: int = 0) -> list[np.ndarray]:
    """The shuffled positions themselves."""
    kept: list[np.ndarray] = []

    def statistic(other: pd.Series) -> float:
        kept.append(other.to_numpy())
        return 0.0

    timing_test(positions, statistic, shuffle, draws, seed)
    return kept[:-1]


def test_rotations_are_different_and_all_of_them_if_asked() -> None:
    positions = pd.Series(np.arange(12.0))
    firsts = sorted(other[0] for other in seen(positions, "rotation", 500))
    assert firsts == list(range(1, 12))
    for other in seen(positions, "rotation", 5):
        np.testing.assert_array_equal(np.roll(other, -int(other.argmin())), positions)


def test_runs_stay_whole() -> None:
    positions = (make_positions(200, 1) * np.linspace(0.5, 1.0, 200)).to_numpy()  # every size but zero is there once
    side = np.sign(positions)
    bounds = [0, *(np.flatnonzero(side[1:] != side[:-1]) + 1), 200]
    assert len(bounds) > 30
    for other in seen(pd.Series(positions), "runs", 10):
        assert not np.array_equal(other, positions)
        assert sorted(other) == sorted(positions)
        for first, last in itertools.pairwise(bounds):
            if side[first]:
                found = int(np.flatnonzero(other == positions[first])[0])
                np.testing.assert_array_equal(other[found : found + last - first], positions[first:last])


@pytest.mark.parametrize("shuffle", ["rotation", "runs"])
def test_no_skill_gives_every_p_value_equally_often(shuffle: str) -> None:
    """Under the null the p-value is uniform: the test is wrong as often as it says."""
    p_values = []
    for seed in range(300):
        returns = np.random.default_rng(1_000 + seed).standard_t(4, 400)
        positions = make_positions(400, seed)
        test = timing_test(positions, lambda p, r=returns: float(p.to_numpy() @ r), shuffle, 39, seed)
        p_values.append(test.p_value)
    for level in (0.05, 0.25, 0.5, 0.75):
        error = math.sqrt(level * (1 - level) / 300)
        assert np.mean(np.array(p_values) <= level) == pytest.approx(level, abs=3.5 * error)
    assert min(p_values) >= 1 / 40


@pytest.mark.parametrize("shuffle", ["rotation", "runs"])
def test_skill_is_found_and_costs_and_drift_are_none(shuffle: str) -> None:
    bars = hourly(600, seed=3)
    ahead = np.sign(bars["close"].shift(-2) / bars["open"].shift(-1) - 1).fillna(0.0)

    def net(positions: pd.Series) -> float:
        return simulate(
            bars, positions, Costs(fee_bps=5, spread_bps=1, slippage_bps=0), rebalance_band=0.1, bars_per_year=8760
        ).metrics["sharpe"]

    found = timing_test(ahead, net, shuffle, 40, 3)
    assert found.p_value == 1 / 41
    assert found.others.max() < found.own
    again = timing_test(ahead, net, shuffle, 40, 3)
    np.testing.assert_array_equal(found.others, again.others)
    # To be always in a market that rises is no timing: every shuffle is the same.
    assert timing_test(pd.Series(1.0, index=bars.index), net, shuffle, 20, 0).p_value == 1.0


def test_p_values_count_ties_and_the_unknown_as_at_least_as_good() -> None:
    test = TimingTest(1.0, np.array([0.0, 1.0, 2.0, math.nan]))
    assert test.p_value == 4 / 5
    assert test.error == pytest.approx(math.sqrt(0.8 * 0.2 / 5))
    assert math.isnan(TimingTest(math.nan, np.array([0.0])).p_value)
    assert math.isnan(TimingTest(math.nan, np.array([0.0])).error)


@pytest.mark.parametrize(("count", "shuffle", "draws"), [(10, "rotation", 0), (1, "rotation", 5), (10, "reversal", 5)])
def test_refuses_what_is_no_test(count: int, shuffle: str, draws: int) -> None:
    with pytest.raises(ParamsError, match=r"draws|shuffle"):
        timing_test(pd.Series(np.ones(count)), lambda _: 0.0, shuffle, draws, 0)
