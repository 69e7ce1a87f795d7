"""Start the service, or answer once without it."""

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pandas as pd

from pipelines.settings import Settings, quiet_environment
from serving.catalog import open_catalog
from serving.context_history import Frames
from serving.contracts import Signal
from trading.errors import ServingError

SERVICE = "serving.service:SignalService"


def command(settings: Settings, host: str, port: int) -> list[str]:
    """Command line of the service."""
    where = ["--working-dir", str(settings.home), "--host", host, "--port", str(port)]
    return [sys.executable, "-m", "bentoml", "serve", SERVICE, *where]


def environment(settings: Settings) -> dict[str, str]:
    """Environment of the service: ours, with these settings, and BentoML's home where everything else is written."""
    quiet_environment()
    home: Path = settings.state / "state" / "bentoml"
    given = {f"ENGINE_{name.upper()}": str(value) for name, value in settings.model_dump().items() if value is not None}
    return {"BENTOML_HOME": str(home), **os.environ, **given, "PYTHONPATH": str(settings.home)}


def require_free(host: str, port: int) -> None:
    """Check that nobody listens on a port.

    Raises
    ------
    ServingError
        If somebody does, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError(
                f"cannot listen on port {port}: {error.strerror}",
                where=f"{host}:{port}",
                rule="one service a port",
                remedy="end what listens there, or choose another port with ENGINE_PORT",
            ) from error


def serve(settings: Settings) -> NoReturn:
    """Become the service: this process is replaced, so that signals and Ctrl-C reach it directly.

    Raises
    ------
    ServingError
        If the port is taken, or nothing is registered or can be served.
    """
    require_free(settings.host, settings.port)
    open_catalog(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = command(settings, settings.host, settings.port)
    os.execve(arguments[0], arguments, environment(settings))


def predict_once(
    settings: Settings,
    symbol: str,
    bars: pd.DataFrame | None = None,
    *,
    timeframe: str | None = None,
    context: Frames | None = None,
) -> list[Signal]:
    """What the service would answer, in this process.

    Parameters
    ----------
    settings
        Where versions are registered.
    symbol, timeframe
        Unified symbol or slug; the timeframe is needed only where several are served.
    bars
        Closed bars that follow the history, in time order.
    context
        What was published beside them, as :meth:`serving.context_history.ContextHistory.extended` takes it.

    Raises
    ------
    EngineError
        As the service answers with 400, 404 and 503.
    """
    return open_catalog(settings).find(symbol, timeframe).signals(bars, context, request_id=str(uuid4()))
