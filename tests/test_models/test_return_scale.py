from dataclasses import asdict
from math import sqrt

import numpy as np
import pandas as pd
import pytest

from models.return_scale import ReturnScale
from trading.errors import ModelError


def test_scale_of_a_random_walk_is_that_of_the_normal_distribution() -> None:
    generator = np.random.default_rng(1)
    volatility = pd.Series(generator.uniform(0.001, 0.02, 200_000))
    ret = pd.Series(generator.normal(size=200_000)) * volatility * sqrt(4)
    scale = ReturnScale.fit(ret, volatility, horizon_bars=4)
    assert scale.mean_abs == pytest.approx(sqrt(2 / np.pi), rel=0.01)


def test_rows_without_a_return_or_a_moving_price_do_not_count() -> None:
    ret = pd.Series([0.02, np.nan, 0.5, -0.04, 0.1])
    volatility = pd.Series([0.01, 0.01, 0.0, 0.01, np.nan])
    assert ReturnScale.fit(ret, volatility, horizon_bars=1).mean_abs == pytest.approx(3.0)


def test_edge_is_odd_around_a_coin_flip_and_takes_numbers_and_series() -> None:
    scale = ReturnScale(mean_abs=0.8)
    assert scale.edge(0.75, 0.01, 4) == pytest.approx(0.5 * 0.8 * 0.01 * 2)
    assert scale.edge(0.5, 0.01, 4) == 0
    assert scale.edge(0.3, 0.01, 9) == pytest.approx(-scale.edge(0.7, 0.01, 9))
    edges = scale.edge(pd.Series([0.75, np.nan]), pd.Series([0.01, 0.01]), 4)
    assert edges[0] == scale.edge(0.75, 0.01, 4)
    assert np.isnan(edges[1])


def test_it_survives_the_way_through_a_spec() -> None:
    scale = ReturnScale(0.8)
    assert ReturnScale(**asdict(scale)) == scale


def test_nothing_to_measure_is_refused() -> None:
    empty = pd.Series([np.nan, 0.1])
    with pytest.raises(ModelError, match="no row has both"):
        ReturnScale.fit(empty, pd.Series([0.1, 0.0]), 1)
    with pytest.raises(ModelError, match="different bars"):
        ReturnScale.fit(empty, pd.Series([0.1, 0.0], index=[1, 2]), 1)


@pytest.mark.parametrize("size", [np.nan, -0.1, np.inf])
def test_an_impossible_scale_is_refused(size: float) -> None:
    with pytest.raises(ModelError, match="return scale"):
        ReturnScale(size)
