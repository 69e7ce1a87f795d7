"""What a user can mend about a study.

StudyError      a database of studies that does not answer, or a study that belongs to something else
"""

from trading.errors import EngineError


class StudyError(EngineError):
    """A database of studies that cannot be used or does not answer, or a study of other data, params or code."""
