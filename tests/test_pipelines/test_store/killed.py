"""A process that ends its children at every step of a write: ``python -m tests.test_pipelines.test_store.killed``.

Every call that changes the disk goes through ``os`` or ``fcntl``; here these calls count, and a child is killed before
the one whose turn it is (which is after the one before it), or in the middle of it where it writes. Children are forked
from a process that has one thread and everything imported, so that hundreds of them cost no more than seconds.
"""

import fcntl
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet  # noqa: F401 - before the fork

from pipelines.store.bar_store import BarStore, Series
from pipelines.store.export import export
from pipelines.store.repair import repair
from tests.forks import child, ended
from trading.bars import COLUMNS

SERIES = Series("binance", "BTC/USDT", "30m")
START = pd.Timestamp("2024-01-30", tz="UTC")
RECORDED = pd.Timestamp("2024-06-01", tz="UTC")
CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "remove", "mkdir", "link", "ftruncate")
# What CPython announces of every change to the disk, whoever makes it. (Closing a file changes nothing.)
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate", "shutil.move")


def make_bars(count: int, first: int = 0, moved: float = 0.0) -> pd.DataFrame:
    """Bars that can be told from each other: prices say which bar it is, ``moved`` which version of it."""
    index = pd.date_range(START, periods=count + first, freq="30min", name="timestamp").as_unit("us")[first:]
    prices = np.arange(first, first + count, dtype=float)
    return pd.DataFrame({name: prices + 10 * at + moved for at, name in enumerate(COLUMNS)}, index=index)


def first_append(root: Path) -> None:
    """Two periods at once, into nothing."""
    BarStore(root).append(SERIES, make_bars(200), RECORDED)


def prepare_next(root: Path) -> None:
    """Several small files in two periods."""
    for low in (0, 40, 60, 70):
        BarStore(root).append(SERIES, make_bars(40, low), RECORDED)


def next_append(root: Path) -> None:
    """Old bars, corrected bars and new bars in one go; files of two periods are merged into others."""
    bars = pd.concat([make_bars(20, 60, moved=0.5), make_bars(130, 80)])
    BarStore(root).append(SERIES, bars, RECORDED + pd.Timedelta(days=1))


def put_in_order(root: Path) -> None:
    """Merge, and remove what others left."""
    repair(BarStore(root).table(SERIES))


def prepare_lost_log(root: Path) -> None:
    """Files whose log is gone."""
    prepare_next(root)
    (root / SERIES.folder / "log.json").unlink()


def write_export(root: Path) -> None:
    """A new file over an old one."""
    export(iter([make_bars(50)]), root / "bars.csv")


def prepare_export(root: Path) -> None:
    """The old one."""
    root.mkdir(parents=True)
    export(iter([make_bars(20)]), root / "bars.csv")


SCENARIOS: dict[str, tuple[Callable[[Path], Any] | None, Callable[[Path], Any]]] = {
    "first": (None, first_append),
    "next": (prepare_next, next_append),
    "repair": (prepare_next, put_in_order),
    "rebuild": (prepare_lost_log, put_in_order),
    "export": (prepare_export, write_export),
}


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count, self.inside = fatal, 0, False

    def take(self) -> None:
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def install(self) -> None:
        """Count every call that can change the disk."""
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name), half=name == "write"))
        fcntl.flock = self._counted(fcntl.flock)

    def _counted(self, call: Callable[..., Any], half: bool = False) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self.inside:
                return call(*args, **kwargs)
            self.take()
            self.inside = True
            try:
                if half:
                    if self.count == self.fatal:
                        call(args[0], bytes(args[1])[: len(args[1]) // 2])
                    self.take()
                return call(*args, **kwargs)
            finally:
                self.inside = False

        return counted


def watch(root: Path, steps: Steps) -> list[str]:
    """Changes to the disk below the root that no counted call made."""
    missed: list[str] = []

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in EVENTS or steps.inside or not str(args[0]).startswith(str(root)):
            return
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if event != "open" or (args[2] is not None and args[2] & writes):
            missed.append(f"{event} {args}")

    sys.addaudithook(hook)
    return missed


def at_every_step(top: Path, name: str) -> None:
    """Leave ``<top>/<step>`` as the kill at each step left it, and ``<top>/whole`` undisturbed."""
    prepare, act = SCENARIOS[name]
    base = top / "base"
    if prepare:
        ended(child(lambda: prepare(base)))

    def copy(to: Path) -> Path:
        if base.exists():
            shutil.copytree(base, to)
        return to

    def run(root: Path, fatal: int) -> None:
        steps = Steps(fatal)
        steps.install()
        # Of an export only the last steps are counted: until then nobody knows of its file.
        missed = watch(root, steps) if fatal < 0 and name != "export" else []
        act(root)
        steps.take()
        if missed:
            sys.stderr.write(f"not counted: {missed}\n")
            os._exit(3)

    whole = copy(top / "whole")
    if (code := ended(child(lambda: run(whole, -1)))) != 0:
        sys.exit(f"the undisturbed run ended with {code}")
    step = 0
    while True:
        root = copy(top / f"{step:03d}")
        code = ended(child(lambda root=root, step=step: run(root, step)))
        if code == 0:
            shutil.rmtree(root)
            break
        if code != -signal.SIGKILL:
            sys.exit(f"step {step} ended with {code}")
        step += 1
    print(json.dumps({"steps": step}))


def at_random(root: Path, kills: int, seed: int) -> None:
    """Kill a process that appends three bars at a time, at some moment; count what it acknowledged."""
    rng = random.Random(seed)
    bars = make_bars(20_000)
    acknowledged = 0
    for _ in range(kills):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                store = BarStore(root)
                last = store.last(SERIES)
                at = 0 if last is None else bars.index.get_loc(last) + 1
                while True:
                    store.append(SERIES, bars.iloc[at : at + 3], RECORDED + pd.Timedelta(days=365))
                    at += 3
                    os.write(write, at.to_bytes(4, "big"))
            finally:
                os._exit(1)
        os.close(write)
        # Some get far, and some do not get to their first commit, on a slow machine as on a fast one.
        said = b"".join(os.read(read, 4) for _ in range(rng.randrange(3)))
        time.sleep(rng.random() * 0.01)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while part := os.read(read, 1 << 16):
            said += part
        os.close(read)
        acknowledged = max([acknowledged, *np.frombuffer(said, ">u4").tolist()])
    print(json.dumps({"acknowledged": acknowledged}))


def writers(root: Path, count: int) -> None:
    """Processes that append overlapping stretches of the same bars in an order of their own, all at once."""
    pids, pipes = [], []
    for number in range(count):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                store = BarStore(root)
                lows = list(range(0, 600, 20))
                random.Random(number).shuffle(lows)
                total = sum(
                    (store.append(SERIES, make_bars(30, low), RECORDED) for low in lows[1:]),
                    start=store.append(SERIES, make_bars(30, lows[0]), RECORDED),
                )
                os.write(write, json.dumps([total.added, total.unchanged, total.corrected]).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(write)
        pids.append(pid)
        pipes.append(read)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(json.dumps({"codes": codes, "appended": [json.loads(os.read(pipe, 1000) or b"[]") for pipe in pipes]}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["steps", top, name]:
            at_every_step(Path(top), name)
        case ["random", root, kills, seed]:
            at_random(Path(root), int(kills), int(seed))
        case ["writers", root, count]:
            writers(Path(root), int(count))
