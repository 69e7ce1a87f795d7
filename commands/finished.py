"""Which run a verb means that looks at what runs have made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.settings import Settings
    from pipelines.workspace import Workspace
    from trading.instrument import Instrument


def finished_workspace(settings: "Settings", symbol: str | None, timeframe: str | None) -> "Workspace":
    """The workspace in which an instrument was run last.

    Raises
    ------
    StageError
        If it never was.
    """
    from pipelines.params import read_run
    from pipelines.workspace import CONTEXT, SOURCE, Workspace, own_root
    from trading.errors import StageError

    instrument, root = latest(settings, symbol, timeframe, "backtest")
    if root is None:
        raise StageError(
            f"no finished run of {instrument.symbol} {instrument.timeframe}",
            where=str(own_root(settings, instrument)),
            rule="this verb looks at what a run has made",
            remedy=f"make one with `engine run --symbol {instrument.symbol} --timeframe {instrument.timeframe}`",
        )
    return Workspace(root, read_run(root / "run.yaml"), "quick", root / SOURCE, root / CONTEXT, settings)


def latest(
    settings: "Settings", symbol: str | None, timeframe: str | None, stage: str
) -> "tuple[Instrument, Path | None]":
    """The instrument that is meant, and the root of the workspace in which a stage of it ended last, if any did."""
    from pipelines.params import read_run
    from pipelines.workspace import own_root
    from trading.instrument import Instrument

    base = read_run(settings.home / "run.yaml")
    instrument = Instrument.parse(symbol or base.symbol, timeframe or base.timeframe)
    roots = [settings.home] if base.instrument == instrument and settings.home == settings.state else []
    made = {root: root / "data" / stage for root in (*roots, own_root(settings, instrument))}
    found = [root for root, folder in made.items() if folder.is_dir() and (root / "run.yaml").exists()]
    return instrument, max(found, key=lambda root: made[root].stat().st_mtime, default=None)
