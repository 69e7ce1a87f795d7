import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.diagnosis.cells import Numbers, read_numbers


def read(cells: list[object], *, parsed: bool = True) -> Numbers:
    return read_numbers(pd.Series(cells), parsed=parsed)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("$8,533.11", 8533.11),
        ("8 533.11", 8533.11),
        ("8\u202f533.11", 8533.11),
        ("8'533.11", 8533.11),
        ("8533.11 USD", 8533.11),
        ("USDT 12", 12.0),
        ("₿0.5", 0.5),
        ("1.5K", 1500.0),
        ("2.25M", 2_250_000.0),
        ("-3B", -3e9),
        ("1,234,567.5", 1234567.5),
    ],
)
def test_text_that_is_a_number_in_disguise(cell: str, value: float) -> None:
    numbers = read([1.5, cell, "2"])
    assert numbers.values.tolist() == pytest.approx([1.5, value, 2.0])
    assert numbers.text.tolist() == [False, True, False]
    assert not numbers.comma.any()
    assert not numbers.unreadable.any()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["8533,11", "1,5"], [8533.11, 1.5]),
        (["1.234,5", "1.234"], [1234.5, 1234.0]),  # the second one is whole, its digits grouped
        (["1,234", "0,5"], [1.234, 0.5]),  # the second one says what the first one means
        (["-1,5e3", "2,25"], [-1500.0, 2.25]),
    ],
)
def test_decimal_commas(cells: list[object], values: list[float]) -> None:
    numbers = read(cells)
    assert numbers.values.tolist() == pytest.approx(values)
    assert numbers.comma.all()
    assert not numbers.text.any()


def test_a_comma_that_can_only_group_does() -> None:
    numbers = read(["1,234", "12,500"])
    assert numbers.values.tolist() == [1234.0, 12_500.0]
    assert numbers.text.all()
    assert not numbers.comma.any()


def test_what_is_no_number_is_text_and_what_is_empty_is_neither() -> None:
    numbers = read(["ERR", "n/a", "-", "", None, "3"])
    assert np.isnan(numbers.values[:5]).all()
    assert numbers.unreadable.tolist() == [True, False, False, False, False, False]
    assert numbers.text.tolist() == [True, False, False, False, False, False]


def test_typed_formats_have_no_excuse_for_text() -> None:
    assert read(["1.5", "2"], parsed=False).text.all()
    assert not read(["1.5", "2"], parsed=True).text.any()
    assert not read_numbers(pd.Series([1.5, 2.0]), parsed=False).text.any()


@pytest.mark.parametrize("cells", [[True, False], pd.to_datetime(["2020-01-01", "2020-01-02"])])
def test_flags_and_dates_are_no_numbers(cells: object) -> None:
    numbers = read_numbers(pd.Series(cells), parsed=False)  # type: ignore[arg-type]
    assert numbers.unreadable.all()


def test_exact_decimals_are_numbers() -> None:
    from decimal import Decimal

    numbers = read([Decimal("1.25"), Decimal("3")], parsed=False)
    assert numbers.values.tolist() == [1.25, 3.0]
    assert not numbers.text.any()


@given(st.lists(st.floats(0.0001, 1e9), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_numbers_survive_every_spelling(values: list[float]) -> None:
    plain = [f"{value:.6f}" for value in values]
    expected = [float(text) for text in plain]
    # One with two decimals decides what a comma means where all the others could group.
    commas = [*(text.replace(".", ",") for text in plain), "0,25"]
    assert read(list(commas)).values[:-1].tolist() == pytest.approx(expected)
    grouped = [f"{value:,.6f} USD" for value in values]
    assert read(list(grouped)).values.tolist() == pytest.approx(expected)
