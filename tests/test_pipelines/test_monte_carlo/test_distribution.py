import math

import numpy as np
import pandas as pd
import pytest

from pipelines.monte_carlo import estimate
from pipelines.monte_carlo.distribution import distribution
from pipelines.monte_carlo.stopping import Draws

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "sharpe": np.where(np.arange(200) % 10, RNG.normal(size=200), np.nan),
        "total_return": RNG.normal(size=200),
        "lowest_equity": RNG.uniform(0.3, 1.0, 200),
        "exposure": 0.5,
    }
)
DRAWS = Draws(FRAME, estimate.mean(FRAME["sharpe"]), "most")


def test_each_value_has_its_error_under_the_same_name() -> None:
    found = distribution(DRAWS, 0.5, ["exposure"])
    assert (found["draws"], found["stopped_by"]) == (200, "most")
    for name in ("sharpe", "total_return", "exposure"):
        known = {"mean": estimate.mean(FRAME[name]), "p95": estimate.quantile(FRAME[name], 0.95)}
        for at, one in known.items():
            assert (found[name][at], found["errors"][name][at]) == (one.value, one.error)
    assert found["probability_of_loss"] == (FRAME["total_return"] < 0).mean()
    assert found["probability_of_ruin"] == (FRAME["lowest_equity"] <= 0.5).mean()
    ruin = found["probability_of_ruin"]
    assert found["errors"]["probability_of_ruin"] == pytest.approx(math.sqrt(ruin * (1 - ruin) / 200), rel=0.02)


def test_what_was_not_drawn_is_not_described() -> None:
    found = distribution(Draws(FRAME[["total_return"]], DRAWS.estimate, "tolerance"), 0.5)
    assert "sharpe" not in found
    assert "probability_of_ruin" not in found
