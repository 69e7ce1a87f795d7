import math

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap, optimal_block_length
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.monte_carlo import block_kernel, random_stream
from pipelines.monte_carlo.block_table import block_table, fill_records, fill_sums
from pipelines.monte_carlo.blocks import Blocks, length_table, optimal_blocks
from pipelines.monte_carlo.bootstrap import BootstrapResult, bootstrap, paired_difference
from pipelines.monte_carlo.path_statistics import path_statistics
from tests.test_pipelines.test_monte_carlo.plain import Stream, blocks_of, materialised, walked
from trading.errors import ParamsError

YEAR = 8760.0
STATISTICS = ["sharpe", "total_return", "max_drawdown", "time_under_water", "lowest_equity"]
SEVERAL = [Blocks("stationary", length) for length in (1.0, 2.5, 20.0, 400.0)] + [
    Blocks("circular", length) for length in (1, 3, 20, 400)
]


def make_returns(seed: int, count: int, drift: float = 0.0005) -> np.ndarray:
    """Returns whose neighbours depend on each other."""
    noise = np.random.default_rng(seed).standard_t(5, count + 1) * 0.01
    return noise[1:] + 0.3 * noise[:-1] + drift


def resampled(returns: object, blocks: Blocks, paths: int, seed: int, **more: int) -> BootstrapResult:
    return bootstrap(
        returns, blocks, paths=paths, seed=seed, periods_per_year=YEAR, **{"fan_points": 200, "first": 0} | more
    )


def assert_walks(returns: np.ndarray, blocks: Blocks, paths: int, seed: int) -> None:
    result = resampled(returns, blocks, paths, seed)
    paths_made = materialised(returns, paths, blocks, seed)
    expected = pd.DataFrame([walked(path) for path in paths_made])
    # From sums of returns and of squares, a deviation that is small beside the mean is known to fewer digits.
    digits = 1e-12 * (1.0 + expected["sharpe"] ** 2)
    expected["sharpe"] *= math.sqrt(YEAR)
    np.testing.assert_array_equal(result.statistics["sharpe"].isna(), expected["sharpe"].isna())
    gap = (result.statistics["sharpe"] - expected["sharpe"]).abs()
    assert not (gap > digits * (1.0 + expected["sharpe"].abs())).any()
    for name in STATISTICS[1:]:
        np.testing.assert_allclose(result.statistics[name], expected[name], rtol=1e-12, atol=1e-12, err_msg=name)
    equity = np.cumprod(np.hstack([np.ones((paths, 1)), 1 + paths_made]), axis=1)
    quantiles = np.quantile(equity[:, result.fan.index], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T
    np.testing.assert_allclose(result.fan, quantiles, rtol=1e-12)


@pytest.mark.parametrize("blocks", SEVERAL, ids=str)
@pytest.mark.parametrize("count", [2, 3, 137, 500])
def test_statistics_are_those_of_a_plain_walk(count: int, blocks: Blocks) -> None:
    assert_walks(make_returns(count, count), blocks, 40, 11)


@pytest.mark.parametrize("drift", [-0.004, 0.0, 0.004])
def test_trends_leave_nothing_out(drift: float) -> None:
    """Where peaks or troughs are everywhere, everything or nothing is a record."""
    returns = make_returns(7, 1_500, drift)
    for blocks in (Blocks("stationary", 12.0), Blocks("circular", 90)):
        assert_walks(returns, blocks, 25, 3)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**62),
    count=st.integers(2, 120),
    kind=st.sampled_from(["stationary", "circular"]),
    length=st.integers(1, 60),
    share=st.floats(0, 1),
)
def test_idle_bars_are_no_time_under_water(seed: int, count: int, kind: str, length: int, share: float) -> None:
    """A strategy that is mostly out of the market often stands exactly at its peak."""
    returns = make_returns(seed, count)
    returns[np.random.default_rng(seed).random(count) < share] = 0.0
    assert_walks(returns, Blocks(kind, length), 10, seed)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), share=st.floats(0, 1))
def test_a_path_at_hand_is_described_alike(seed: int, count: int, share: float) -> None:
    returns = make_returns(seed, count)
    returns[np.random.default_rng(seed).random(count) < share] = 0.0
    if count == 1:
        assert math.isnan(path_statistics(returns, YEAR)["sharpe"])
        return
    expected = walked(returns) | {"sharpe": walked(returns)["sharpe"] * math.sqrt(YEAR)}
    assert path_statistics(returns, YEAR) == pytest.approx(expected, rel=1e-11, abs=1e-11, nan_ok=True)


def test_a_path_is_told_by_its_number() -> None:
    returns, blocks = make_returns(1, 300), Blocks("stationary", 8.0)
    whole = resampled(returns, blocks, 50, 4).statistics
    parts = [
        resampled(returns, blocks, count, 4, first=first).statistics for first, count in ((0, 7), (7, 42), (49, 1))
    ]
    pd.testing.assert_frame_equal(pd.concat(parts), whole)
    assert whole.index.name == "path"


@pytest.mark.parametrize("kind", ["stationary", "circular"])
def test_agrees_with_arch_in_distribution(kind: str) -> None:
    returns, length, reps = make_returns(3, 400), 8, 1_500
    ours = resampled(returns, Blocks(kind, length), 6_000, 1).statistics

    def statistics(sample: np.ndarray) -> np.ndarray:
        return np.array([walked(sample)[name] for name in STATISTICS])

    peer = StationaryBootstrap if kind == "stationary" else CircularBlockBootstrap
    theirs = pd.DataFrame(peer(length, returns, seed=2).apply(statistics, reps), columns=STATISTICS)
    theirs["sharpe"] *= math.sqrt(YEAR)
    for name in STATISTICS:
        mine, reference = ours[name], theirs[name]
        error = math.sqrt(mine.var() / len(mine) + reference.var() / reps)
        assert abs(mine.mean() - reference.mean()) < 4 * error, name
        assert mine.std() == pytest.approx(reference.std(), rel=0.08), name
        grid = [0.1, 0.5, 0.9]
        np.testing.assert_allclose(mine.quantile(grid), reference.quantile(grid), atol=0.2 * reference.std())


@pytest.mark.parametrize("length", [1.0, 1.5, 5.0, 30.0, 3_000.0])
def test_stationary_blocks_are_geometric(length: float) -> None:
    """The alias table, the blocks that go on beyond it, and nothing else: against the distribution's own tail."""
    count, blocks = 60_000, Blocks("stationary", length)
    sample = np.array(
        [
            drawn
            for path in range(int(length) // 60 + 1)
            for _, drawn in blocks_of(count, blocks, 0, path)[:-1]  # the last is cut
        ]
    )
    for reach in (1, 2, int(length), int(2 * length), int(4 * length)):
        share = (1 - 1 / length) ** reach
        # Cutting the paths favours short blocks, by no more than a block in a path.
        slack = 4 * math.sqrt(share * (1 - share) / len(sample)) + 2 * length / count
        assert np.mean(sample > reach) == pytest.approx(share, abs=slack)


def test_every_return_is_drawn_equally_often() -> None:
    """Wrapping around gives the first and the last return the weight of any other."""
    n = 50
    for blocks in (Blocks("stationary", 7.0), Blocks("circular", 7)):
        for spot in (0, 1, 25, 49):
            returns = np.zeros(n)
            returns[spot] = math.e - 1  # log equity counts the times it was drawn
            times = np.log1p(resampled(returns, blocks, 4_000, spot).statistics["total_return"])
            assert times.mean() == pytest.approx(1.0, abs=4 * times.std() / math.sqrt(4_000))


def test_longer_blocks_keep_more_of_the_dependence() -> None:
    trending = np.random.default_rng(4).normal(0, 0.01, 1_000)
    trending = np.convolve(trending, np.ones(10) / 10, "same")
    spread = [
        resampled(trending, Blocks("stationary", block), 1_500, 0).statistics["total_return"].std()
        for block in (1.0, 5.0, 40.0)
    ]
    assert spread[0] < 0.7 * spread[1] < 0.6 * spread[2]


def test_the_fan_starts_at_one_and_is_in_order() -> None:
    result = resampled(make_returns(5, 400), Blocks("circular", 9), 30, 0)
    assert len(result.fan) == 200
    assert result.fan.index.name == "bar"
    assert (result.fan.index[0], result.fan.index[-1]) == (0, 400)
    assert (result.fan.iloc[0] == 1.0).all()
    assert (np.diff(result.fan.to_numpy(), axis=1) >= 0).all()
    assert list(result.fan.columns) == ["p05", "p25", "p50", "p75", "p95"]
    assert resampled(make_returns(5, 400), Blocks("circular", 9), 30, 0, fan_points=0).fan.empty


def test_seeds_differ_and_a_series_will_do() -> None:
    returns, blocks = make_returns(0, 200), Blocks("stationary", 5.0)
    first, other = (resampled(returns, blocks, 50, seed).statistics["total_return"] for seed in (1, 2))
    assert not np.allclose(first, other)
    series = resampled(pd.Series(returns), blocks, 50, 1).statistics["total_return"]
    np.testing.assert_array_equal(series, first)


def test_ruin_is_a_total_loss_not_a_nan() -> None:
    returns, blocks = make_returns(0, 60), Blocks("stationary", 4.0)
    returns[30] = -1.0
    result = resampled(returns, blocks, 500, 0)
    ruined = (materialised(returns, 500, blocks, 0) == -1.0).any(axis=1)
    assert ruined.any()
    assert not ruined.all()
    np.testing.assert_array_equal(result.statistics["total_return"] == -1.0, ruined)
    np.testing.assert_array_equal(result.statistics["max_drawdown"] == 1.0, ruined)
    np.testing.assert_array_equal(result.ruined(0.0), ruined)
    assert np.isfinite(result.fan).all(axis=None)


def test_ruin_is_at_a_fraction_of_the_start() -> None:
    returns, blocks = make_returns(2, 300, -0.001), Blocks("circular", 10)
    result = resampled(returns, blocks, 100, 0)
    equity = np.cumprod(1 + materialised(returns, 100, blocks, 0), axis=1)
    np.testing.assert_array_equal(result.ruined(0.5), equity.min(axis=1) <= 0.5)
    assert 0 < result.ruined(0.5).mean() < 1


@pytest.mark.parametrize("level", [0.0, 0.01, -0.02, 0.1])
def test_no_variance_no_sharpe(level: float) -> None:
    result = resampled(np.full(100, level), Blocks("stationary", 5.0), 10, 0).statistics
    assert result["sharpe"].isna().all()
    np.testing.assert_allclose(result["total_return"], (1 + level) ** 100 - 1, rtol=1e-12)
    assert (result["time_under_water"] == (100 if level < 0 else 0)).all()


def test_kernels_are_the_python_they_were_written_as(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks longer than records reach, records that hide others, blocks that go on: compiled or not."""
    returns = np.concatenate([make_returns(0, 200, 0.002), make_returns(1, 200, -0.002), np.zeros(20)])
    table, plainly = block_table(returns), block_table(returns)
    plainly[:] = np.zeros_like(plainly)
    fill_sums.py_func(plainly, returns)
    for name in ("returns", "squares", "level"):
        np.testing.assert_allclose(plainly[name], table[name], rtol=1e-13)
        plainly[name] = table[name]
    fill_records.py_func(plainly)
    np.testing.assert_array_equal(plainly, table)
    points = np.array([1, 4, 420])
    for blocks in (Blocks("stationary", 6.0), Blocks("stationary", 2_000.0), Blocks("circular", 9)):
        fixed = 9 if blocks.kind == "circular" else 0
        arguments = (table, fixed, length_table(blocks), points, 0, 0, 6)
        compiled = block_kernel.resample_paths(*arguments)
        with monkeypatch.context() as patch, np.errstate(over="ignore"):
            for name in ("_aliased", "_walk", "after", "scrambled", "stream"):
                patch.setattr(block_kernel, name, getattr(block_kernel, name).py_func)
            patch.setattr(block_kernel, "bit_length", lambda number: np.uint64(int(number).bit_length()))
            patch.setattr(random_stream, "scrambled", random_stream.scrambled.py_func)
            plain = block_kernel.resample_paths.py_func(*arguments)
        for left, right in zip(compiled, plain, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


def test_random_numbers_are_splitmix64s() -> None:
    """Published outputs of the reference implementation for the seed 1234567."""
    counter, outputs = np.uint64(1234567), []
    for _ in range(5):
        counter = np.uint64(block_kernel.after(counter))
        outputs.append(int(block_kernel.scrambled(counter)))
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    stream = Stream(5, 3)
    assert int(block_kernel.stream(5, 3)) == stream.counter


def test_blocks_start_anywhere() -> None:
    starts = [start for path in range(200) for start, _ in blocks_of(16, Blocks("circular", 1), 0, path)]
    counts = np.bincount(starts, minlength=16)
    assert ((counts - 200) ** 2 / 200).sum() < 37.7  # chi-squared of 15, 0.1%


# -- pairs


def test_paired_difference_resamples_both_streams_together() -> None:
    a, b = make_returns(1, 250), make_returns(2, 250)
    made = [[walked(path)["sharpe"] for path in materialised(x, 60, Blocks("stationary", 9.0), 5)] for x in (a, b)]
    expected = (np.array(made[0]) - np.array(made[1])) * math.sqrt(YEAR)
    np.testing.assert_allclose(paired_difference(a, b, 60, 9.0, 5, YEAR), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(paired_difference(a, b, 60, 9.0, 5, YEAR), -paired_difference(b, a, 60, 9.0, 5, YEAR))
    assert (paired_difference(a, a, 60, 9.0, 5, YEAR) == 0.0).all()


def test_pairs_of_similar_streams_are_told_apart_better_than_strangers() -> None:
    a = make_returns(1, 500)
    near, far = a + np.random.default_rng(0).normal(0, 0.001, 500), make_returns(9, 500)
    assert (
        paired_difference(a, near, 500, 5.0, 0, YEAR).std() < 0.3 * paired_difference(a, far, 500, 5.0, 0, YEAR).std()
    )


def test_paired_difference_refuses_streams_over_other_bars() -> None:
    a = make_returns(1, 30)
    with pytest.raises(ParamsError, match="30 and 29"):
        paired_difference(a, a[:-1], 5, 2.0, 0, YEAR)
    with pytest.raises(ParamsError, match="different bars"):
        paired_difference(pd.Series(a), pd.Series(a, index=np.arange(30) + 1), 5, 2.0, 0, YEAR)
    assert len(paired_difference(pd.Series(a), pd.Series(a), 5, 2.0, 0, YEAR)) == 5


# -- block length and arguments


def test_optimal_blocks_are_archs_and_at_least_one() -> None:
    dependent = np.convolve(np.random.default_rng(0).normal(0, 0.01, 800), np.ones(12), "valid")
    arch = optimal_block_length(dependent)
    assert optimal_blocks(dependent, "stationary") == Blocks("stationary", arch["stationary"].iloc[0])
    assert optimal_blocks(dependent, "circular") == Blocks("circular", round(arch["circular"].iloc[0]))
    assert optimal_blocks(dependent, "stationary").length > 5
    assert optimal_blocks(np.random.default_rng(1).normal(0, 0.01, 800), "circular").length >= 1
    assert optimal_blocks(np.zeros(100), "stationary") == Blocks("stationary", 1.0)


@pytest.mark.parametrize("returns", [[], [0.1], [[0.1, 0.2]], [0.1, math.nan], [0.1, math.inf], [0.1, -1.1]])
def test_refuses_returns_that_are_none(returns: list[float]) -> None:
    with pytest.raises(ParamsError, match="return"):
        resampled(returns, Blocks("stationary", 2.0), 10, 0)


@pytest.mark.parametrize(
    ("kind", "length"), [("stationary", 0.9), ("stationary", math.nan), ("stationary", math.inf), ("circular", 2.5)]
)
def test_refuses_lengths_without_meaning(kind: str, length: float) -> None:
    with pytest.raises(ParamsError, match="at least 1; a whole number"):
        Blocks(kind, length)


def test_refuses_other_kinds_and_no_paths() -> None:
    with pytest.raises(ParamsError, match="'moving'"):
        Blocks("moving", 3.0)
    with pytest.raises(ParamsError, match="0 paths"):
        resampled(make_returns(0, 20), Blocks("stationary", 2.0), 0, 0)
