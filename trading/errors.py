"""Errors that a user can mend.

EngineError                 ends a command with its message and exit code 2
├── BarError                bars that are not what they claim to be
├── PositionError           target positions that these bars cannot fill
├── InstrumentError         a symbol or timeframe nobody trades
├── ParamsError             params.yaml or run.yaml: unknown key, wrong type, out of range
├── TooFewBarsError         not enough history for the windows asked for
├── StageError              a stage's input is missing, or changed while it ran
├── WorkspaceError          a folder that cannot be written, or that another run holds
├── ModelError              a model that was asked before it was fitted, or with other features
└── ServingError            nothing to serve, a port in use, bars that do not continue the history

Anything else that is raised is a bug and keeps its traceback.
"""


class EngineError(Exception):
    """A mistake that its reader can mend.

    Parameters
    ----------
    what
        What is wrong, naming the offending value.
    where
        File, row, key or address it was met at.
    rule
        The rule it breaks.
    remedy
        What to do next.
    """

    def __init__(self, what: str, *, where: str = "", rule: str = "", remedy: str = "") -> None:
        self.what, self.where, self.rule, self.remedy = what, where, rule, remedy
        super().__init__(what, where, rule, remedy)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments would be lost on the way back from a worker process.
        return _rebuild, (type(self), self.what, self.where, self.rule, self.remedy)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [
            f"  {name}: {text}"
            for name, text in (("where", self.where), ("rule", self.rule), ("what to do", self.remedy))
            if text
        ]
        return "\n".join(lines)


def _rebuild(kind: type[EngineError], what: str, where: str, rule: str, remedy: str) -> EngineError:
    return kind(what, where=where, rule=rule, remedy=remedy)


class BarError(EngineError):
    """Bars that are not what they claim to be."""


class PositionError(EngineError):
    """Target positions that these bars cannot fill: unknown stamps, NaN, or more than the whole equity."""


class InstrumentError(EngineError):
    """A symbol or timeframe nobody trades."""


class ParamsError(EngineError):
    """An unknown key, a wrong type or a value out of range in ``params.yaml`` or ``run.yaml``."""


class TooFewBarsError(EngineError):
    """Not enough history for the windows asked for."""


class StageError(EngineError):
    """A stage's input is missing, or changed while the stage ran."""


class WorkspaceError(EngineError):
    """A folder that cannot be written, or that another run holds."""


class ModelError(EngineError):
    """A model that was asked before it was fitted, or with other features."""


class ServingError(EngineError):
    """Nothing to serve, a port in use, or bars that do not continue the history."""
