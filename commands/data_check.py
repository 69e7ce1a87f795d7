"""``engine data check``: what is wrong with a file of bars."""

from pathlib import Path
from typing import Annotated

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved


@mendable
def check(
    file: Annotated[Path, typer.Argument(help="CSV (also .gz), Parquet or Feather file of bars.")],
    against: Annotated[
        Path | None, typer.Option(help="A second source of the same market, to compare clocks and prices with.")
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Length the bars should have, such as 1h. Default: what the file's name says.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write a copy with the safe fixes applied, NAME.fixed.EXT beside the file.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Where --fix writes its copy. Never the file itself.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Name what is wrong with a file of bars: counts, first examples, what to do.

    The file is looked at as it is and never changed. Exit code 0: no faults; 1: faults; 2: it cannot be read, or holds
    no bars. Real gaps and quiet hours are notes until they pass validate.max_missing_fraction of params.yaml.
    """
    from pipelines.diagnosis.diagnose import diagnose
    from pipelines.diagnosis.mend import mend, mended_path, write_table
    from pipelines.diagnosis.wording import lines_of
    from pipelines.params import read_params
    from trading.errors import BarError

    if output is not None and not fix:
        raise BarError("--output without --fix", remedy="add --fix, or leave --output away")
    settings = load_settings()
    fixed: tuple[str, ...] = ()
    copy: str | None = None
    left: tuple[str, ...] = ()
    said: list[str] = []
    with stdout_reserved():
        limit = read_params(settings.home / "params.yaml").validate_.max_missing_fraction
        target = mended_path(file, output) if fix else None
        found = diagnose(file, max_missing=limit, against=against, timeframe=timeframe)
        if target is not None:
            mended = mend(found)
            fixed = mended.fixed
            if fixed and found.mending is not None:
                source = found.mending.reading.source
                copy = str(write_table(mended.frame, target, source.format, named=source.named))
                again = diagnose(Path(copy), max_missing=limit, against=against, timeframe=timeframe)
                left = tuple(fault.kind for fault in again.faults)
                said = [f"mended in {copy}: {', '.join(fixed)}", f"left in the copy: {', '.join(left) or 'nothing'}"]
            else:
                said = ["nothing could be mended safely; no copy was written"]
    if as_json:
        answer = found.as_object()
        print_json({**answer, "notes": answer["notes"] + said})
    else:
        for line in lines_of(found, fixed, copy, left):
            typer.echo(line)
        if fix and copy is None:
            typer.echo(f"\n{said[0]}")
    raise typer.Exit(1 if found.faults else 0)
