"""What a feature says about itself."""

from dataclasses import dataclass

from pipelines.features.expression import Expression


@dataclass(frozen=True, slots=True)
class Feature:
    """One column.

    Parameters
    ----------
    group
        What it is about; also the file that it stands in.
    name
        Column name.
    expression
        What it is. From it follow ``warmup``, ``formula`` and ``inputs``.
    source
        Where the definition comes from.
    """

    group: str
    name: str
    expression: Expression
    source: str

    @property
    def warmup(self) -> int:
        """Leading rows, in bars of the base timeframe, that are blank.

        From there on the value does not depend on where the history starts, to 1e-9 absolute.
        """
        return self.expression.warmup

    @property
    def formula(self) -> str:
        """The definition, in symbols."""
        return self.expression.formula

    @property
    def inputs(self) -> list[str]:
        """Columns that are read."""
        return sorted(self.expression.columns)
