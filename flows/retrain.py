"""Retrain: one locked, healed run of the whole pipeline for one instrument."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from flows.api import logs_to, prefect_api
from flows.processes import end_recorded
from flows.steps import Steps
from pipelines.artifacts import Artifacts
from pipelines.exchange.terms import Terms
from pipelines.exchange.update import Refreshed, refresh
from pipelines.healing import heal
from pipelines.ingest.context_files import context_files
from pipelines.params import RunIdentity, read_params
from pipelines.settings import Settings, quiet_environment
from pipelines.store.bar_store import Series
from pipelines.stress.scenario import CATALOGUE, read_catalogue
from pipelines.workspace import Workspace, locked, prepare, require_source, root_or_workspace

OnProgress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class RetrainResult:
    """What a run leaves.

    Parameters
    ----------
    workspace
        Folder that its files are in.
    new_bars
        Whether the newest bar is another than before the run.
    ran
        Stages that really ran: neither up to date nor restored from DVC's cache.
    evidence, verdict, registered
        Content of ``evidence.json``, ``verdict.json`` and ``registered.json``.
    report
        The HTML file.
    signal
        The signal of each horizon, as served.
    source
        What an exchange gave; None where bars come from a file.
    """

    workspace: Path
    new_bars: bool
    ran: tuple[str, ...]
    evidence: Mapping[str, Any]
    verdict: Mapping[str, Any]
    registered: Mapping[str, Any]
    report: Path
    signal: tuple[Mapping[str, Any], ...]
    source: Refreshed | None = None

    @property
    def news(self) -> str:
        """What the run did, in a sentence."""
        given = "" if self.source is None else f"{self.source}; "
        if self.ran:
            return f"{given}{'new bars; ' if self.new_bars else ''}ran {', '.join(self.ran)}"
        return f"{given}no new bar since {self.evidence['as_of']}"


def unwatched(stage: str, done: int, total: int, note: str) -> None:
    """Progress for callers who do not watch."""


def run(
    settings: Settings,
    identity: RunIdentity,
    *,
    source: Path | None = None,
    profile: str = "quick",
    on_progress: OnProgress = unwatched,
    steps: Steps | None = None,
) -> RetrainResult:
    """Bring one instrument up to date: bars in, evidence, verdict, versions, report and a served signal out.

    Whatever is up to date already is not done again, and a run that was killed is continued where it was.

    Parameters
    ----------
    settings
        Where code and state are.
    identity
        Instrument, source, context and the moment the run stands at.
    source
        The user's file or folder of bars; by default the identity's, which may be a path below ``settings.home``, or
        an exchange: its new bars are fetched first.
    profile
        ``quick`` or a name under ``profiles`` of ``params.yaml``.
    on_progress
        Told ``(stage, done, total, note)``; a total of 0 means that a stage begins.
    steps
        What follows DVC's stages; by default the real gate, report, registry and service.

    Raises
    ------
    EngineError
        What the user can mend; nothing is retried then.
    ExchangeError
        If the exchange refuses what the run needs, or cannot be reached and nothing is stored.
    WorkspaceError
        If another run holds the workspace, or the state folder cannot be written.
    StageCrashedError
        If a stage ended with a traceback.
    """
    quiet_environment()
    if source is not None:
        identity = identity.model_copy(update={"source": str(source.expanduser().resolve())})
    workspace = root_or_workspace(settings, identity, profile)
    with locked(workspace):
        # Before Prefect starts: what is refused here is refused at once.
        running = workspace.settings.state / "state" / "running"
        server, stage = running / f"{workspace.key}-prefect.json", running / f"{workspace.key}-stage.json"
        end_recorded(stage)
        end_recorded(server)
        heal(workspace)
        read_params(workspace.settings.home / "params.yaml", profile=profile)
        read_catalogue(workspace.settings.home / CATALOGUE)
        context_files(workspace.context)
        # Before the workspace becomes this run's: without bars, what the last one left stays as it is.
        given = None if workspace.series is None else _refresh(workspace, workspace.series, on_progress)
        require_source(workspace.source)
        prepare(workspace)
        on_progress("ingest", 0, 0, "starting Prefect")
        steps = steps or Steps()
        with ThreadPoolExecutor(1) as background:
            # New databases are migrated for a while, MLflow's and Prefect's: at the same time.
            ledger = background.submit(steps.ledger, workspace.settings)
            with prefect_api(workspace.settings, server), logs_to(_log_file(workspace)):
                from flows.tasks import Job, retrain

                ledger.result()
                outcome = retrain(Job(workspace, steps, on_progress, stage))
        files = Artifacts(workspace.root)
        return RetrainResult(
            workspace=workspace.root,
            new_bars=outcome.new_bars,
            ran=outcome.ran,
            evidence=files.read_json("data/evidence/evidence.json"),
            verdict=files.read_json("data/gate/verdict.json"),
            registered=files.read_json("data/register/registered.json"),
            report=outcome.report,
            signal=outcome.signals,
            source=given,
        )


def _refresh(workspace: Workspace, series: Series, on_progress: OnProgress) -> Refreshed:
    """Fetch what an exchange has closed since the last run; its time counts as that of ingest."""
    settings, as_of = workspace.settings, workspace.run.as_of

    def say(note: str) -> None:
        on_progress("ingest", 0, 0, note)

    return refresh(
        Terms.of(settings),
        settings.store_folder,
        series,
        None if as_of is None else pd.Timestamp(as_of),
        progress=lambda done, total, note: say(f"fetched {done:,} of {total:,} bars, {note}"),
        say=say,
    )


def _log_file(workspace: Workspace) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return workspace.settings.state / "state" / "logs" / f"{workspace.key}-{stamp}.log"
