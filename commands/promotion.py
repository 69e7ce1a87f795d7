"""``engine promote``, ``engine rollback``, ``engine history``: which version is champion, and who made it so."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved

if TYPE_CHECKING:
    from pipelines.promotion.moves import Logged, Move
    from pipelines.settings import Settings
    from pipelines.tracking import Tracker

Symbol = Annotated[
    str | None, typer.Argument(help="Such as BTC/USD or BTC-USD. Default: that of run.yaml.", show_default=False)
]
Timeframe = Annotated[str | None, typer.Option(help="Length of a bar, such as 1h. Default: that of run.yaml.")]
Horizon = Annotated[str, typer.Option(help="Which model of the symbol, by its horizon, such as 4h.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]


@mendable
def promote(
    symbol: Symbol = None,
    *,
    horizon: Horizon,
    version: Annotated[int, typer.Option(min=1, help="Which version; `engine card` lists them.")],
    timeframe: Timeframe = None,
    override: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Promote it whatever the gate said, for this reason. It is logged, and every signal says overridden.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a version champion that the gate passed against the present champion; any other only with --override.

    Runs promote by themselves what passes. This is for what they left: a version that was rolled back from, or one that
    somebody answers for.

    Exit code 0: it is champion. 2: it is not, and why.
    """
    from pipelines.promotion.decisions import promote as decide

    settings = load_settings()
    with stdout_reserved():
        made = decide(_tracker(settings, symbol, timeframe), horizon, str(version), override=override)
    _say(made, as_json)


@mendable
def rollback(
    symbol: Symbol = None,
    *,
    horizon: Horizon,
    timeframe: Timeframe = None,
    why: Annotated[str, typer.Option(help="What the log shall say about it.")] = "back to the champion before",
    as_json: Json = False,
) -> None:
    """Make the champion before the present one champion again, and say which that is. A second one goes further back.

    What was rolled back from is not promoted by later runs: new data has to make another model, or `engine promote` it.

    Exit code 0: done. 2: there is none to go back to, or it cannot be done.
    """
    from pipelines.promotion.decisions import rollback as decide

    settings = load_settings()
    with stdout_reserved():
        made = decide(_tracker(settings, symbol, timeframe), horizon, why)
    _say(made, as_json)


@mendable
def history(
    symbol: Annotated[
        str | None, typer.Argument(help="Only moves of this symbol. Default: all.", show_default=False)
    ] = None,
    horizon: Annotated[str | None, typer.Option(help="Only moves of the models with this horizon.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Only moves of the models of this timeframe.")] = None,
    alias: Annotated[str | None, typer.Option(help="Only moves of this alias: champion or candidate.")] = None,
    as_json: Json = False,
) -> None:
    """Show every move of an alias, the newest last: when, who, from where to where, why, and on which verdict.

    Verifies that no line of the log was changed or removed, and that the registry shows what the log says. A move that
    a kill interrupted is brought to its end first.

    Exit code 0: all is sound. 1: the log was changed, or the registry contradicts it. 2: it could not be said.
    """
    from pipelines.promotion.transaction import history as read_history
    from pipelines.promotion.transaction import log_path
    from trading.instrument import Instrument

    settings = load_settings()
    with stdout_reserved():
        wanted = Instrument.parse(symbol, timeframe or "1h").symbol if symbol else None
        moves, fault, contradictions = read_history(settings)
    given: Mapping[str, str | None] = {"symbol": wanted, "horizon": horizon, "timeframe": timeframe, "alias": alias}
    shown = [one for one in moves if all(value in (None, getattr(one.move, name)) for name, value in given.items())]
    sound = fault is None and not contradictions
    if as_json:
        chain = {"sound": fault is None, "fault": None if fault is None else {"what": fault.what, "where": fault.where}}
        print_json(
            {
                "log": log_path(settings),
                "chain": chain,
                "registry": {"agrees": None if fault else not contradictions, "contradictions": contradictions},
                "moves": [_as_object(one) for one in shown],
            }
        )
    else:
        for line in _table(shown):
            typer.echo(line)
        if fault is not None:
            typer.echo(f"BROKEN    {fault}\nMoves before that line are shown.")
        for one in contradictions:
            typer.echo(f"DIFFERS   {one}")
        if sound:
            typer.echo(f"Sound: {len(moves)} move(s) in an unbroken chain, and the registry agrees with it.")
    raise typer.Exit(0 if sound else 1)


def _tracker(settings: "Settings", symbol: str | None, timeframe: str | None) -> "Tracker":
    from pipelines.params import read_run
    from pipelines.tracking import Tracker
    from trading.instrument import Instrument

    base = read_run(settings.home / "run.yaml")
    return Tracker(settings, Instrument.parse(symbol or base.symbol, timeframe or base.timeframe))


def _say(made: "Move", as_json: bool) -> None:
    if as_json:
        print_json({"moved": made.as_object()})
        return
    before = f"version {made.origin}" if made.origin else "none"
    typer.echo(f"champion of {made.model}: version {made.to} (before: {before}), {made.kind}: {_reason(made)}")
    typer.echo("a service that is running goes on with what it opened; start `engine serve` again")


def _as_object(one: "Logged") -> dict[str, Any]:
    ended = {"outcome": one.outcome, "recovered": one.recovered, "note": one.note}
    return {"line": one.entry.line, "hash": one.entry.hash, **one.move.as_object(), **ended}


def _table(moves: list["Logged"]) -> list[str]:
    head = ("time", "who", "model", "alias", "from", "to", "kind", "verdict", "why")
    rows = [head, *(_row(one) for one in moves)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def _row(one: "Logged") -> tuple[str, ...]:
    made, verdict = one.move, one.move.verdict or {}
    judged = f"{verdict['verdict']} ({verdict['question']}) {verdict['hash'][:8]}" if verdict else "–"
    ended = {"done": "", "void": f"VOID, {one.note}: ", None: "UNFINISHED: "}[one.outcome]
    when, kind = made.time[:19].replace("T", " "), made.kind
    return (when, made.who, made.model, made.alias, made.origin or "–", made.to, kind, judged, ended + _reason(made))


def _reason(made: "Move") -> str:
    """One line, whatever somebody gave as a reason."""
    text = made.why if made.override is None else f"{made.override} ({made.why})"
    return " ".join(text.split())
