"""The language in which features are written: series, and operators that make series of series.

An :class:`Expression` says what is computed, not when: the same expression runs over a whole history and bar by bar.
From it follow how many rows it takes until it no longer depends on where the history began, what it reads, and the
formula that people see; nothing of that is declared a second time. :mod:`pipelines.features.operators` has the
operators by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

from pipelines.features import kernels
from pipelines.features.kernels import Array

# Not kernels: a column of the bars, and a value of a longer bar, held until the next one is complete.
INPUT, HELD = -1, -2


@dataclass(frozen=True, eq=False)
class Expression:
    """A series, one value a row. Expressions made of the same parts are equal.

    Attributes
    ----------
    template
        The formula, with ``{0}``, ``{1}``, ... for the inputs.
    opcode
        Its kernel; :data:`INPUT` for a column, :data:`HELD` for a longer bar's value.
    inputs
        What it is computed from.
    params
        Two numbers at most, as the kernel takes them.
    output
        Which of the kernel's outputs this is.
    memory
        Rows, beyond the first at which all inputs are known, until its start is forgotten to 1e-9.
    state
        Makes what the kernel remembers before the first row; None for a kernel that remembers nothing.
    clock
        Timeframe of the longer bars behind a :data:`HELD` value.
    column
        Name of the column that an :data:`INPUT` is.
    """

    template: str
    opcode: int
    inputs: tuple[Expression, ...] = ()
    params: tuple[float, ...] = ()
    output: int = 0
    memory: int = 0
    state: Callable[[], Array] | None = field(default=None, repr=False)
    clock: str = ""
    column: str = ""

    @cached_property
    def known(self) -> int:
        """First row at which all inputs are known."""
        return max((one.warmup for one in self.inputs), default=0)

    @cached_property
    def warmup(self) -> int:
        """First row whose value does not depend on where the history starts, to 1e-9."""
        return self.known + self.memory

    @cached_property
    def formula(self) -> str:
        """The definition, in symbols."""
        text = self.template.format(*(one.formula for one in self.inputs))
        return f"{text} of {self.clock}" if self.clock else text

    @cached_property
    def columns(self) -> frozenset[str]:
        """Columns that are read, directly or not."""
        own = {self.column} if self.column else set()
        return frozenset(own.union(*(one.columns for one in self.inputs)))

    @cached_property
    def instruction(self) -> str:
        """What is executed for it: outputs of one kernel share it."""
        parts = [str(self.opcode), self.column, self.clock, repr(self.params)]
        return blake2b("|".join([*parts, *(one.identity for one in self.inputs)]).encode(), digest_size=16).hexdigest()

    @property
    def identity(self) -> str:
        """Digest of the whole definition; equal ones compute the same."""
        return f"{self.instruction}.{self.output}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __add__(self, other: Expression | float) -> Expression:
        if isinstance(other, Expression):
            return Expression("({0} + {1})", kernels.ADD, (self, other))
        return affine(self, 1.0, other, f"({{0}} + {other:g})")

    def __radd__(self, other: float) -> Expression:
        return self + other

    def __sub__(self, other: Expression | float) -> Expression:
        if isinstance(other, Expression):
            return Expression("({0} - {1})", kernels.SUBTRACT, (self, other))
        return affine(self, 1.0, -other, f"({{0}} - {other:g})")

    def __rsub__(self, other: float) -> Expression:
        return affine(self, -1.0, other, f"({other:g} - {{0}})")

    def __mul__(self, other: Expression | float) -> Expression:
        if isinstance(other, Expression):
            return Expression("{0} {1}", kernels.MULTIPLY, (self, other))
        return affine(self, other, 0.0, f"{other:g} {{0}}")

    def __rmul__(self, other: float) -> Expression:
        return self * other

    def __truediv__(self, other: float) -> Expression:
        """Divided by a number. By a series: ``operators.ratio``, which is told what 0/0 is."""
        return affine(self, 1.0 / other, 0.0, f"{{0}} / {other:g}")

    def __neg__(self) -> Expression:
        return affine(self, -1.0, 0.0, "-{0}")


def named(symbol: str, x: Expression) -> Expression:
    """``x``, written as a symbol in the formulas of what is made of it."""
    return replace(x, template=symbol)


def affine(x: Expression, factor: float, offset: float, template: str) -> Expression:
    """``factor * x + offset``."""
    return Expression(template, kernels.AFFINE, (x,), (float(factor), float(offset)))
