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
    frame = jittered(VALUES, outcome, relative_sd=0.1, draws=4_000, seed=0)
    assert list(frame.columns) == [*VALUES, "sum"]
    assert frame.index.name == "draw"
    assert frame.loc[-1, list(VALUES)].to_dict() == VALUES
    drawn = frame.loc[0:]
    assert (drawn["none"] == 0.0).all()
    assert (drawn["shift"] < 0).all()
    logs = np.log(drawn[["fee_bps", "band"]] / [7.0, 0.1])
    np.testing.assert_allclose(logs.mean(), 0.0, atol=4 * 0.1 / math.sqrt(4_000))
    np.testing.assert_allclose(logs.std(), 0.1, rtol=0.05)
    assert abs(logs.corr().iloc[0, 1]) < 0.07
    np.testing.assert_allclose(frame["sum"], frame[list(VALUES)].sum(axis=1))


def test_a_draw_is_told_by_its_number() -> None:
    few, many = (jittered(VALUES, outcome, relative_sd=0.2, draws=draws, seed=3) for draws in (3, 9))
    pd.testing.assert_frame_equal(few, many.loc[:2])
    assert not few.equals(jittered(VALUES, outcome, relative_sd=0.2, draws=3, seed=4))


@pytest.mark.parametrize(
    ("values", "relative_sd", "draws", "match"),
    [
        ({}, 0.1, 5, "0 numbers"),
        ({"a": 1.0}, 0.0, 5, "deviation"),
        ({"a": 1.0}, math.inf, 5, "deviation"),
        ({"a": 1.0}, 0.1, 0, "0 draws"),
        ({"a": 1.0, "b": math.inf}, 0.1, 5, "b is not finite"),
        ({"sum": 1.0}, 0.1, 5, r"\['sum'\]"),
    ],
)
def test_refuses_what_cannot_be_jittered(values: dict[str, float], relative_sd: float, draws: int, match: str) -> None:
    with pytest.raises(ParamsError, match=match):
        jittered(values, outcome, relative_sd=relative_sd, draws=draws, seed=0)
