from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trading.costs import Costs
from trading.markets import bound
from trading.markets.bound import POLICIES, Policy, keep_within, sharpe_bound
from trading.markets.market import EDGES, Edge, Market, draw

USUAL = Costs(5.0, 2.0, 1.0)


def found(market: Market, costs: Costs, seed: int = 1) -> bound.Bound:
    return sharpe_bound(market, costs, seed, rows=4_000, chosen_on=2, paths=6)


@pytest.mark.parametrize("edge", [edge for edge in EDGES if edge != "none"])
def test_what_costs_leave_lies_between(edge: Edge) -> None:
    market = Market(edge, 0.6)
    free, usual, dear = (found(market, costs) for costs in (Costs(0.0, 0.0, 0.0), USUAL, Costs(20.0, 2.0, 1.0)))
    for one in (free, usual, dear):
        assert 0 <= one.lower < one.upper + 2 * (one.lower_error + one.upper_error)
    assert free.lower > usual.lower > dear.lower
    # Costs that are none eat nothing: the bounds meet.
    assert abs(free.lower - free.upper) < 3 * (free.lower_error + free.upper_error)
    assert free.policy is not None
    assert free.policy.band == 0.0
    assert usual.policy in POLICIES
    assert usual.lower > 5
    assert 0 < usual.lower_error < 2
    assert usual.paths == 6
    assert usual.rows == 4_000


def test_without_an_edge_it_is_best_to_stay_out() -> None:
    one = found(Market("none"), USUAL)
    assert (one.lower, one.lower_error, one.policy) == (0.0, 0.0, None)
    assert one.upper < 0.5


def test_costs_that_nothing_beats_leave_nothing() -> None:
    one = found(Market("interaction", 0.51), Costs(500.0, 0.0, 0.0))
    assert (one.lower, one.policy) == (0.0, None)


def test_a_seed_gives_its_bound_again() -> None:
    market = Market("linear", 0.6)
    assert found(market, USUAL) == found(market, USUAL)
    assert found(market, USUAL).lower != found(market, USUAL, seed=2).lower


def test_errors_are_standard_errors() -> None:
    """Bounds of other seeds scatter as the errors of each say."""
    market = Market("memory", 0.6)
    several = [sharpe_bound(market, USUAL, seed, rows=2_000, chosen_on=1, paths=6) for seed in range(10)]
    scatter = np.std([one.lower for one in several], ddof=1)
    assert 0.5 < scatter / np.mean([one.lower_error for one in several]) < 2


def test_paths_are_no_longer_than_the_market_has_bars() -> None:
    one = sharpe_bound(Market("linear", 0.6, "1d"), USUAL, 1, chosen_on=1, paths=2)
    assert one.rows == 25 * 365


def test_policies_use_nothing_later() -> None:
    answer = draw(Market("linear", 0.6), 300, 0).answer
    changed = answer.copy()
    changed.iloc[200:, 1] *= -1
    for policy in POLICIES:
        before, after = (policy.positions(one, 50.0) for one in (answer, changed))
        assert before.iloc[:200].equals(after.iloc[:200])
        assert before.abs().max() <= 1


@pytest.mark.parametrize("keep", [keep_within, keep_within.py_func])
def test_a_position_goes_to_the_edge_of_its_band(keep: Callable[..., Any]) -> None:
    aim = np.array([0.05, 0.3, 0.25, 0.45, -0.5, 0.0])
    np.testing.assert_allclose(keep(aim, 0.1), [0.0, 0.2, 0.2, 0.35, -0.4, -0.1])
    np.testing.assert_array_equal(keep(aim, 0.0), aim)


def test_policies_say_what_they_do() -> None:
    assert str(Policy(1, 0.3, 0.05)) == "0.3 times expected return over mean square, left alone within 0.05 of equity"
    assert "square, smoothed over 4 bars, left" in str(Policy(4, 1.0, 0.0))
