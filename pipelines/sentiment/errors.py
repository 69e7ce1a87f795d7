"""What can be wrong with an external series, where its reader can mend it.

SeriesError                 a file, a stamp or a value that is not what the series claims to be
└── UnreachedError          a series that says nothing about any bar of the run
"""

from trading.errors import EngineError


class SeriesError(EngineError):
    """A file, a stamp or a value that is not what the series claims to be."""


class UnreachedError(SeriesError):
    """A series that says nothing about any bar of the run."""
