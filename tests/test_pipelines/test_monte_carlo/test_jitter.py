import math

import numpy as np
import pandas as pd
import pytest

from pipelines.monte_carlo.jitter import jittered
from trading.errors import ParamsError

VALUES = {"fee_bps": 7.0, "band": 0.1, "none": 0.0, "shift": -2.0}


def outcome(values: dict[str, float]) -> dict[str, float]:
    return {"sum": sum(values.values())}


def test_numbers_are_a_little_off_and_keep_their_sign() -> None:
    frame = jittered(VALUES, outcome, relative_sd=0.1, count=4_000, seed=0)
    assert list(frame.columns) == [*VALUES, "sum"]
    assert frame.index.name == "draw"
    assert (frame["none"] == 0.0).all()
    assert (frame["shift"] < 0).all()
    logs = np.log(frame[["fee_bps", "band"]] / [7.0, 0.1])
    np.testing.assert_allclose(logs.mean(), 0.0, atol=4 * 0.1 / math.sqrt(4_000))
    np.testing.assert_allclose(logs.std(), 0.1, rtol=0.05)
    assert abs(logs.corr().iloc[0, 1]) < 0.07
    np.testing.assert_allclose(frame["sum"], frame[list(VALUES)].sum(axis=1))


def test_a_draw_is_told_by_its_number() -> None:
    whole = jittered(VALUES, outcome, relative_sd=0.2, count=9, seed=3)
    pd.testing.assert_frame_equal(whole.loc[3:], jittered(VALUES, outcome, relative_sd=0.2, count=6, seed=3, first=3))
    assert not whole.equals(jittered(VALUES, outcome, relative_sd=0.2, count=9, seed=4))


@pytest.mark.parametrize(
    ("values", "relative_sd", "count", "match"),
    [
        ({}, 0.1, 5, "0 numbers"),
        ({"a": 1.0}, 0.0, 5, "deviation"),
        ({"a": 1.0}, math.inf, 5, "deviation"),
        ({"a": 1.0}, 0.1, 0, "0 draws"),
        ({"a": 1.0, "b": math.inf}, 0.1, 5, "b is not finite"),
        ({"sum": 1.0}, 0.1, 5, r"\['sum'\]"),
    ],
)
def test_refuses_what_cannot_be_jittered(values: dict[str, float], relative_sd: float, count: int, match: str) -> None:
    with pytest.raises(ParamsError, match=match):
        jittered(values, outcome, relative_sd=relative_sd, count=count, seed=0)
