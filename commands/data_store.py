"""``engine data list``, ``gaps``, ``repair`` and ``export``: what is stored, whether it is whole, and its bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved

if TYPE_CHECKING:
    from pipelines.store.repair import Repaired
    from pipelines.store.summary import ExternalSummary, SeriesSummary

Symbol = Annotated[str | None, typer.Argument(help="Such as BTC/USDT or BTC-USDT. Default: every series.")]
Venue = Annotated[str | None, typer.Option(help="Only this exchange, such as binance.")]
Timeframe = Annotated[str | None, typer.Option(help="Only bars of this length, such as 1m.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]


@mendable
def list_series(as_json: Json = False) -> None:
    """Say what is stored: each series with its first and last bar, bars, holes, corrections and size."""
    from dataclasses import asdict

    from pipelines.store.bar_store import BarStore
    from pipelines.store.external_store import ExternalStore
    from pipelines.store.summary import summarise, summarise_external

    root = load_settings().store_folder
    with stdout_reserved():
        store, others = BarStore(root), ExternalStore(root)
        bars = [summarise(store, series) for series in store.folders()]
        external = [summarise_external(others, name) for name in others.names()]
    if as_json:
        content = {"bars": [asdict(one) for one in bars], "external": [asdict(one) for one in external]}
        print_json({"store": root, **content})
        return
    if not bars and not external:
        typer.echo(f"nothing is stored in {root}; fetch bars with `engine data fetch`")
    rows: list[Sequence[str]] = [
        (one.venue, one.symbol, one.timeframe, *_figures(one, one.bars, _holes(one.gaps, one.missing))) for one in bars
    ]
    _table(["venue", "symbol", "bar", "first", "last", "bars", "holes", "corrected", "size", ""], rows)
    rows = [(one.name, *_figures(one, one.rows)) for one in external]
    _table(["external series", "first", "last", "rows", "corrected", "size", ""], rows)


@mendable
def gaps(
    symbol: Symbol = None,
    venue: Venue = None,
    timeframe: Timeframe = None,
    as_json: Json = False,
) -> None:
    """Name every hole between the first and the last bar: where it starts, where bars go on, how many are missing."""
    from pipelines.store.bar_store import BarStore
    from pipelines.store.summary import choose

    store = BarStore(load_settings().store_folder)
    with stdout_reserved():
        found = [(series, store.gaps(series)) for series in choose(store, symbol, venue, timeframe)]
    if as_json:
        listed = [
            {
                "venue": series.venue,
                "symbol": series.symbol,
                "timeframe": series.timeframe,
                "gaps": holes.to_dict(orient="records"),
            }
            for series, holes in found
        ]
        print_json({"store": store.root, "series": listed})
        return
    for series, holes in found:
        typer.echo(f"{series}: {_holes(len(holes), int(holes['missing'].sum()))}")
        rows = [
            (f"  {hole.start:%Y-%m-%d %H:%M}", f"{hole.end:%Y-%m-%d %H:%M}", f"{hole.missing:,}")
            for hole in holes.itertuples()
        ]
        _table(["  from", "until", "bars missing"], rows)


@mendable
def repair(
    symbol: Symbol = None,
    venue: Venue = None,
    timeframe: Timeframe = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only say what would be done.")] = False,
    drop_damaged: Annotated[
        bool, typer.Option("--drop-damaged", help="Take damaged files out of their series; fetch their bars again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify every file, remove what a kill left, merge small files, rebuild a lost log; exit 1 where damage remains.

    No observation is lost. Without a symbol, external series are repaired as well.
    """
    from dataclasses import asdict

    from pipelines.store.bar_store import BarStore
    from pipelines.store.errors import StoreError
    from pipelines.store.external_store import ExternalStore
    from pipelines.store.repair import repair as put_in_order
    from pipelines.store.summary import choose

    root = load_settings().store_folder
    store, others = BarStore(root), ExternalStore(root)
    everything = symbol is None and venue is None and timeframe is None
    names = others.names() if everything else []
    series = [] if names and not store.folders() else choose(store, symbol, venue, timeframe)
    tables = [(str(one), store.table(one)) for one in series] + [(name, others.table(name)) for name in names]
    reports, clean = [], True
    for name, table in tables:
        try:
            with stdout_reserved():
                found = put_in_order(table, dry_run, drop_damaged)
        except StoreError as error:
            clean = False
            reports.append({"series": name, "folder": table.folder, "fault": str(error), "clean": False})
            typer.echo(f"{name}: {error}", err=True)
            continue
        clean &= found.clean
        reports.append({"series": name, "folder": table.folder, **asdict(found), "clean": found.clean})
        if not as_json:
            for line in _repaired(name, found, dry_run):
                typer.echo(line)
    if as_json:
        print_json({"store": root, "dry_run": dry_run, "clean": clean, "series": reports})
    if not clean:
        raise typer.Exit(1)


@mendable
def export(
    symbol: Annotated[str, typer.Argument(help="Such as BTC/USDT or BTC-USDT.")],
    file: Annotated[Path, typer.Argument(help="Name that ends in .csv, .csv.gz, .parquet or .feather.")],
    venue: Venue = None,
    timeframe: Timeframe = None,
    start: Annotated[str | None, typer.Option(help="First open, ISO time (UTC). Default: the first bar.")] = None,
    end: Annotated[str | None, typer.Option(help="Opens before this ISO time (UTC). Default: all.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Only what was recorded by this ISO time (UTC). Default: everything.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the bars of one series to a file, which is then whole or, after a kill, as it was."""
    from pipelines.store.bar_store import BarStore
    from pipelines.store.export import export as write
    from pipelines.store.moments import parsed
    from pipelines.store.summary import choose_one

    store = BarStore(load_settings().store_folder)
    bounds = parsed(start, "--start"), parsed(end, "--end"), parsed(as_of, "--as-of")
    with stdout_reserved():
        series = choose_one(store, symbol, venue, timeframe)
        rows = write(store.chunks(series, *bounds), file)
    if as_json:
        names = {"venue": series.venue, "symbol": series.symbol, "timeframe": series.timeframe}
        print_json({**names, "file": file, "bars": rows})
    else:
        typer.echo(f"{rows:,} bars of {series} in {file}")


def _figures(one: "SeriesSummary | ExternalSummary", rows: int, *more: str) -> list[str]:
    """Cells that bars and external series have in common; a fault stands for all of them."""
    if one.fault:
        return ["", "", "", *("" for _ in more), "", "", one.fault]
    return [_minute(one.first), _minute(one.last), f"{rows:,}", *more, f"{one.corrections:,}", _size(one.size), ""]


def _repaired(name: str, found: "Repaired", dry_run: bool) -> list[str]:
    would = "would be " if dry_run else ""
    lines = [f"{name}: {found.files} file(s) whole, {_size(found.size)}"]
    if found.rebuilt:
        lines.append(f"  {found.rebuilt}: {would}rebuilt from the files")
    if found.orphans:
        lines.append(f"  {len(found.orphans)} file(s) left by a kill {would}removed: {', '.join(found.orphans)}")
    if found.merged[0]:
        lines.append(f"  {found.merged[0]} files {would}merged into {found.merged[1]}, with every observation")
    for one in found.damaged:
        held = (
            f"; it held {one.rows:,} observations from {_minute(one.first)} to {_minute(one.last)}" if one.rows else ""
        )
        lines.append(f"  DAMAGED {one.file}: {one.fault}{held}")
    if found.dropped:
        lines.append("  dropped: fetch these bars again; the files are kept as *.damaged")
    elif found.damaged:
        lines.append("  restore them (`dvc checkout`, a backup), or run again with --drop-damaged and fetch these bars")
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be; nothing where there are no rows."""
    if not rows:
        return
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _minute(text: str) -> str:
    return text[:16].replace("T", " ")


def _holes(count: int, missing: int) -> str:
    return f"{count:,} ({missing:,} bars)" if count else "none"


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
