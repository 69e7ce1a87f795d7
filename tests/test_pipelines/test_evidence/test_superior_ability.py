import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap

from pipelines.evidence.superior_ability import against_baselines, long_run_deviation, superior_ability


def noise(periods: int, count: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(0.0, 0.01, (periods, count)))


def written_out(d: np.ndarray, block: int, paths: int, seed: int) -> list[float]:
    """Hansen's (2005) statistic, three recentred means and kernel estimate of the variance, one number at a time."""
    n, models = d.shape
    mean = d.mean(axis=0)
    q, omega = 1 / block, np.zeros(models)
    for k in range(models):
        for i in range(n):
            kernel = 0.5 if i == 0 else (n - i) / n * (1 - q) ** i + i / n * (1 - q) ** (n - i)
            omega[k] += 2 * kernel * sum((d[j, k] - mean[k]) * (d[i + j, k] - mean[k]) for j in range(n - i)) / n
    omega = np.sqrt(omega)
    statistic = max(np.max(np.sqrt(n) * mean / omega), 0.0)
    threshold = -omega * np.sqrt(2 * np.log(np.log(n)) / n)
    g = [np.maximum(mean, 0.0), np.where(mean >= threshold, mean, 0.0), mean]
    above = np.zeros(3)
    for (drawn,), _ in StationaryBootstrap(block, d, seed=seed).bootstrap(paths):
        above += [max(np.max(np.sqrt(n) * (drawn.mean(axis=0) - gone) / omega), 0.0) > statistic for gone in g]
    return list((above + 1) / (paths + 1))


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_the_paper_writes(seed: int) -> None:
    """Models of very different spread, one of them hopeless; ``arch`` alone would listen to the loudest."""
    values = noise(60, 4, seed) * [1.0, 30.0, 0.1, 1.0] + [0.001, 0.0, 0.0001, -0.02]
    found = superior_ability(values, 3, 150, seed)
    assert list(found.values()) == pytest.approx(written_out(values.to_numpy(), 3, 150, seed), abs=1e-12)
    assert found["lower"] <= found["consistent"] <= found["upper"]


def test_without_skill_it_rejects_as_often_as_it_should() -> None:
    """The size of Hansen's (2005) simulations, n = 200: with all models as good as the benchmark the level is 5%."""
    found = [superior_ability(noise(200, 5, seed), 1, 199, seed) for seed in range(400)]
    rejected = pd.DataFrame(found).lt(0.05).mean()
    # Three standard errors of 400 samples are 0.033.
    assert rejected["consistent"] == pytest.approx(0.05, abs=0.033)
    assert rejected["upper"] <= rejected["consistent"] <= rejected["lower"]


def test_hopeless_models_do_not_hide_a_good_one() -> None:
    """The paper's reason for the test: they raise the upper p-value (of the reality check), not the consistent one."""
    good = noise(250, 1, 3) + 0.0013
    hopeless = noise(250, 60, 4) * 3 - 0.02
    alone = superior_ability(good, 1, 999, 0)
    among = superior_ability(pd.concat([good, hopeless], axis=1), 1, 999, 0)
    assert among["consistent"] == pytest.approx(alone["consistent"], abs=0.005)
    assert among["upper"] > alone["upper"] + 0.05


def test_where_no_model_is_better_there_is_nothing_to_explain() -> None:
    assert set(superior_ability(noise(50, 3) - 0.02, 2, 50, 0).values()) == {1.0}


def test_the_same_seed_is_the_same_number() -> None:
    values = noise(90, 3) + 0.001
    assert superior_ability(values, 4, 200, 5) == superior_ability(values, 4, 200, 5)


def test_the_error_is_that_of_bootstrap_means() -> None:
    values = noise(300, 1).rolling(4).mean().dropna().to_numpy()
    drawn = StationaryBootstrap(10, values, seed=1).apply(np.mean, 4000)
    assert long_run_deviation(values, 10)[0] == pytest.approx(np.sqrt(len(values)) * drawn.std(), rel=0.03)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.DataFrame(np.zeros((9, 0))), "expected models"),
        (noise(2, 1), "expected models"),
        (noise(9, 1).replace(to_replace=noise(9, 1).iloc[3, 0], value=np.nan), "all finite"),
        (pd.DataFrame({"a": [0.1] * 9}), "all the same"),
    ],
)
def test_refuses_what_it_cannot_compare(values: pd.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        superior_ability(values, 2, 50, 0)


class TestAgainstBaselines:
    @staticmethod
    def streams(edge: float, days: int = 300) -> pd.DataFrame:
        index = pd.date_range("2019-01-01", periods=24 * days, freq="h", tz="UTC", name="timestamp")
        drawn = np.random.default_rng(1).normal(0, 0.002, (len(index), 3))
        frame = pd.DataFrame(drawn, index=index, columns=["vote", "lstm", "buy_and_hold"])
        return frame.assign(vote=frame["vote"] + edge / 24, reversal=frame["buy_and_hold"] * -1 - 0.001)

    def test_the_hardest_baseline_decides(self) -> None:
        found = against_baselines(self.streams(0.004), ["vote", "lstm"], 400, 3)
        assert found["days"] == 300
        assert list(found["against"]) == ["flat", "buy_and_hold", "reversal"]
        assert found["probability"] < 0.01
        assert found["probability"] == max(one["vote"]["consistent"] for one in found["against"].values())
        assert found["against"]["flat"]["daily_difference"] == pytest.approx(0.004, abs=0.002)
        nothing = against_baselines(self.streams(-0.004), ["vote", "lstm"], 400, 3)
        assert nothing["against"]["reversal"]["vote"]["consistent"] < 0.01
        assert nothing["probability"] == 1.0
        assert nothing["hardest"] == "flat"

    def test_a_vote_that_never_traded_has_no_p_value_but_the_others_have(self) -> None:
        still = self.streams(0.0).assign(vote=0.0)
        found = against_baselines(still, ["vote", "lstm"], 100, 3)
        assert found["probability"] is None
        assert found["hardest"] is None
        assert found["reason"] == "the vote's returns do not differ from flat by more than a constant"
        assert found["against"]["flat"]["vote"] is None
        assert found["against"]["flat"]["any"] is not None
        assert found["against"]["buy_and_hold"]["vote"] is not None

    def test_few_days_are_no_sample(self) -> None:
        found = against_baselines(self.streams(0.0, days=19), ["vote", "lstm"], 100, 3)
        assert found["probability"] is None
        assert found["reason"] == "19 days are fewer than 20"
        assert found["against"]["reversal"]["any"] is None
