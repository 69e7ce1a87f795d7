"""What every verb shares: how it ends when the reader can mend something, and who may write on stdout."""

import difflib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer

from trading.errors import EngineError

if TYPE_CHECKING:
    from pipelines.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


def mendable(verb: Callable[P, R]) -> Callable[P, R]:
    """End with a message and exit code 2 where the reader can mend it; bugs keep their traceback."""

    @functools.wraps(verb)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except EngineError as error:
            typer.echo(f"{type(error).__name__}: {error}", err=True)
            if kwargs.get("as_json"):
                parts = {"what": error.what, "where": error.where, "rule": error.rule, "remedy": error.remedy}
                print_json({"error": {"type": type(error).__name__, **parts}})
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("stopped; what was finished is kept, and the next run continues after it", err=True)
            if kwargs.get("as_json"):
                print_json({"error": {"type": "KeyboardInterrupt", "what": "stopped by Ctrl-C"}})
            raise typer.Exit(2) from None

    return guarded


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    from pipelines.artifacts import json_text

    sys.stdout.write(json_text(content))
    sys.stdout.flush()


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Send whatever libraries and child processes print to stderr: stdout is for the result."""
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = stdout
        os.dup2(kept, 1)
        os.close(kept)


def load_settings() -> "Settings":
    """The environment, with telemetry switched off.

    Raises
    ------
    ParamsError
        If a variable has a value of the wrong type, or no setting has its name.
    """
    from pydantic import ValidationError

    from pipelines.settings import VARIABLES, Settings, quiet_environment
    from trading.errors import ParamsError

    quiet_environment()
    unknown = sorted(name for name in os.environ if name.startswith("ENGINE_") and name not in VARIABLES)
    if unknown:
        near = difflib.get_close_matches(unknown[0], VARIABLES, n=1, cutoff=0.6)
        raise ParamsError(
            f"no setting has the name {unknown[0]}",
            where="environment",
            rule="variables that begin with ENGINE_ are settings of this program: docs/operations.md lists them",
            remedy=f"unset it{f', or call it {near[0]}' if near else ''}",
        )
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"ENGINE_{'_'.join(map(str, issue['loc'])).upper()}: {issue['msg']}" for issue in error.errors()
        )
        raise ParamsError(problems, where="environment", remedy="mend the variables named above") from error
