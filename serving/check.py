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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.bundle import HISTORY
from pipelines.context import Context
from pipelines.settings import Settings
from serving.catalog import Live, live_versions
from serving.run import command, environment
from serving.served import utc_now
from trading.bars import ORDER_FLOW
from trading.errors import ServingError
from trading.instrument import Instrument

ANSWER = "data/register/signal.json"
HOST = "127.0.0.1"
READY_SECONDS = 120.0
GRACE_SECONDS = 10.0
REQUESTS = 30
# The supervisor starts a worker again and again that cannot start; its server says so each time.
GAVE_UP = "Application startup failed"
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

    The stored answer is reused while the same versions are live. Other instruments, and horizons that the run does not
    know, may be unavailable.

    Returns
    -------
    dict
        Content of ``data/register/signal.json``: ``versions``, ``signals``, ``unavailable``, ``ready_seconds`` and
        ``latency_ms``: of the ``first`` request, ``cached`` of those that bring no bar, and ``new_bar`` of one that
        brings a bar, for which features and every graph are computed (None if the next bar has not closed yet).

    Raises
    ------
    ServingError
        If nothing is registered, the service does not start or answer, or a horizon of the run has no signal.
    """
    instrument, horizons = context.run.instrument, context.params.labels.horizons
    live = _live(context.settings, instrument)
    versions = {
        item.horizon: {
            "arm": item.arm,
            "name": item.version.name,
            "version": item.version.version,
            "evidence": item.evidence,
        }
        for item in live
    }
    if context.files.exists(ANSWER):
        stored: dict[str, Any] = context.files.read_json(ANSWER)
        if stored["versions"] == versions and set(horizons) <= {one["horizon"] for one in stored["signals"]}:
            return stored
    context.progress(0, 2, "starting the service")
    begin = time.perf_counter()
    with running(context.settings) as port:
        ready = time.perf_counter() - begin
        context.progress(1, 2, "asking for a signal")
        answer, spent = _ask(port, instrument, REQUESTS)
        _require(answer, instrument, horizons)
        # Last: this service remembers the made-up bar, and ends with it.
        bar = _next_bar(live, answer["signals"][0], utc_now())
        new_bar = None if bar is None else _ask(port, instrument, 1, bar)[1][0]
    p50, p99 = np.quantile(spent, [0.5, 0.99])
    result = {
        "instrument": instrument.name,
        "versions": versions,
        "signals": answer["signals"],
        "unavailable": answer["unavailable"],
        "ready_seconds": round(ready, 2),
        "latency_ms": {
            "first": spent[0],
            "cached": {"p50": float(p50), "p99": float(p99), "requests": len(spent)},
            "new_bar": new_bar,
        },
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


def _live(settings: Settings, instrument: Instrument) -> list[Live]:
    live = live_versions(settings).get(instrument)
    if live is None:
        raise ServingError(
            f"no version of {instrument.name} is registered",
            where=settings.tracking_uri,
            rule="a version behind the alias champion or candidate",
            remedy="run `engine run` first",
        )
    return live


def _require(answer: Mapping[str, Any], instrument: Instrument, horizons: Sequence[str]) -> None:
    signals = {one["horizon"] for one in answer["signals"]}
    reasons = {one["horizon"]: one["reason"] for one in answer["unavailable"]}
    if missing := [horizon for horizon in horizons if horizon not in signals]:
        raise ServingError(
            "; ".join(f"{h} has no signal: {reasons.get(h, 'no version of it is registered')}" for h in missing),
            where=f"POST /predict for {instrument.name}",
            rule="every horizon of the run is served",
            remedy="run `engine run` with this code; `engine serve` shows the same",
        )


def _next_bar(live: Sequence[Live], signal: Mapping[str, Any], now: pd.Timestamp) -> dict[str, Any] | None:
    """A bar after the newest one at which nothing happened, as a request has it; None before it could have closed."""
    item = next(item for item in live if item.horizon == signal["horizon"])
    last, length = pd.Timestamp(signal["bar_time"]), item.tracker.instrument.bar
    if last + 2 * length > now:
        return None
    stored = [
        pd.read_parquet(item.tracker.download(item.horizon, v.version) / HISTORY) for v in (item.newest, item.version)
    ]
    known = next(bars.loc[last].to_dict() for bars in stored if last in bars.index)
    prices = dict.fromkeys(("open", "high", "low", "close"), float(known["close"]))
    amounts = {name: float(known[name]) for name in ("volume", *ORDER_FLOW) if name in known}
    return {"timestamp": (last + length).isoformat(), **prices, **amounts}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failed(f"the service ended with code {process.returncode} before it was ready", log)
        if GAVE_UP in log.read_text(errors="replace"):
            raise _failed("the service cannot start", log)
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


def _ask(
    port: int, instrument: Instrument, requests: int, *bars: Mapping[str, Any]
) -> tuple[Mapping[str, Any], list[float]]:
    """The answer, and the milliseconds that each of some equal requests took on one connection."""
    body = json.dumps({"symbol": instrument.symbol, "timeframe": instrument.timeframe, "bars": bars})
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
    # A ServingError prints its remedy after what is wrong, and the server its own words after that.
    said = [line for line in lines if "ServingError: " in line] or lines
    return ServingError(
        f"{what}: {said[-1] if said else 'it printed nothing'}",
        where=str(log),
        remedy="read the log named above; `engine serve` shows the same",
    )
