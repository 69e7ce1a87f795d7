"""A step of somebody else's: found by name, and audited."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.audit.lookahead import Step, find_lookahead
from pipelines.audit.report import Report
from pipelines.params import ValidateParams
from trading.errors import EngineError


def step_named(name: str, folder: Path) -> Step:
    """A function from its name, such as ``my_features:momentum``.

    Parameters
    ----------
    name
        Module and function, with a colon between.
    folder
        Where modules are looked for first.

    Raises
    ------
    EngineError
        If there is no such module or function.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise EngineError(
            f"{name!r} names no step", rule="module:function", remedy="write it as my_features:momentum, for example"
        )
    sys.path.insert(0, str(folder))
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise EngineError(
            f"{module} cannot be imported: {error}",
            where=str(folder),
            rule="a module in this folder, or one that is installed",
            remedy="go to its folder, or install it",
        ) from error
    finally:
        sys.path.remove(str(folder))
    if not callable(found):
        raise EngineError(
            f"{module} has no function {function}",
            where=str(getattr(sys.modules[module], "__file__", module)),
            rule="a function from a frame of bars to a frame or series on a time index",
            remedy="correct the name after the colon",
        )
    step: Step = found
    return step


def audit_step(name: str, step: Step, bars: pd.DataFrame, **options: Any) -> Report:
    """Look for look-ahead in a step.

    Raises
    ------
    EngineError
        Also where the step raises on the bars as they are.
    """
    try:
        return find_lookahead(step, bars, **options)
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(
            f"{name} raised {type(error).__name__}: {error}",
            where=f"{len(bars)} bars, {bars.index[0]} to {bars.index[-1]}" if len(bars) else "no bars",
            rule="a step answers on the bars as they are",
            remedy="make it run on these bars first",
        ) from error


def bars_from(path: Path, timeframe: str | None, limits: ValidateParams) -> tuple[pd.DataFrame, str, int]:
    """Believed bars of a file at a timeframe, that timeframe, and the number of rows that were left out.

    Raises
    ------
    BarError
        If the file cannot be read, or its bars are longer than the timeframe.
    """
    from pipelines.ingest.arrange import arrange, ensure_reachable
    from pipelines.ingest.reader import read_bars
    from pipelines.validate.screen import screen

    rows, _ = read_bars(path)
    arranged = arrange(rows, None, str(path))
    wanted = timeframe or arranged.timeframe
    ensure_reachable(arranged.timeframe, wanted, str(path))
    found = screen(arranged.rows, arranged.timeframe, wanted, limits)
    return found.bars, wanted, len(found.quarantine)
