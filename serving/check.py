"""Start the service once, ask it, and end it.

The last step of a run, and the proof that what was registered can be served.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.context import Context
from pipelines.settings import Settings
from serving.catalog import live_versions
from serving.run import command, environment
from trading.errors import ServingError
from trading.instrument import Instrument

ANSWER = "data/register/signal.json"
HOST = "127.0.0.1"
READY_SECONDS = 120.0
GRACE_SECONDS = 10.0
REQUESTS = 30
# The service must not outlive a run that is killed. The wish survives the exec; stating it between fork and exec of
# this process could deadlock on a lock that another thread held.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def check_serving(context: Context) -> dict[str, Any]:
    """Serve the run's instrument on a free loopback port and ask for its signals.

    The stored answer is reused while the same versions are live.

    Returns
    -------
    dict
        Content of ``data/register/signal.json``: ``versions``, ``signals``, ``ready_seconds``, ``latency_ms``.

    Raises
    ------
    ServingError
        If nothing is registered, or the service does not start or answer.
    """
    instrument = context.run.instrument
    versions = _versions(context.settings, instrument)
    if context.files.exists(ANSWER):
        stored: dict[str, Any] = context.files.read_json(ANSWER)
        if stored["versions"] == versions:
            return stored
    context.progress(0, 2, "starting the service")
    begin = time.perf_counter()
    with running(context.settings) as port:
        ready = time.perf_counter() - begin
        context.progress(1, 2, "asking for a signal")
        answer, spent = _ask(port, instrument, REQUESTS)
    p50, p99 = np.quantile(spent, [0.5, 0.99])
    result = {
        "instrument": instrument.name,
        "versions": versions,
        "signals": answer["signals"],
        "ready_seconds": round(ready, 2),
        "latency_ms": {"first": spent[0], "p50": float(p50), "p99": float(p99), "requests": len(spent)},
    }
    context.files.write_json(ANSWER, result)
    context.progress(2, 2, "the service answered")
    return result


@contextmanager
def running(settings: Settings) -> Iterator[int]:
    """The service on a free loopback port, given once it is ready, and ended afterwards with all its processes."""
    port = _free_port()
    log = settings.state / "state" / "serving-check.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _DIE_WITH_PARENT, *command(settings, HOST, port)],
            env=environment(settings),
            cwd=settings.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(process, port, log)
        yield port
    finally:
        _end(process)


def _versions(settings: Settings, instrument: Instrument) -> dict[str, dict[str, str]]:
    live = live_versions(settings).get(instrument)
    if live is None:
        raise ServingError(
            f"no version of {instrument.name} is registered",
            where=settings.tracking_uri,
            rule="a version behind the alias champion or candidate",
            remedy="run `engine run` first",
        )
    return {
        item.horizon: {"arm": item.arm, "name": item.version.name, "version": item.version.version} for item in live
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failed(f"the service ended with code {process.returncode} before it was ready", log)
        try:
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass  # nobody listens yet
        finally:
            connection.close()
        time.sleep(0.1)
    raise _failed(f"the service was not ready within {READY_SECONDS:.0f} s", log)


def _ask(port: int, instrument: Instrument, requests: int) -> tuple[Mapping[str, Any], list[float]]:
    """The answer, and the milliseconds that each of some equal requests took on one connection."""
    body = json.dumps({"symbol": instrument.symbol, "timeframe": instrument.timeframe})
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    spent = []
    try:
        for _ in range(requests):
            begin = time.perf_counter()
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            spent.append((time.perf_counter() - begin) * 1e3)
            if response.status != 200:
                raise ServingError(
                    f"the service answered {response.status}: {content[:300].decode(errors='replace')}",
                    where=f"POST /predict for {instrument.name}",
                    remedy="start it with `engine serve` and look at what it prints",
                )
    finally:
        connection.close()
    answer: Mapping[str, Any] = json.loads(content)
    return answer, spent


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the service and whatever it started; it leads a process group of its own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _failed(what: str, log: Path) -> ServingError:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return ServingError(
        f"{what}: {lines[-1] if lines else 'it printed nothing'}",
        where=str(log),
        remedy="read the log named above; `engine serve` shows the same",
    )
