"""What was tried, and what is live: the one place of the offline part that talks to MLflow.

Every call names its store (``MlflowClient(tracking_uri=...)``); nothing here changes MLflow's process-wide address, so
two instruments can be tracked from two threads.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pipelines.artifacts import json_text
from pipelines.settings import Settings
from pipelines.tracking_store import (
    PAGE,
    first_sections,
    from_text,
    is_server,
    log_epochs,
    log_values,
    open_store,
    search_versions,
    store_lock,
)
from trading.errors import StageError
from trading.instrument import Instrument

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

State = Literal["complete", "pruned", "failed"]
CHAMPION, CANDIDATE = "champion", "candidate"

_RETURNS = "returns.json"
_STATUS: Mapping[str, str] = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


@dataclass(frozen=True)
class Trial:
    """One thing that was tried.

    Parameters
    ----------
    trial_hash
        Hash of what was tried on which data: the same content is the same trial, however often it runs.
    state
        ``pruned`` and ``failed`` trials count as well: they were looked at.
    params, metrics
        What was set, and what came out.
    returns
        Its daily returns, as :func:`pipelines.backtest.strategy.daily` writes them; empty where it never got so far.
        The ledger keeps them apart, see :meth:`Tracker.returns`.
    """

    trial_hash: str
    state: State
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    returns: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Parameters
    ----------
    name, version
        As in ``models:/<name>/<version>``.
    bundle_hash
        Identity of the bundle that it holds.
    created
        Whether this call made it.
    tags
        Tags of the version: data hash, commit, lock hash, ``as_of``, verdict.
    """

    name: str
    version: str
    bundle_hash: str
    created: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


class Tracker:
    """Runs, trials and model versions of one instrument.

    Parameters
    ----------
    settings
        Where the store is. While it is a database, artifacts go to ``settings.artifact_root``; a server decides.
    instrument
        Its name is the experiment's; its horizons are the registered models.
    """

    def __init__(self, settings: Settings, instrument: Instrument) -> None:
        self.settings = settings
        self.instrument = instrument
        self._experiment: str | None = None
        self._client: MlflowClient | None = None

    @property
    def client(self) -> "MlflowClient":
        """Client of the store; the first use creates a local one."""
        if self._client is None:
            self._client = open_store(self.settings)
        return self._client

    @property
    def experiment(self) -> str:
        """Id of the instrument's experiment; the first use creates it."""
        if self._experiment is None:
            self._experiment = self._open_experiment()
        return self._experiment

    def log_study(self, horizon: str, family: str, study_hash: str, trials: Iterable[Trial]) -> None:
        """Record a study as a run and each of its trials as a child run; what is recorded already stays as it is.

        Parameters
        ----------
        horizon, family
            What was searched for.
        study_hash
            Identity of the study: equal studies share one parent run.
        trials
            What was tried; one that an earlier study recorded for this horizon is not recorded again.
        """
        known = {run.data.tags["trial_hash"]: run for run in self._trial_runs(horizon)}
        parent: str | None = None
        for number, trial in enumerate(trials):
            run = known.get(trial.trial_hash)
            if run is not None and run.info.status in _STATUS.values():
                continue
            parent = parent or self._study_run(horizon, family, study_hash)
            if run is None:
                tags = {
                    "mlflow.parentRunId": parent,
                    "kind": "trial",
                    "horizon": horizon,
                    "family": family,
                    "trial_hash": trial.trial_hash,
                    "state": trial.state,
                }
                run = self.client.create_run(self.experiment, tags=tags, run_name=f"{family}-{horizon}-{number}")
                known[trial.trial_hash] = run
            log_values(self.client, run.info.run_id, trial.params, trial.metrics)
            if trial.returns:
                self.client.log_text(run.info.run_id, json_text(trial.returns), _RETURNS)
            self.client.set_terminated(run.info.run_id, _STATUS[trial.state])
        if parent is not None:
            self.client.set_terminated(parent)

    def ledger(self, horizon: str) -> list[Trial]:
        """Every trial ever recorded for the instrument and the horizon, each once, in the order of their hashes."""
        trials = {
            run.data.tags["trial_hash"]: Trial(
                run.data.tags["trial_hash"],
                cast(State, run.data.tags["state"]),
                {key: from_text(value) for key, value in run.data.params.items()},
                dict(run.data.metrics),
            )
            for run in self._trial_runs(horizon)
        }
        return [trials[key] for key in sorted(trials)]

    def returns(self, horizon: str) -> dict[str, Mapping[str, Any]]:
        """Daily returns of the ledger's trials by their hashes, for how correlated they are; without those of none."""
        found: dict[str, Mapping[str, Any]] = {}
        with tempfile.TemporaryDirectory() as scratch:
            for number, run in enumerate(self._trial_runs(horizon)):
                if any(file.path == _RETURNS for file in self.client.list_artifacts(run.info.run_id)):
                    folder = Path(scratch) / str(number)
                    folder.mkdir()
                    path = Path(self.client.download_artifacts(run.info.run_id, _RETURNS, str(folder)))
                    found[run.data.tags["trial_hash"]] = json.loads(path.read_text(encoding="utf-8"))
        return dict(sorted(found.items()))

    def register(
        self,
        horizon: str,
        model_folder: Path,
        *,
        bundle_hash: str,
        evidence_hash: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        epochs: Mapping[str, Sequence[Mapping[str, float | None]]],
        documents: Mapping[str, object],
        attachments: Sequence[Path],
        description: str = "",
    ) -> Registered:
        """Make a model version, unless there is one of the same bundle with the same evidence.

        The version is created last and in one call with its tags, so that a kill leaves no version, or a whole one.

        Parameters
        ----------
        horizon
            Horizon that the model predicts.
        model_folder
            An MLflow model, as :func:`pipelines.register.packaging.package` writes it.
        bundle_hash, evidence_hash
            Identity of the bundle, and of the evidence and verdict among the documents.
        tags
            Tags of the version and of its run.
        params, metrics
            Logged to the run, nested keys joined with dots.
        epochs
            What each epoch of a member came to, by the member's name: metrics whose step is the epoch, from 1.
        documents
            Objects that are stored as JSON beside the model, by file name.
        attachments
            Files and folders that are stored beside the model.
        description
            Markdown that MLflow shows with the version: as many of its sections as MLflow holds.
        """
        name = self.instrument.model_name(horizon)
        if existing := self.find(horizon, bundle_hash, evidence_hash):
            return existing
        identity = {"bundle_hash": bundle_hash, "evidence_hash": evidence_hash}
        tags = {**tags, **identity, "horizon": horizon, "kind": "registration"}
        run_id = self._registration_run(horizon, bundle_hash, tags)
        log_values(self.client, run_id, params, metrics)
        for member, told in epochs.items():
            log_epochs(self.client, run_id, f"epochs.{member}", told)
        for file, content in documents.items():
            self.client.log_text(run_id, json_text(content), file)
        for path in attachments:
            self.client.log_artifact(run_id, str(path))
        model = self.client.create_logged_model(self.experiment, name=name, source_run_id=run_id, tags=tags)
        self.client.log_model_artifacts(model.model_id, str(model_folder))
        self.client.finalize_logged_model(model.model_id, "READY")
        self._ensure_model(name, horizon)
        made = self.client.create_model_version(
            name,
            source=model.artifact_location,
            run_id=run_id,
            tags=dict(tags),
            description=first_sections(description) or None,
            model_id=model.model_id,
        )
        self.client.set_terminated(run_id)
        return _registered(made, created=True)

    def find(self, horizon: str, bundle_hash: str, evidence_hash: str) -> Registered | None:
        """Version that holds a bundle with its evidence, the first one if a race made two."""
        name = self.instrument.model_name(horizon)
        found = search_versions(self.client, f"name = '{name}' and tags.`bundle_hash` = '{bundle_hash}'")
        same = [_registered(item) for item in found if item.tags.get("evidence_hash") == evidence_hash]
        return min(same, key=lambda item: int(item.version), default=None)

    def document(self, registered: Registered, name: str) -> Any:
        """One of the ``documents`` that a version was registered with."""
        run_id = self.client.get_model_version(registered.name, registered.version).run_id
        with tempfile.TemporaryDirectory() as scratch:
            path = self.client.download_artifacts(run_id, name, scratch)
            return json.loads(Path(path).read_text(encoding="utf-8"))

    def attachment(self, registered: Registered, name: str) -> Path | None:
        """One of the ``attachments`` that a version was registered with, or a file below one; None without it.

        That of a local store is named where it lies; that of a server is fetched, under ``<state>/state``.
        """
        import mlflow

        run_id = self.client.get_model_version(registered.name, registered.version).run_id
        if name not in {found.path for found in self.client.list_artifacts(run_id, str(Path(name).parent))}:
            return None
        folder = self._cache(registered) / "beside"
        place = {"dst_path": str(folder)} if is_server(self.settings) else {}
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{name}"
        return Path(
            mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=self.settings.tracking_uri, **place)
        )

    def versions(self, horizon: str) -> list[Registered]:
        """Every version of the horizon's model, the newest first."""
        found = search_versions(self.client, f"name = '{self.instrument.model_name(horizon)}'")
        return sorted(map(_registered, found), key=lambda item: -int(item.version))

    def tag_version(self, horizon: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version."""
        self.client.set_model_version_tag(self.instrument.model_name(horizon), version, key, value)

    def move_alias(self, horizon: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self.client.set_registered_model_alias(self.instrument.model_name(horizon), alias, version)

    def version(self, horizon: str, alias: str) -> Registered | None:
        """Version behind an alias, or None where there is none."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version_by_alias(self.instrument.model_name(horizon), alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return _registered(found)

    def download(self, horizon: str, alias_or_version: str) -> Path:
        """Folder of the bundle behind an alias or a version.

        Artifacts of a local store are used where they lie; those of a server are fetched once, under ``<state>/state``.

        Raises
        ------
        StageError
            If there is no such version.
        """
        name = self.instrument.model_name(horizon)
        found = self._named_version(horizon, alias_or_version)
        if found is None:
            raise StageError(
                f"no version {alias_or_version!r} of {name}",
                where=self.settings.tracking_uri,
                remedy="run `engine run` first",
            )
        return self._fetch(found) / "artifacts" / "bundle"

    def model_uri(self, registered: Registered) -> str:
        """Address that ``mlflow.pyfunc.load_model`` takes."""
        return f"models:/{registered.name}/{registered.version}"

    def _fetch(self, registered: Registered) -> Path:
        import mlflow

        # MLflow resolves models:/ against the process-wide registry; where the files are is asked of this one.
        source = self.client.get_model_version_download_uri(registered.name, registered.version)
        address = self.settings.tracking_uri
        if not is_server(self.settings):
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=address))
        cache = self._cache(registered)
        complete = cache / "complete"
        if not complete.exists():
            cache.mkdir(parents=True, exist_ok=True)
            target = str(cache / "model")
            mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=target, tracking_uri=address)
            complete.touch()
        found = next(iter((cache / "model").rglob("MLmodel")))
        return found.parent

    def _cache(self, registered: Registered) -> Path:
        # Versions of one bundle differ in the walk-forward stream that lies beside it.
        folder = f"{registered.version}-{registered.bundle_hash}"
        return self.settings.state / "state" / "versions" / registered.name / folder

    def _named_version(self, horizon: str, alias_or_version: str) -> Registered | None:
        if not alias_or_version.isdecimal():
            return self.version(horizon, alias_or_version)
        return next((found for found in self.versions(horizon) if found.version == alias_or_version), None)

    def _open_experiment(self) -> str:
        name, client = self.instrument.name, self.client
        with store_lock(self.settings):
            found = client.get_experiment_by_name(name)
            if found is None:
                location = None if is_server(self.settings) else f"{self.settings.artifact_root}/{name}"
                return str(client.create_experiment(name, artifact_location=location))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _runs(self, **tags: str) -> Iterator["Run"]:
        condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment], condition, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _trial_runs(self, horizon: str) -> Iterator["Run"]:
        return self._runs(kind="trial", horizon=horizon)

    def _study_run(self, horizon: str, family: str, study_hash: str) -> str:
        for run in self._runs(kind="study", study_hash=study_hash):
            return str(run.info.run_id)
        tags = {"kind": "study", "horizon": horizon, "family": family, "study_hash": study_hash}
        run = self.client.create_run(self.experiment, tags=tags, run_name=f"study-{family}-{horizon}-{study_hash[:8]}")
        return str(run.info.run_id)

    def _registration_run(self, horizon: str, bundle_hash: str, tags: Mapping[str, str]) -> str:
        # One that is still running belongs to a process that was killed: a second registration of the same bundle waits
        # for the workspace's lock.
        for run in self._runs(kind="registration", bundle_hash=bundle_hash, horizon=horizon):
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
        name = f"register-{horizon}-{bundle_hash[:8]}"
        return str(self.client.create_run(self.experiment, tags=dict(tags), run_name=name).info.run_id)

    def _ensure_model(self, name: str, horizon: str) -> None:
        from mlflow.exceptions import MlflowException

        tags = {"symbol": self.instrument.symbol, "timeframe": self.instrument.timeframe, "horizon": horizon}
        try:
            self.client.create_registered_model(name, tags={**tags, "kind": "signal"})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def registered_horizons(settings: Settings) -> list[tuple[Instrument, str]]:
    """Every instrument and horizon that has a registered model."""
    client = open_store(settings)
    found: list[tuple[Instrument, str]] = []
    token: str | None = None
    while True:
        page = client.search_registered_models("tags.`kind` = 'signal'", max_results=100, page_token=token)
        found += [(Instrument(m.tags["symbol"], m.tags["timeframe"]), m.tags["horizon"]) for m in page]
        token = page.token
        if not token:
            return sorted(found, key=lambda item: (item[0].name, item[0].bars_in(item[1])))


def _registered(found: "ModelVersion", *, created: bool = False) -> Registered:
    return Registered(found.name, str(found.version), found.tags["bundle_hash"], created, dict(found.tags))
