"""The retraining flow as Prefect sees it: a task per stage, a task per step after them, and their artifacts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from prefect import Task, flow, get_run_logger, tags, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TagsContext

from dashboard.wording import headline
from flows.cluster import on_cluster, runner_options
from flows.stages import from_first, reproduce, stage_names, stale_stages
from flows.steps import Steps
from pipelines.artifacts import Artifacts, content_hash, digest
from pipelines.context import Context
from pipelines.runner import open_context
from pipelines.workspace import CONTEXT, Workspace, sync_context, sync_source
from trading.errors import EngineError

BARS = "data/validated/bars.parquet"
EVIDENCE = "data/evidence/evidence.json"
VERDICT = "data/gate/verdict.json"
REPORT = "data/report/report.html"
MADE_FROM = "data/report/made_from.json"

OnProgress = Callable[[str, int, int, str], None]
# Where another try can help: a source that is being written to, databases that others write to.
RETRIES: Mapping[str, int] = {"sync_source": 2, "ingest": 2, "tune": 2, "gate": 2, "register": 2}
RETRY_SECONDS = 3.0
_COMPARED = ("sharpe", "sharpe_low", "sharpe_high", "total_return", "max_drawdown", "trades", "break_even_bps")


@dataclass(frozen=True)
class Job:
    """A run that holds its workspace.

    Parameters
    ----------
    workspace
        Prepared.
    steps
        What follows the stages.
    on_progress
        Told ``(stage, done, total, note)``.
    child
        Where a running stage's process is recorded.
    """

    workspace: Workspace
    steps: Steps
    on_progress: OnProgress
    child: Path


@dataclass(frozen=True)
class Outcome:
    """What a flow run did: the stages that ran, whether bars are new, the signals that are served."""

    ran: tuple[str, ...]
    new_bars: bool
    signals: tuple[Mapping[str, Any], ...]
    report: Path


def mendable_by_time(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether another try can help: never after an error that the user must mend."""
    return not isinstance(state.result(raise_on_failure=False), EngineError)


def retrain(job: Job) -> Outcome:
    """Run the flow for a job; see :func:`flows.retrain.run`."""
    run = job.workspace.run
    as_of = "newest bar" if run.as_of is None else run.as_of.isoformat()

    # The parameters are what Prefect shows; the job, which no server could store, comes by closure.
    @flow(
        name="retrain",
        flow_run_name=f"{run.instrument.name} {as_of}",
        validate_parameters=False,
        **runner_options(job.workspace.settings),
    )
    def body(symbol: str, timeframe: str, as_of: str, profile: str, source: str) -> Outcome:
        # The run carries the tags. On its tasks each tag would be asked for a concurrency limit before and after.
        with TagsContext(current_tags=set()):
            return _Retraining(job).run()

    with tags(run.instrument.name, f"as_of:{as_of}", job.workspace.profile):
        outcome: Outcome = body(run.symbol, run.timeframe, as_of, job.workspace.profile, job.workspace.given)
    return outcome


class _Retraining:
    """The body of one flow run."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.workspace = job.workspace
        self.settings = on_cluster(job.workspace.settings)
        self.files = Artifacts(job.workspace.root)
        self.log = get_run_logger()

    def run(self) -> Outcome:
        known = _last_bar(self.files)
        self.call("sync_source", self.sync)
        ran = self.run_stages()
        now = _last_bar(self.files)
        signals, report, changed = self.run_steps()
        if ran or changed:
            self.publish()
        else:
            self.log.info("no new bar since %s: nothing to do", now)
        return Outcome(tuple(ran), now != known, tuple(signals), report)

    def sync(self) -> None:
        """Bring what the user gave into the workspace."""
        sync_source(self.workspace, self.workspace.source)
        sync_context(self.workspace)

    def call(self, name: str, function: Callable[[], Any]) -> Any:
        """Call a function as a task."""
        return task(
            function,
            name=name,
            task_run_name=name,
            retries=RETRIES.get(name, 0),
            retry_delay_seconds=RETRY_SECONDS,
            retry_condition_fn=mendable_by_time,
        )()

    def run_stages(self) -> list[str]:
        """Run what is stale, in reading order; name the stages that really ran."""
        root = self.workspace.root
        names = stage_names(root)
        stale = from_first(names, stale_stages(root, self.settings))
        ran = []
        for name in names:
            if name not in stale:
                self.job.on_progress(name, 1, 1, "unchanged")
                continue
            self.job.on_progress(name, 0, 0, "")
            if self.call(name, partial(self.reproduce, name)):
                ran.append(name)
        return ran

    def reproduce(self, name: str) -> bool:
        """Run one stage; its output becomes the log of its task."""
        log = get_run_logger()
        try:
            return reproduce(
                self.workspace.root,
                name,
                self.settings,
                on_line=log.info,
                on_progress=self.job.on_progress,
                child=self.job.child,
            )
        except EngineError as error:
            error.where = as_given(error.where, self.workspace)
            raise

    def run_steps(self) -> tuple[list[Mapping[str, Any]], Path, bool]:
        """Judge, draw, register and ask; each step does nothing where nothing changed."""
        steps = self.job.steps
        before = self._judged()
        self.step("gate", steps.gate)
        # Before registering, so that the versions carry it.
        report = self.draw()
        self.step("register", steps.register)
        answer = self.step("serve_check", steps.check)
        return list(answer["signals"]), report, before != self._judged()

    def step(self, name: str, function: Callable[[Context], Any]) -> Any:
        """Call a step in this process, with a context of the workspace."""
        self.job.on_progress(name, 0, 0, "")
        return self.call(name, lambda: function(self.context(name)))

    def draw(self) -> Path:
        """Draw the report, unless it shows what is known already."""
        judged = self._judged()
        if not self.files.exists(REPORT) or judged != self._shown():
            self.step("report", self.job.steps.report)
            self.files.write_json(MADE_FROM, {"sha256": judged})
        return self.files.path(REPORT)

    def context(self, name: str) -> Context:
        """What a step is handed."""
        progress = partial(self.job.on_progress, name)
        return open_context(self.workspace.root, self.workspace.settings, progress=progress)

    def publish(self) -> None:
        """Leave the verdict and the metrics where Prefect's users look."""
        evidence, verdict = self.files.read_json(EVIDENCE), self.files.read_json(VERDICT)
        key = self.workspace.run.instrument.name.lower().replace("_", "-")
        create_markdown_artifact(key=f"verdict-{key}", markdown=verdict_text(evidence, verdict))
        create_table_artifact(key=f"metrics-{key}", table=metric_rows(evidence, verdict))
        create_table_artifact(key=f"gate-{key}", table=rule_rows(verdict))

    def _judged(self) -> str:
        """Digest of all that the report shows: evidence, verdict, and the code that draws it."""
        known = [self.files.read_json(name) for name in (EVIDENCE, VERDICT) if self.files.exists(name)]
        drawing = self.workspace.settings.home / "dashboard"
        code = {path.name: digest(path) for path in sorted(drawing.rglob("*")) if path.suffix in (".py", ".j2")}
        return content_hash([known, code])

    def _shown(self) -> str:
        found = self.files.read_json(MADE_FROM) if self.files.exists(MADE_FROM) else {}
        return str(found.get("sha256", ""))


def as_given(where: str, workspace: Workspace) -> str:
    """A place in the workspace's copies, said of the file, the series or the folder that the user gave."""
    given, copy = workspace.given, workspace.run.source
    if where == copy:
        return given
    where = where.replace(str(workspace.root / copy), given)
    return where.replace(str(workspace.root / CONTEXT), str(workspace.context))


def verdict_text(evidence: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """The gate's verdict in Markdown: a headline, and a sentence and the broken rules for each horizon."""
    instrument = evidence["instrument"]
    lines = [f"# {instrument['symbol']} {instrument['timeframe']} as of {evidence['as_of']}", "", headline(verdict)[0]]
    for horizon, found in verdict["horizons"].items():
        lines += ["", f"## {horizon}: {found['verdict']}", "", found["summary"], ""]
        lines += [f"- **{rule['rule']}**: {rule['reason']}" for rule in found["rules"] if not rule["passed"]]
    return "\n".join(lines) + "\n"


def metric_rows(evidence: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a horizon: skill beside its best baseline, the strategy, and what the gate said."""
    rows = []
    for horizon, found in evidence["horizons"].items():
        vote, baseline, judged = found["skill"]["vote"], found["best_baseline"], verdict["horizons"][horizon]
        row = {
            "horizon": horizon,
            "accuracy": vote["accuracy"],
            "accuracy_low": vote["accuracy_low"],
            "accuracy_high": vote["accuracy_high"],
            "baseline": baseline,
            "baseline_accuracy": found["baselines"][baseline]["accuracy"],
            **{name: found["strategy"][name] for name in _COMPARED},
            "deflated_sharpe": judged["deflated_sharpe"],
            "deflated_by": judged["trials"]["deflated_by"],
            "trials_counted": judged["trials"]["counted"],
            "verdict": judged["verdict"],
        }
        rows.append(row)
    return rows


def rule_rows(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a rule of each horizon: what was measured, what it was held against, and the reason in words."""
    return [
        {
            "horizon": horizon,
            "rule": rule["rule"],
            "result": "pass" if rule["passed"] else "FAIL",
            "measured": rule["value"],
            "needed": rule["threshold"],
            "reason": rule["reason"],
        }
        for horizon, found in verdict["horizons"].items()
        for rule in found["rules"]
    ]


def _last_bar(files: Artifacts) -> datetime | None:
    """Opening of the newest validated bar, if there is one."""
    if not files.exists(BARS):
        return None
    stamp: datetime = files.read_frame(BARS).index[-1].to_pydatetime()
    return stamp
