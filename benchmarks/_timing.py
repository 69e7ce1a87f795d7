"""How the scripts beside this one measure and print."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any


def measure(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median seconds of ``repeats`` calls, after one that pays for compilation and imports; and a call's result."""
    result = function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return median(seconds), result


def show(name: str, seconds: float, reference: float, remark: str = "") -> None:
    """One line: name, milliseconds, how many times the reference's time, remark."""
    print(f"{name:<44} {seconds * 1e3:>11.2f} ms {seconds / reference:>9.1f} x   {remark}", flush=True)
