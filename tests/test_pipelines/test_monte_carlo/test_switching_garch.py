import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from arch import arch_model
from scipy import stats

from pipelines.monte_carlo import switching_garch
from pipelines.monte_carlo.fit_switching_garch import FEWEST_RETURNS, fit_switching_garch
from pipelines.monte_carlo.switching_garch import (
    CAP,
    SwitchingGarch,
    capped,
    filtered,
    long_run,
    news,
    simulated,
    transitions,
)
from trading.errors import BarError, ModelError, TooFewBarsError

PLAIN = SwitchingGarch(0.0, 0.01, 0.08, 0.90, (1.0,), (1.0,), 0.0, 1.0)


def make(ratio: float = 2.5, stay: tuple[float, ...] = (0.995, 0.99), share: float = 0.03) -> SwitchingGarch:
    """Two regimes, GARCH and jumps."""
    ratios = np.array([1.0, ratio])
    multipliers = ratios / math.sqrt(long_run(np.array(stay)) @ ratios**2)
    return SwitchingGarch(0.0, 0.01, 0.06, 0.92, tuple(multipliers), stay, share, 4.0)


def drawn(model: SwitchingGarch, count: int, seed: int, cap: float = CAP) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    start = long_run(np.array(model.stay))
    return simulated(rng.standard_normal(count), rng.random((count, 2)), *model.arrays(), start, cap)


def likelihood(model: SwitchingGarch, moves: np.ndarray, cap: float = CAP) -> tuple[float, np.ndarray]:
    return filtered(moves, *model.arrays(), long_run(np.array(model.stay)), cap)


def test_without_regimes_and_jumps_it_is_archs_garch() -> None:
    moves, scales = drawn(PLAIN, 3_000, 0, cap=np.inf)
    ours, seen = likelihood(PLAIN, moves, cap=np.inf)
    garch = arch_model(moves, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    omega = PLAIN.level**2 * (1 - PLAIN.alpha - PLAIN.beta)
    bounds = np.tile([0.0, 1.0], (len(moves), 1))
    parameters = np.array([omega, PLAIN.alpha, PLAIN.beta])
    variance = garch.volatility.compute_variance(parameters, moves, np.empty_like(moves), PLAIN.level**2, bounds)
    np.testing.assert_allclose(seen**2, variance, rtol=1e-12)
    np.testing.assert_allclose(scales, seen, rtol=1e-12)  # what is simulated is what is filtered
    theirs = garch.distribution.loglikelihood(np.empty(0), moves, variance)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_fits_like_arch_where_arch_is_right() -> None:
    moves, _ = drawn(PLAIN, 8_000, 1)
    found = fit_switching_garch(moves, 1)
    theirs = arch_model(100 * moves, mean="Constant", vol="GARCH", p=1, q=1).fit(disp="off")
    error = theirs.std_err
    assert found.recursion.alpha == pytest.approx(theirs.params["alpha[1]"], abs=1.5 * error["alpha[1]"])
    assert found.recursion.beta == pytest.approx(theirs.params["beta[1]"], abs=1.5 * error["beta[1]"])
    assert found.log_likelihood > theirs.loglikelihood + len(moves) * math.log(100) - 5


def test_the_filter_is_hamiltons() -> None:
    """Constant volatility in two regimes: the likelihood is that of every path of regimes, added up."""
    model = replace(make(ratio=3.0, stay=(0.8, 0.7)), alpha=0.0, beta=0.0)
    moves, _ = drawn(model, 8, 2)
    chain, start = transitions(np.array(model.stay)), long_run(np.array(model.stay))
    total = 0.0
    for path in np.ndindex(*[2] * len(moves)):
        weight = start[path[0]] * np.prod([chain[a, b] for a, b in itertools.pairwise(path)])
        widths = model.level * np.array(model.multipliers)[list(path)]
        density = 0.97 * stats.norm.pdf(moves, 0, widths) + 0.03 * stats.norm.pdf(moves, 0, 4.0 * widths)
        total += weight * density.prod()
    assert likelihood(model, moves)[0] == pytest.approx(math.log(total), rel=1e-12)


def test_a_capped_move_is_no_news_on_average() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal(400_000)
    for size in (0.3, 1.0, 5.0):
        sample = np.minimum(size * z**2, 9.0)
        assert capped(size, 9.0) == pytest.approx(sample.mean(), abs=5 * sample.std() / math.sqrt(len(z)))
    belief, squares, jump = np.array([0.7, 0.3]), np.array([0.4, 2.4]), np.array([0.05, 16.0])
    regime, jumped = rng.random(len(z)) < 0.3, rng.random(len(z)) < 0.05
    moves = 2.0 * np.where(regime, 2.4, 0.4) * np.where(jumped, 16.0, 1.0) * z**2
    told = np.array([news(move, 2.0, belief, squares, jump, CAP) for move in moves[:50_000]])
    assert told.mean() == pytest.approx(2.0, abs=5 * told.std() / math.sqrt(len(told)))
    assert told.max() < 2.0 * CAP * 2


def test_volatility_returns_to_its_level() -> None:
    model = make()
    moves, _ = drawn(model, 400_000, 3)
    expected = model.level * math.sqrt(1 + 0.03 * 15)
    batches = np.sqrt((moves.reshape(20, -1) ** 2).mean(axis=1))
    assert batches.mean() == pytest.approx(expected, rel=0.15)
    assert stats.kurtosis(moves) > 5


def test_regimes_last_as_long_as_they_should() -> None:
    stay = np.array([0.99, 0.95, 0.98])
    chain, share = transitions(stay), long_run(stay)
    np.testing.assert_allclose(chain.sum(axis=1), 1.0)
    np.testing.assert_allclose(share @ chain, share)
    assert chain[0, 2] == chain[2, 0] == 0.0
    assert chain[1, 0] == chain[1, 2]
    model = SwitchingGarch(0.0, 1.0, 0.0, 0.0, (0.5, 1.0, 2.0), tuple(stay), 0.0, 1.0)
    _, scales = drawn(model, 200_000, 0)
    np.testing.assert_allclose([(scales == level).mean() for level in (0.5, 1.0, 2.0)], share, rtol=0.12)


def test_recovers_the_parameters_of_its_own_simulation() -> None:
    model = make()
    fits = [fit_switching_garch(drawn(model, 12_000, seed)[0], 2).recursion for seed in range(5)]

    def check(truth: float, values: list[float], room: float) -> None:
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert abs(np.mean(values) - truth) < max(4 * error, room)

    check(model.alpha, [fit.alpha for fit in fits], 0.01)
    check(model.beta, [fit.beta for fit in fits], 0.02)
    check(2.5, [fit.multipliers[1] / fit.multipliers[0] for fit in fits], 0.15)
    for regime in (0, 1):
        lasts = [math.log(1 / (1 - fit.stay[regime])) for fit in fits]
        check(math.log(1 / (1 - model.stay[regime])), lasts, 0.25)
    check(model.jump_share, [fit.jump_share for fit in fits], 0.004)
    check(model.jump_scale, [fit.jump_scale for fit in fits], 0.2)
    check(model.level, [fit.level for fit in fits], 0.0015)


def test_more_regimes_fit_no_worse() -> None:
    moves, _ = drawn(make(), 4_000, 4)
    found = [fit_switching_garch(moves, regimes) for regimes in (1, 2)]
    assert found[1].log_likelihood > found[0].log_likelihood + 20
    again = fit_switching_garch(moves, 2)
    assert again.recursion == found[1].recursion


def test_kernels_are_the_python_they_were_written_as(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(stay=(0.8, 0.7))  # regimes that change while one looks
    rng = np.random.default_rng(0)
    draws = (rng.standard_normal(60), rng.random((60, 2)))
    calm = replace(model, jump_share=0.0)
    without = likelihood(calm, draws[0])[0]
    tables = (*model.arrays(), long_run(np.array(model.stay)), CAP)
    compiled = simulated(*draws, *tables)
    seen = filtered(compiled[0], *tables)
    plain = filtered(compiled[0], *model.arrays(), tables[3], np.inf)
    for name in ("advanced", "learned", "capped", "news", "jump_square"):
        monkeypatch.setattr(switching_garch, name, getattr(switching_garch, name).py_func)
    for left, right in zip(simulated.py_func(*draws, *tables), compiled, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)
    assert filtered.py_func(draws[0], *calm.arrays(), tables[3], CAP)[0] == pytest.approx(without, rel=1e-12)
    for cap, expected in ((CAP, seen), (np.inf, plain)):
        found = filtered.py_func(compiled[0], *model.arrays(), tables[3], cap)
        assert found[0] == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)


def test_refuses_what_it_cannot_fit() -> None:
    moves = drawn(PLAIN, 2_000, 0)[0]
    with pytest.raises(ModelError, match="4 regimes"):
        fit_switching_garch(moves, 4)
    with pytest.raises(TooFewBarsError, match="999 returns"):
        fit_switching_garch(moves[: FEWEST_RETURNS - 1], 2)
    with pytest.raises(BarError, match="60% of the returns are zero"):
        fit_switching_garch(np.where(np.arange(2_000) % 5 < 3, 0.0, moves), 2)
    with pytest.raises(BarError, match="1 are not finite"):
        fit_switching_garch(np.where(np.arange(2_000) == 7, np.nan, moves), 2)


def test_says_when_no_search_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    real = scipy.optimize.minimize
    monkeypatch.setattr(scipy.optimize, "minimize", lambda *a, **k: real(*a, **(k | {"options": {"maxiter": 1}})))
    with pytest.raises(ModelError, match="no maximum of the likelihood"):
        fit_switching_garch(drawn(make(), 1_500, 0)[0], 2)
