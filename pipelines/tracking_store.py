"""MLflow's store: opened once and safely, and what fits into its tables."""

import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pipelines.settings import Settings
from trading.errors import WorkspaceError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# Limits of MLflow's batch call.
_PARAMS_A_CALL, _METRICS_A_CALL, _PARAM_LENGTH = 100, 1000, 6000
# Of a version's description: a column of 5,000 characters, which SQLite does not mind and PostgreSQL does.
_DESCRIPTION_LENGTH = 5000
PAGE = 1000
_PATIENCE = 10.0


def open_store(settings: Settings) -> "MlflowClient":
    """Client of the store; a local one is created where it is missing.

    Raises
    ------
    WorkspaceError
        If the folder of a local store cannot be written, or a server does not answer.
    """
    if is_server(settings):
        _ask(settings.tracking_uri)
    with store_lock(settings):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)
        # Two processes that both migrate a new database would each find the other's half.
        client.search_experiments(max_results=1)
    return client


def is_server(settings: Settings) -> bool:
    """Whether an MLflow server stands before the store, and keeps the artifacts as well."""
    return settings.tracking_uri.startswith(("http://", "https://"))


def _ask(server: str) -> None:
    """MLflow itself tries again for minutes before it says that nobody is there."""
    try:
        urllib.request.urlopen(server, timeout=_PATIENCE).close()
    except urllib.error.HTTPError as error:
        error.close()  # somebody is there
    except OSError as error:
        raise WorkspaceError(
            f"the MLflow server does not answer: {getattr(error, 'reason', error)}",
            where=server,
            remedy="start it (`make ui` starts one), or unset ENGINE_MLFLOW_TRACKING_URI to use files of this folder",
        ) from error


def store_lock(settings: Settings) -> FileLock:
    """Lock of this machine's processes around what must be made once; raises as :func:`open_store`."""
    folder = settings.state / "mlflow"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".lock"
        probe.touch()
    except OSError as error:
        raise WorkspaceError(
            f"cannot write MLflow's store: {error.strerror}",
            where=str(folder),
            remedy="choose a folder you may write to with ENGINE_STATE",
        ) from error
    return FileLock(probe)


def search_versions(client: "MlflowClient", condition: str) -> Iterator["ModelVersion"]:
    """Every model version that meets a condition, page by page."""
    token: str | None = None
    while True:
        page = client.search_model_versions(condition, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def log_values(client: "MlflowClient", run_id: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Log nested parameters and metrics in as few calls as MLflow allows; what is not a finite number is no metric."""
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    texts = [Param(key, to_text(value)[:_PARAM_LENGTH]) for key, value in flatten(params).items()]
    numbers = [
        Metric(key, float(value), now, 0)
        for key, value in flatten(metrics).items()
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    for start in range(0, len(texts), _PARAMS_A_CALL):
        client.log_batch(run_id, params=texts[start : start + _PARAMS_A_CALL])
    for start in range(0, len(numbers), _METRICS_A_CALL):
        client.log_batch(run_id, metrics=numbers[start : start + _METRICS_A_CALL])


def log_epochs(client: "MlflowClient", run_id: str, name: str, epochs: Sequence[Mapping[str, float | None]]) -> None:
    """Log what each epoch came to as metrics ``<name>.<key>`` whose step is the epoch, from 1; None is no metric."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    numbers = [
        Metric(f"{name}.{key}", value, now, step)
        for step, epoch in enumerate(epochs, start=1)
        for key, value in epoch.items()
        if value is not None
    ]
    for start in range(0, len(numbers), _METRICS_A_CALL):
        client.log_batch(run_id, metrics=numbers[start : start + _METRICS_A_CALL])


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined with dots; what MLflow's tables of parameters and metrics take."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def to_text(value: object) -> str:
    """A parameter as MLflow keeps it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def first_sections(markdown: str, limit: int = _DESCRIPTION_LENGTH) -> str:
    """As many whole sections from the beginning as fit, and the names of those that do not.

    Parameters
    ----------
    markdown
        Sections begin with ``## ``.
    limit
        Characters; by default as many as MLflow holds of a description.
    """
    if len(markdown) <= limit:
        return markdown
    parts = re.split(r"^(?=## )", markdown, flags=re.MULTILINE)
    for kept in range(len(parts) - 1, 0, -1):
        names = [part[3:].partition("\n")[0] for part in parts[kept:]]
        short = "".join(parts[:kept]) + f"*In the run's artifacts: {', '.join(names)}.*\n"
        if len(short) <= limit:
            return short
    return parts[0][:limit]


def from_text(text: str) -> object:
    """The parameter that :func:`to_text` wrote."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
