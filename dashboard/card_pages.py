"""Model cards as files: Markdown for MLflow, and a self-contained page beside the report."""

import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dashboard import figures
from dashboard.card import Card, card
from dashboard.card_section import Section
from pipelines.context import Context
from pipelines.exchange.source import venue_of
from pipelines.params import Params, RunIdentity, overlay
from trading.errors import WorkspaceError

EVIDENCE = "data/evidence/evidence.json"
VERDICT = "data/gate/verdict.json"
CARDS = "data/report/cards"
_SAMPLE = "data/sample/"
_ACTIVE = re.compile(r"([\\`*_|\[\]#~])")


def write_cards(context: Context) -> dict[str, Path]:
    """Write the card of every bundle that was tested, as ``<model name>.html`` and ``.md``.

    They lie beside the report, with a copy of the pages under the state folder, where the report's copy is. Versions
    are registered after it, with their cards.

    Returns
    -------
    dict of str to Path
        The page of each horizon.

    Raises
    ------
    StageError
        If evidence or bundles have not been made.
    WorkspaceError
        If a card cannot be written.
    """
    files, instrument = context.files, context.run.instrument
    evidence = files.read_json(EVIDENCE)
    judged = files.read_json(VERDICT)["horizons"] if files.exists(VERDICT) else {}
    beside = evidence.get("features", {}).get("beside", {})
    command = command_of(context.run, context.params, str(evidence["as_of"]), beside)
    # Those of horizons that are no longer forecast would be registered with the others.
    shutil.rmtree(files.path(CARDS), ignore_errors=True)
    pages = {}
    for horizon, one in evidence["horizons"].items():
        spec = files.read_json(f"data/train/{horizon}/bundle.json")
        said = card(spec, evidence, judged.get(horizon), command=command)
        name = f"{CARDS}/{instrument.model_name(horizon)}"
        files.write_text(f"{name}.md", to_markdown(said))
        pages[horizon] = files.write_text(f"{name}.html", to_html(said, _drawings(one)))
    target = context.settings.state / "reports" / "cards"
    try:
        target.mkdir(parents=True, exist_ok=True)
        for page in pages.values():
            shutil.copyfile(page, target / page.name)
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the model cards: {error.strerror}",
            where=str(target),
            remedy="choose a folder you may write to with ENGINE_STATE",
        ) from error
    return pages


def command_of(run: RunIdentity, params: Params, as_of: str, beside: Collection[str]) -> str:
    """What makes the same run again from a checkout of the same commit.

    ``FILE`` stands for the user's own bars, and ``FOLDER`` for what was read beside them, if anything was.
    """
    words = [f"--symbol {run.symbol} --timeframe {run.timeframe} --as-of {as_of}"]
    if venue := venue_of(run.source):
        words.append(f"--exchange {venue}")
    elif not run.source.startswith(_SAMPLE):
        words.append("--bars FILE")
    if beside and not run.source.startswith(_SAMPLE):
        words.append("--context FOLDER")
    # A workspace's params have the profiles applied already: applied again they change nothing.
    raw = params.model_dump(mode="json", by_alias=True)
    if applied := [name for name, change in params.profiles.items() if overlay(raw, change) == raw]:
        words.append(f"--profile {'+'.join(applied)}")
    return f'make run ARGS="{" ".join(words)}"'


def to_markdown(said: Card) -> str:
    """The card as Markdown with tables; equal content gives equal bytes. Every section begins with ``## ``."""
    parts = [f"# Model card: {_plain(said.name)}", _plain(said.about), f"**{_plain(said.headline)}**"]
    for section in said.sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_plain(note) for note in section.notes]
        if section.rows:
            parts.append(_table(section))
        if section.items:
            parts.append("\n".join(f"- {_plain(item)}" for item in section.items))
        if section.code:
            parts.append(f"```\n{section.code}\n```")
    return "\n\n".join(parts) + "\n"


def to_html(said: Card, drawings: Mapping[str, str]) -> str:
    """The card as one self-contained page.

    Parameters
    ----------
    said
        What it says.
    drawings
        SVG by the key of the section that it stands in.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(
        loader=PackageLoader("dashboard"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return page.get_template("card.html.j2").render(card=said, drawings=drawings)


def _table(section: Section) -> str:
    head = section.head or ("",) * len(section.rows[0])
    lines = [head, ("---",) * len(head)] + [tuple(_plain(cell) for cell in row) for row in section.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown takes as it is: one line, no marks, no tags."""
    text = _ACTIVE.sub(r"\\\1", " ".join(text.split()))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _drawings(one: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    if one.get("calibration"):
        found["calibration"] = figures.calibration("calibration", one["calibration"])
    if one.get("importance"):
        found["importance"] = figures.importance("importance", one["importance"])
    return found
