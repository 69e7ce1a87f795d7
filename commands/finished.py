"""Which run a verb means that looks at what runs have made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.settings import Settings
    from pipelines.workspace import Workspace


def finished_workspace(settings: "Settings", symbol: str | None, timeframe: str | None) -> "Workspace":
    """The workspace in which an instrument was run last.

    Raises
    ------
    StageError
        If it never was.
    """
    from pipelines.params import read_run
    from pipelines.workspace import CONTEXT, SOURCE, Workspace
    from trading.errors import StageError
    from trading.instrument import Instrument

    base = read_run(settings.home / "run.yaml")
    instrument = Instrument.parse(symbol or base.symbol, timeframe or base.timeframe)
    own = settings.state / "workspaces" / instrument.name
    roots = [settings.home] if base.instrument == instrument and settings.home == settings.state else []
    ran = [root for root in (*roots, own) if (root / "data" / "backtest").is_dir() and (root / "run.yaml").exists()]
    if not ran:
        raise StageError(
            f"no finished run of {instrument.symbol} {instrument.timeframe}",
            where=str(own),
            rule="this verb looks at what a run has made",
            remedy=f"make one with `engine run --symbol {instrument.symbol} --timeframe {instrument.timeframe}`",
        )
    root = max(ran, key=lambda root: (root / "data" / "backtest").stat().st_mtime)
    return Workspace(root, read_run(root / "run.yaml"), "quick", root / SOURCE, root / CONTEXT, settings)
