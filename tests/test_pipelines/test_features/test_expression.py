"""What an expression says of itself."""

import pytest

from pipelines.features.expression import HELD, INPUT, named
from pipelines.features.operators import (
    change,
    column,
    completed,
    ema,
    lag,
    log_of,
    mean,
    path_deviation,
    path_slope,
    ratio,
    variance,
    wilder,
)
from pipelines.features.series import RETURN, TRUE_RANGE

X, Y = column("x"), column("y")


def test_the_warmup_is_the_sum_along_the_longest_way():
    assert X.warmup == 0
    assert log_of(X).warmup == 0
    assert lag(X, 3).warmup == 3
    assert mean(lag(X, 3), 10).warmup == 12
    assert (mean(X, 10) + lag(X, 3)).warmup == 9
    assert (mean(X, 10) + lag(X, 3)).known == 9
    assert mean(mean(X, 10), 5).known == 9
    assert ema(mean(X, 10), 12).warmup == 9 + ema(X, 12).warmup


def test_formulas_are_written_with_symbols():
    assert mean(lag(X), 10).formula == "mean(x[-1], 10)"
    assert ratio(X - Y, X + Y).formula == "((x - y) / (x + y))"
    assert (2 * X + 1).formula == "(2 x + 1)"
    assert (1 - X).formula == "(1 - x)"
    assert (-(X * Y) / 4).formula == "-x y / 4"
    assert RETURN.formula == "r"
    assert mean(TRUE_RANGE, 3).formula == "mean(tr, 3)"
    assert completed(mean(X, 3), "1d", 24).formula == "mean(x, 3) of 1d"


def test_a_symbol_changes_the_formula_and_nothing_else():
    symbol = named("q", mean(X, 3))
    assert symbol.formula == "q"
    assert symbol == mean(X, 3)
    assert symbol.columns == {"x"}
    assert named("q", X).columns == {"x"}


def test_expressions_of_the_same_parts_are_equal():
    assert mean(log_of(X), 5) == mean(log_of(column("x")), 5)
    assert hash(X + Y) == hash(X + Y)
    different = [X, Y, X + Y, Y + X, X - Y, mean(X, 5), mean(X, 6), X * 2, X * 3, variance(X, 5), variance(Y, 5)]
    different += [path_slope(X, 5), path_deviation(X, 5), completed(X, "1d", 24), completed(X, "4h", 4)]
    assert len(set(different)) == len({one.identity for one in different}) == len(different)
    assert X != "x"


def test_outputs_of_one_kernel_are_one_instruction():
    assert path_slope(X, 5).instruction == path_deviation(X, 5).instruction != path_slope(X, 6).instruction
    assert path_slope(X, 5).identity != path_deviation(X, 5).identity


def test_what_is_read():
    assert (change(log_of(X), 4) * Y).columns == {"x", "y"}
    assert completed(log_of(X), "1d", 24).columns == {"x"}
    assert (X.opcode, completed(X, "1d", 24).opcode) == (INPUT, HELD)


@pytest.mark.parametrize("share", [0.1, 10.0, 1e9])
def test_averages_forget_a_start_to_a_billionth(share):
    """The share of what came before shrinks by 1 - weight a row: after the memory it is below 1e-9 of ``scale``."""
    for make, weight in ((ema(X, 12, scale=share), 2 / 13), (wilder(X, 14, scale=share), 1 / 14)):
        assert share * (1 - weight) ** make.memory <= 1e-9 < share * (1 - weight) ** (make.memory - 1)
