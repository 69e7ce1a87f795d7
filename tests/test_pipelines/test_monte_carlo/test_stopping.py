import math

import numpy as np
import pandas as pd
import pytest

from pipelines.monte_carlo.blocks import Blocks
from pipelines.monte_carlo.bootstrap import bootstrap
from pipelines.monte_carlo.estimate import Estimate, mean, probability, quantile
from pipelines.monte_carlo.stopping import Draws, Effort, draw_until
from trading.errors import ParamsError


def repeated(estimate, sample) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors of an estimate on samples of its own."""
    found = [estimate(sample(np.random.default_rng(seed))) for seed in range(2_000)]
    return np.array([one.value for one in found]), np.array([one.error for one in found])


@pytest.mark.parametrize(
    ("estimate", "sample", "truth"),
    [
        (mean, lambda rng: rng.exponential(2.0, 300), 2.0),
        (probability, lambda rng: rng.random(300) < 0.1, 0.1),
        (lambda draws: quantile(draws, 0.5), lambda rng: rng.exponential(1.0, 400), math.log(2)),
        (lambda draws: quantile(draws, 0.95), lambda rng: rng.exponential(1.0, 400), math.log(20)),
        (lambda draws: quantile(draws, 0.05), lambda rng: rng.normal(size=400), -1.6449),
    ],
)
def test_errors_are_the_spread_of_the_estimates(estimate, sample, truth: float) -> None:
    values, errors = repeated(estimate, sample)
    assert values.mean() == pytest.approx(truth, abs=0.1 * values.std() + 4 * values.std() / math.sqrt(2_000))
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.12)
    # Two standard errors hold the truth as often as they should.
    assert np.mean(np.abs(values - truth) < 2 * errors) == pytest.approx(0.954, abs=0.03)


def test_too_few_draws_leave_the_error_open() -> None:
    assert mean([]) == probability([]) == quantile([math.nan], 0.5)
    assert math.isnan(mean([]).value)
    assert mean([3.0]) == Estimate(3.0, math.inf, 1)
    assert quantile(np.arange(10), 0.95).error == math.inf
    assert quantile(np.arange(1_000), 0.95).error < math.inf


def test_what_never_happened_is_not_known_for_impossible() -> None:
    assert probability(np.zeros(100)).value == 0.0
    assert 0.009 < probability(np.zeros(100)).error < 0.011


def test_draws_without_a_value_do_not_count() -> None:
    assert mean([1.0, math.nan, 3.0]) == Estimate(2.0, 1.0, 2)


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5, math.nan])
def test_refuses_quantiles_that_are_none(q: float) -> None:
    with pytest.raises(ParamsError, match="quantile"):
        quantile([1.0, 2.0], q)


def drawn(effort: Effort, calls: list[int] | None = None) -> Draws:
    returns = np.random.default_rng(0).normal(0, 0.01, 250)

    def draw(first: int, count: int) -> pd.DataFrame:
        if calls is not None:
            calls.append(count)
        return bootstrap(
            returns,
            Blocks("stationary", 4.0),
            paths=count,
            seed=9,
            periods_per_year=250.0,
            fan_points=0,
            first=first,
        ).statistics

    return draw_until(draw, lambda draws: quantile(draws["max_drawdown"], 0.95), effort)


def test_stops_at_the_first_look_that_is_exact_enough() -> None:
    rough = drawn(Effort(tolerance=0.004, batch=200, most=100_000))
    assert rough.stopped_by == "tolerance"
    assert rough.estimate.error <= 0.004
    before = rough.statistics.iloc[:-200]["max_drawdown"]
    assert before.empty or quantile(before, 0.95).error > 0.004
    fine = drawn(Effort(tolerance=0.002, batch=200, most=100_000))
    assert len(fine.statistics) > 2 * len(rough.statistics)


def test_stops_at_the_most_and_says_so() -> None:
    calls: list[int] = []
    spent = drawn(Effort(tolerance=0.0, batch=300, most=1_000), calls)
    assert spent.stopped_by == "most"
    assert calls == [300, 300, 300, 100]
    assert spent.estimate.draws == 1_000


def test_batches_decide_nothing_else() -> None:
    one, many = (drawn(Effort(tolerance=0.0, batch=batch, most=700)) for batch in (700, 11))
    pd.testing.assert_frame_equal(one.statistics, many.statistics)
    assert one.estimate == many.estimate


@pytest.mark.parametrize(("tolerance", "batch", "most"), [(-1, 1, 1), (math.nan, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_refuses_efforts_without_meaning(tolerance: float, batch: int, most: int) -> None:
    with pytest.raises(ParamsError, match="tolerance"):
        Effort(tolerance, batch, most)
