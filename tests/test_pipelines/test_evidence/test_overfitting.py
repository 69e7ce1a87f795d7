import math
import time

import numpy as np
import pandas as pd
import pytest
from purgedcv import probability_of_backtest_overfitting

from pipelines.evidence.overfitting import overfitting, overfitting_among


def noise(periods: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (periods, count))


def test_the_papers_full_overfit() -> None:
    """Bailey et al. (2017), test case 1, "Full overfit": T = 1,000, N = 100, S = 8 and a PBO of 1.

    Every configuration is centred to a Sharpe ratio of exactly 0, so that what one half shows the other takes back.
    """
    values = noise(1000, 100)
    found = overfitting(pd.DataFrame(values - values.mean(axis=0)), 8)
    assert found.probability == 1.0
    assert found.probability_of_loss == 1.0
    assert found.slope == pytest.approx(-1.0, abs=0.1)


def test_sixteen_blocks_are_12_870_splits_in_less_than_a_second() -> None:
    """C(16, 8), the number of the paper's section on CSCV, where it is misprinted as 12,780."""
    values = pd.DataFrame(noise(730, 60))
    begin = time.perf_counter()
    found = overfitting(values, 16)
    assert time.perf_counter() - begin < 2.0  # 0.4 s; leaves room for a busy machine
    assert len(found.logits) == math.comb(16, 8) == 12_870


@pytest.mark.parametrize(("periods", "count", "blocks"), [(403, 7, 8), (300, 2, 6), (121, 30, 10), (64, 5, 2)])
def test_agrees_with_purgedcv(periods: int, count: int, blocks: int) -> None:
    values = noise(periods, count, seed=blocks) + 0.001 * np.arange(count) / count
    values[:, -1] = 0.0  # does nothing
    found = overfitting(pd.DataFrame(values), blocks)
    reference = probability_of_backtest_overfitting(values.T, blocks)
    assert found.probability == pytest.approx(reference.pbo, abs=1e-12)
    assert found.slope == pytest.approx(reference.slope, rel=1e-9)
    # The same splits, the other half first.
    pairs = np.column_stack([found.in_sample, found.out_of_sample])
    assert np.sort(pairs, axis=0) == pytest.approx(np.sort(reference.is_oos_performance, axis=0), abs=1e-12)
    assert np.sort(found.logits) == pytest.approx(np.sort(reference.logits), abs=1e-12)


def test_a_configuration_with_skill_is_found_again() -> None:
    values = noise(500, 20)
    values[:, 3] += 0.005
    found = overfitting(pd.DataFrame(values), 10)
    assert found.probability == 0.0
    assert found.probability_of_loss == 0.0
    assert found.logits == pytest.approx(math.log(20 / 21 / (1 / 21)))


def test_without_skill_the_choice_is_a_coin() -> None:
    found = [overfitting(pd.DataFrame(noise(160, 10, seed)), 8).probability for seed in range(200)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


def test_nothing_moves_nothing_is_below_the_median() -> None:
    still = overfitting(pd.DataFrame(np.full((40, 4), 0.1)), 4)
    assert still.probability == 0.0
    assert np.isnan(still.slope)


@pytest.mark.parametrize(
    ("shape", "blocks"), [((40, 3), 5), ((40, 3), 0), ((7, 3), 4), ((40, 1), 4)], ids=["odd", "none", "short", "alone"]
)
def test_refuses_what_cannot_be_split(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(ValueError, match="expected an even number"):
        overfitting(pd.DataFrame(noise(*shape)), blocks)


def test_refuses_what_is_not_known() -> None:
    values = pd.DataFrame(noise(40, 3))
    values.iloc[3, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        overfitting(values, 4)


def tried(values: np.ndarray, first: str = "2020-01-01", prefix: str = "") -> list[dict[str, object]]:
    """Trials as the search writes them."""
    return [
        {"trial_hash": f"{prefix}{n}", "returns": {"first": first, "values": column.tolist()}}
        for n, column in enumerate(values.T)
    ]


class TestAmongTrials:
    def test_the_most_over_the_same_days_are_compared(self) -> None:
        values = noise(100, 6)
        pruned, other = tried(values[:50], prefix="pruned "), tried(noise(100, 2), "2021-01-01", "later ")
        failed = [{"trial_hash": "failed", "returns": {}}, {"trial_hash": "never"}]
        idle = tried(np.zeros((100, 3)), prefix="idle ")
        found = overfitting_among([*pruned[:5], *other, *failed, *idle, *tried(values), *tried(values)], 8, 4)
        assert (found["trials"], found["configurations"], found["days"]) == (18, 6, 100)
        assert found["first"] == "2020-01-01"
        expected = overfitting(pd.DataFrame(values), 8)
        assert found["probability"] == expected.probability
        assert found["slope"] == expected.slope
        assert sum(found["logits"]["count"]) == found["splits"] == math.comb(8, 4)
        below = np.array(found["logits"]["count"])[np.array(found["logits"]["value"]) < 0].sum()
        assert below / found["splits"] == found["probability"]
        assert found["reason"] is None

    def test_of_equally_many_the_newest_count(self) -> None:
        both = tried(noise(100, 4), "2020-01-01", "old ") + tried(noise(100, 4), "2020-06-01", "new ")
        assert overfitting_among(both, 4, 4)["first"] == "2020-06-01"

    @pytest.mark.parametrize(
        ("trials", "reason"),
        [
            ([], "0 configurations traded over the same days; 4 are needed"),
            (tried(noise(100, 3)), "3 configurations traded over the same days; 4 are needed"),
            (tried(noise(39, 9)), "39 days are fewer than 5 for each of 8 blocks"),
        ],
    )
    def test_too_little_to_compare_is_said(self, trials: list[dict[str, object]], reason: str) -> None:
        found = overfitting_among(trials, 8, 4)
        assert found["reason"] == reason
        assert {found[key] for key in ("splits", "probability", "probability_of_loss", "slope", "logits")} == {None}
