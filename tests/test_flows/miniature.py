"""A miniature of the engine's home: three stages of a few lines, and steps that only write what the flow reads.

The runner, DVC, workspaces and the flow are the real ones. As a program it runs the flow once, for tests that kill it.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.retrain import RetrainResult, run
from flows.steps import Steps
from pipelines.context import Context
from pipelines.params import read_run
from pipelines.settings import Settings
from trading.errors import EngineError

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("one", "two", "three")

_MAIN = """
from pipelines.runner import main
from mini.{name} import run
main("{name}", run)
"""
# Each stage says that it ran, does what a file named trouble asks for, and adds a line to the previous one's output.
_STAGE = """
import os, time
from pathlib import Path
from trading.errors import BarError

def run(context):
    with Path("ran.log").open("a") as log:
        log.write("{name}\\n")
    context.progress(0, 2, "half way")
    trouble = Path("trouble.{name}").read_text() if Path("trouble.{name}").exists() else ""
    if trouble == "bug":
        raise ZeroDivisionError("a bug")
    if trouble == "once":
        Path("trouble.{name}").unlink()
        raise OSError("database is locked")
    if trouble == "mend":
        raise BarError("bad bars", where="row 7", rule="high >= low", remedy="mend row 7")
    if trouble == "edit":
        Path("params.yaml").write_text(Path("params.yaml").read_text() + "# edited\\n")
    if trouble == "hang":
        Path("hanging.pid").write_text(str(os.getpid()))
        time.sleep(120)
    text = Path({read}).read_text()
    context.files.write_text("{out}/text", text + "{name} " + str(context.params.seed) + "\\n")
    context.progress(2, 2, "done")
"""
_LAST = '    context.files.write_bytes("data/evidence/evidence.json", Path("evidence.example").read_bytes())\n'
_READ = {"one": "context.run.source", "two": '"data/one/text"', "three": '"data/two/text"'}
_OUT = {"one": "data/one", "two": "data/two", "three": "data/evidence"}
_DVC = """
vars: [run.yaml]
stages:
  one:
    cmd: exec python -m mini.one_main
    deps: ["${source}", "${context}", mini/one.py]
    params: [seed, {run.yaml: [symbol, timeframe, source, context, as_of]}]
    outs: [data/one]
  two:
    cmd: exec python -m mini.two_main
    deps: [data/one, mini/two.py]
    params: [seed]
    outs: [data/two]
  three:
    cmd: exec python -m mini.three_main
    deps: [data/two, mini/three.py]
    params: [seed]
    outs: [data/evidence]
"""


def make(home: Path) -> None:
    """Write the miniature, with ``data/sample/bars.csv`` as its source."""
    (home / "mini").mkdir(parents=True)
    (home / "mini" / "__init__.py").touch()
    for name in STAGES:
        (home / "mini" / f"{name}_main.py").write_text(_MAIN.format(name=name))
        text = _STAGE.replace("{name}", name).replace("{read}", _READ[name]).replace("{out}", _OUT[name])
        (home / "mini" / f"{name}.py").write_text(text + (_LAST if name == "three" else ""))
    for name in ("trading", "models", "pipelines"):
        (home / name).symlink_to(ROOT / name)
    for name in ("params.yaml", "stress.yaml", ".dvcignore", ".dvc/config"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text((ROOT / name).read_text())
    (home / "dvc.yaml").write_text(_DVC)
    (home / "evidence.example").write_text((ROOT / "tests" / "data" / "evidence.json").read_text())
    (home / "data" / "sample").mkdir(parents=True)
    (home / "data" / "sample" / "bars.csv").write_text("bar 1\n")
    (home / "data" / "context").mkdir()
    (home / "run.yaml").write_text(
        "symbol: BTC/USD\ntimeframe: 1h\nsource: data/sample/bars.csv\ncontext: data/context\nas_of: null\n"
    )


def _ledger(settings: Settings) -> None:
    (settings.state / "ledger.db").touch()


def _gate(context: Context) -> None:
    rule = {"rule": "skill", "passed": False, "value": -0.1, "threshold": 0.0, "reason": "None to be seen."}
    trials = {"counted": 1, "effective": 1.0, "deflated_by": 1}
    found = {"verdict": "refused", "question": "first", "summary": "not yet", "rules": [rule], "trials": trials}
    found["deflated_sharpe"] = None
    horizons = dict.fromkeys(context.files.read_json("data/evidence/evidence.json")["horizons"], found)
    context.files.write_json("data/gate/verdict.json", {"as_of": "2019-10-01", "horizons": horizons})


def _report(context: Context) -> Path:
    with context.files.path("drawn.log").open("a") as log:
        log.write("drawn\n")
    return context.files.write_text("data/report/report.html", "<html></html>")


def _register(context: Context) -> None:
    context.files.write_json("data/register/registered.json", {"horizons": {"1h": {"name": "m", "version": "1"}}})


def _check(context: Context) -> Mapping[str, Any]:
    return {"signals": [{"horizon": "1h"}]}


STEPS = Steps(ledger=_ledger, gate=_gate, report=_report, register=_register, check=_check)


def retrain(settings: Settings, told: list[tuple[str, int, int, str]] | None = None, **changes: str) -> RetrainResult:
    """Run the real flow on the miniature's stages and steps."""
    identity = read_run(settings.home / "run.yaml").model_copy(update=changes)
    heard: list[tuple[str, int, int, str]] = [] if told is None else told
    return run(settings, identity, on_progress=lambda *said: heard.append(said), steps=STEPS)


if __name__ == "__main__":
    try:
        print(json.dumps(retrain(Settings()).ran))
    except EngineError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
