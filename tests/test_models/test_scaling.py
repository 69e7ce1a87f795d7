"""The scale of features: against scikit-learn, and against rows that nobody should believe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler as Reference

from models.scaling import CLIP, RobustScaler
from models.windows import Float32


def table(*columns: object) -> Float32:
    return np.ascontiguousarray(np.column_stack([np.asarray(column, dtype=np.float32) for column in columns]))


def fit(values: Float32) -> RobustScaler:
    return RobustScaler.fit(values, np.arange(len(values)))


def test_it_is_scikit_learns_scaler_where_quartiles_are_apart() -> None:
    generator = np.random.default_rng(0)
    values = table(generator.normal(3, 2, 501), generator.standard_t(3, 501) * 1e-9, generator.exponential(1e6, 501))
    reference = Reference(unit_variance=True).fit(values.astype(np.float64))
    scaler = fit(values)
    np.testing.assert_allclose(scaler.centre, reference.center_, rtol=1e-6)
    np.testing.assert_allclose(scaler.scale, reference.scale_, rtol=1e-6)
    expected = np.clip(reference.transform(values.astype(np.float64)), -CLIP, CLIP)
    np.testing.assert_allclose(scaler.apply(values), expected, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.2), st.sampled_from([1e6, -1e9, 1e30]))
@settings(max_examples=40, deadline=None)
def test_a_fifth_of_wild_rows_moves_no_scale_by_more_than_a_factor(seed: int, share: float, wild: float) -> None:
    generator = np.random.default_rng(seed)
    clean = generator.normal(size=(400, 3)).astype(np.float32)
    dirty = clean.copy()
    dirty[: int(share * 400)] = wild
    before, after = fit(clean), fit(dirty)
    assert np.abs(after.centre - before.centre).max() < 0.6
    assert (after.scale < 2.2 * before.scale).all()
    assert (after.scale > 0.6 * before.scale).all()
    # Every clean row is still told from its neighbours.
    assert (np.abs(after.apply(clean)) < CLIP).mean() > 0.99


def test_only_the_training_rows_are_measured() -> None:
    values = table(np.arange(100.0))
    values[60:] = np.nan
    scaler = RobustScaler.fit(values, np.arange(10, 51))
    assert scaler.centre.tolist() == [30.0]
    scaled = scaler.apply(values)
    assert np.isnan(scaled[60:]).all()
    assert np.isfinite(scaled[:60]).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 39_999.9, -1e-12, 1e12])
def test_a_constant_column_becomes_zero(level: float) -> None:
    scaler = fit(table(np.full(50, level)))
    assert scaler.scale.tolist() == [1.0]
    assert scaler.apply(table(np.full(5, level))).tolist() == [[0.0]] * 5


@pytest.mark.parametrize("share", [0.5, 0.1, 0.03, 0.002])
def test_a_flag_keeps_its_two_values_apart_however_rare(share: float) -> None:
    flag = np.zeros(2000)
    flag[: int(2000 * share)] = 1.0
    low, high = np.unique(fit(table(flag)).apply(table(flag)))
    assert 1.0 < high - low <= 2 * CLIP


def test_a_constant_column_with_one_bad_print_keeps_the_rest_at_the_centre() -> None:
    column = np.full(1000, 7.0)
    column[3] = 1e9
    scaled = fit(table(column)).apply(table(column))[:, 0]
    assert scaled[3] == CLIP
    assert (np.delete(scaled, 3) == 0).all()


def test_few_distinct_values_stay_in_order() -> None:
    hours = np.tile(np.arange(24.0), 20)
    scaled = fit(table(hours)).apply(table(np.arange(24.0)))[:, 0]
    assert (np.diff(scaled) > 0).all()
    assert np.abs(scaled).max() < CLIP


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_whatever_finite_goes_in_comes_out_finite_and_small(column: list[float]) -> None:
    values = table(column)
    scaler = fit(values)
    assert (scaler.scale > 0).all()
    extremes = table([*column, np.finfo(np.float32).max, np.finfo(np.float32).min, 0.0, 1e-45])
    assert (np.abs(scaler.apply(extremes)) <= CLIP).all()


def test_the_table_it_is_given_is_left_as_it_is() -> None:
    values = table(np.arange(10.0))
    before = values.copy()
    fit(values).apply(values)
    np.testing.assert_array_equal(values, before)
