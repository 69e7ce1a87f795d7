"""What follows the pure part of a run, each imported when it is called: judging, drawing, registering, serving once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.context import Context
from pipelines.settings import Settings


def open_ledger(settings: Settings) -> None:
    """Create MLflow's store where it is missing."""
    from pipelines.tracking_store import open_store

    open_store(settings)


def gate(context: Context) -> None:
    """Judge the evidence."""
    from pipelines.gate.stage import run

    run(context)


def write_report(context: Context) -> Path:
    """Draw the report, and the model cards that it links to."""
    from dashboard.card_pages import write_cards
    from dashboard.report import write_report

    return write_report(context, write_cards(context))


def register(context: Context) -> None:
    """Register the bundles and move aliases."""
    from pipelines.register.stage import run

    run(context)


def check_serving(context: Context) -> Mapping[str, Any]:
    """Serve what is registered, and ask it for its signals."""
    from serving.check import check_serving

    return check_serving(context)


@dataclass(frozen=True)
class Steps:
    """The steps after DVC's stages; each is idempotent.

    Parameters
    ----------
    ledger
        Makes sure, before the first stage, that trials can be booked.
    gate, register
        Write ``data/gate/verdict.json`` and ``data/register/registered.json``.
    report
        Writes the report with its model cards, and names it.
    check
        Answers with ``signals``, a list.
    """

    ledger: Callable[[Settings], None] = open_ledger
    gate: Callable[[Context], None] = gate
    report: Callable[[Context], Path] = write_report
    register: Callable[[Context], None] = register
    check: Callable[[Context], Mapping[str, Any]] = check_serving
