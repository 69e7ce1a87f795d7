"""Programs: what is needed is there once, in an order in which it can be computed."""

import numpy as np

from pipelines.features.operators import (
    absolute,
    change,
    column,
    completed,
    correlation,
    kurtosis,
    lag,
    mean,
    path_deviation,
    path_fit,
    path_slope,
    score,
    skewness,
    slope_on,
    variance,
)
from pipelines.features.program import Program
from tests.test_pipelines.test_features.running import value_of, values_of

X, Y = column("x"), column("y")
OPCODE, OUT, FIRST, LAST, STATE, KNOWN = 0, 1, 2, 5, 5, 6


def test_what_several_need_is_computed_once():
    program = Program.compile([mean(absolute(X), 5), mean(absolute(X), 5) + 1, lag(absolute(X))])
    assert len(program.code) == 4
    assert program.columns == ("x",)
    assert program.size == 1 + 4
    assert program.places[0] + 1 == program.places[1]


def test_outputs_of_one_kernel_are_computed_together():
    wanted = [path_slope(X, 5), path_fit(X, 5), path_deviation(X, 5), skewness(X, 5), kurtosis(X, 5)]
    wanted += [correlation(X, Y, 5), slope_on(X, Y, 5), variance(X, 5)]
    program = Program.compile(wanted)
    assert len(program.code) == 4
    assert len(set(program.places.tolist())) == len(wanted)


def test_inputs_come_before_what_needs_them():
    inner = mean(change(X, 2), 3)
    program = Program.compile([score(inner, 4) - lag(inner, 2), Y, inner])
    ready = set(range(len(program.columns)))
    for line in program.code:
        assert set(line[FIRST:LAST].tolist()) <= ready
        ready |= set(range(line[OUT], program.size))  # a kernel's outputs lie side by side
    assert program.columns == ("x", "y")
    known = program.code[:, KNOWN]
    assert known.max() == inner.warmup + 3


def test_states_do_not_overlap():
    wanted = [mean(X, 3), mean(X, 4), lag(Y, 5), score(X, 6), correlation(X, Y, 7)]
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    together = values_of(wanted, {"x": x, "y": y})
    for row, expression in zip(together, wanted, strict=True):
        alone = value_of(expression, {"x": x, "y": y})
        np.testing.assert_array_equal(row[expression.warmup :], alone[expression.warmup :])


def test_a_column_may_be_wanted_itself():
    np.testing.assert_array_equal(values_of([Y, X], {"x": [1.0, 2.0], "y": [3.0, 4.0]}), [[3.0, 4.0], [1.0, 2.0]])
    assert len(Program.compile([X]).code) == 0


def test_nothing_is_read_before_it_is_known():
    """A lag that is no value yet would stay in the windows above it."""
    x = np.arange(20.0)
    assert value_of(mean(lag(X, 5), 3), {"x": x})[7] == 1.0


def test_longer_bars_values_stand_beside_the_columns():
    program = Program.compile([X - completed(mean(X, 3), "1d", 24), completed(X, "4h", 4), completed(Y, "1d", 24)])
    assert [one.clock for one in program.held] == ["1d", "1d", "4h"]
    assert program.columns == ("x",)  # y is read of longer bars only
    assert program.size == 1 + 3 + 1
