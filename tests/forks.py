"""Children that do some work and may be killed at it."""

import os
from collections.abc import Callable
from typing import Any


def child(work: Callable[[], Any]) -> int:
    """Start a fork that does some work and ends with 0."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """How it ended: 0, or the negative of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
