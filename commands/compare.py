"""``engine compare``: two registered versions of a model side by side."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved

if TYPE_CHECKING:
    from pipelines.gate.comparison import Version
    from pipelines.settings import Settings
    from pipelines.tracking import Tracker


@mendable
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A version's number, or an alias such as candidate.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The one it is compared with, such as champion.")],
    *,
    horizon: Annotated[str, typer.Option(help="Which model of the symbol, by its horizon, such as 4h.")],
    symbol: Annotated[str | None, typer.Option(help="Such as BTC/USD or BTC-USD. Default: that of run.yaml.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Length of a bar. Default: that of run.yaml.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with both equities as well.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Show two versions of a model side by side: metrics, verdicts, parameters, and A less B over their common bars.

    The difference of the Sharpe ratios is that of the gate: both walk-forward streams resampled in pairs. Nothing is
    promoted by it.
    """
    settings = load_settings()
    with stdout_reserved():
        model, found, returns = _compared(settings, symbol, timeframe, horizon, first, second)
        if html is not None:
            from dashboard.comparison import render_comparison

            _write(html, render_comparison(found, model, returns))
    if as_json:
        print_json({"model": model, **found, "html": html})
        return
    for line in lines_of(model, found):
        typer.echo(line)
    if html is not None:
        typer.echo(f"\nwritten to {html}")


def _compared(
    settings: "Settings", symbol: str | None, timeframe: str | None, horizon: str, first: str, second: str
) -> tuple[str, dict[str, Any], Any]:
    from pipelines.gate.comparison import common_bars
    from pipelines.gate.comparison import compare as side_by_side
    from pipelines.params import read_run
    from pipelines.tracking import Tracker
    from trading.instrument import Instrument

    base = read_run(settings.home / "run.yaml")
    tracker = Tracker(settings, Instrument.parse(symbol or base.symbol, timeframe or base.timeframe))
    a, b = (read_version(tracker, horizon, name) for name in (first, second))
    found = side_by_side(a, b, horizon, tracker.instrument.bars_per_year)
    return tracker.instrument.model_name(horizon), found, common_bars(a, b)


def read_version(tracker: "Tracker", horizon: str, name: str) -> "Version":
    """A version by its number or an alias, with all that is compared.

    Raises
    ------
    StageError
        If the horizon has no such version.
    """
    import pandas as pd

    from models.bundle import WALK_FORWARD
    from pipelines.artifacts import Artifacts
    from pipelines.gate.comparison import Version
    from pipelines.tracking import CANDIDATE, CHAMPION
    from trading.errors import StageError

    aliases = {alias: found for alias in (CHAMPION, CANDIDATE) if (found := tracker.version(horizon, alias))}
    known = {found.version: found for found in tracker.versions(horizon)}
    meant = known.get(name) or tracker.version(horizon, name) if known else None
    if meant is None:
        names = ", ".join([*sorted(known, key=int), *aliases]) or "none yet"
        raise StageError(
            f"no version {name!r} of {tracker.instrument.model_name(horizon)}",
            where=tracker.settings.tracking_uri,
            rule=f"registered: {names}",
            remedy="name one of these, another --horizon, --symbol or --timeframe; `engine card` lists all",
        )
    folder = tracker.download(horizon, meant.version)
    spec = Artifacts(folder).read_json("bundle.json")
    return Version(
        version=meant.version,
        aliases=tuple(alias for alias, at in aliases.items() if at.version == meant.version),
        evidence=tracker.document(meant, "evidence.json"),
        verdict=tracker.document(meant, "verdict.json")["horizons"][horizon],
        params={"params": spec["params"], "settings": spec.get("settings", {}), "seed": spec["seed"]},
        stream=pd.read_parquet(folder / WALK_FORWARD)["net_return"],
    )


def lines_of(model: str, found: Mapping[str, Any]) -> Iterator[str]:
    """What the verb prints."""
    from dashboard.comparison import difference_said, metric_rows, param_rows, summaries, version_rows

    names = [f"version {found['versions'][side]['version']}" for side in ("a", "b")]
    yield f"{model}: {names[0]} and {names[1]}"
    yield difference_said(found)
    yield ""
    yield from _table([("", *names), *version_rows(found)])
    for name, said in zip(names, summaries(found), strict=True):
        yield f"{name}: {said}"
    yield ""
    yield from _table([("each over its own test", *names, "difference"), *metric_rows(found)])
    yield ""
    yield from _table([("parameters that differ", *names), *(param_rows(found) or [("none", "", "")])])


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _write(path: Path, page: str) -> None:
    from trading.errors import WorkspaceError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the page: {error.strerror}",
            where=str(path),
            remedy="name a file in a folder that exists and that you may write to",
        ) from error
