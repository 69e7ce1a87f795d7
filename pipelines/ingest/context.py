"""What stands beside the bars, read from a folder: other instruments as bars, external series as of publication."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.artifacts import digest
from pipelines.ingest.arrange import arrange, ensure_reachable
from pipelines.ingest.context_files import SERIES, context_files
from pipelines.ingest.reader import read_bars
from pipelines.params import Params, RunIdentity, ValidateParams
from pipelines.sentiment.declared import declared
from pipelines.sentiment.reader import read_series
from pipelines.validate.screen import enforce, screen
from trading.bars import COLUMNS

FOLDER = "data/raw/context"


@dataclass(frozen=True)
class Beside:
    """One of the things beside the bars.

    Parameters
    ----------
    name
        Unified symbol of an instrument, or name of an external series.
    source
        File that it was read from.
    frame
        Bars at the run's timeframe, or values on ``published_at``.
    """

    name: str
    source: Path
    frame: pd.DataFrame

    @property
    def path(self) -> str:
        """Where it is written to: ``ETH/USD`` to ``data/raw/context/ETH-USD.parquet``."""
        return f"{FOLDER}/{self.name.replace('/', '-').replace(':', '_')}.parquet"

    @property
    def record(self) -> dict[str, Any]:
        """What *ingest* notes of it."""
        stamps = self.frame.index
        return {
            "kind": "series" if self.name in SERIES else "bars",
            "name": self.name,
            "path": self.path,
            "source": self.source.name,
            "sha256": digest(self.source),
            "rows": len(stamps),
            "first": stamps.min() if len(stamps) else None,
            "last": stamps.max() if len(stamps) else None,
        }


def read_context_folder(
    folder: Path, run: RunIdentity, params: Params, now: datetime
) -> tuple[list[Beside], list[str]]:
    """Read what the run's groups of features are computed from.

    Parameters
    ----------
    folder
        See :func:`pipelines.ingest.context_files.context_files`.
    run
        Its own instrument is not read; nothing is that became known after its ``as_of``.
    params
        ``features.groups`` says what is read, ``validate`` what is believed.
    now
        The clock: no bar has closed and no value was published after it.

    Returns
    -------
    tuple of list of Beside and list of str
        What was read, and remarks on what was not.

    Raises
    ------
    ParamsError, SeriesError
        If there is no such folder, a name in it says nothing, or an external series is not what it claims to be.
    BarError
        If bars cannot be read, believed, or put together to the run's timeframe.
    """
    read, remarks = [], []
    for name, path in context_files(folder).items():
        group = "sentiment" if name in SERIES else "cross_asset"
        if name == run.instrument.symbol:
            remarks.append(f"{path.name}: the run's own instrument, not read beside it")
        elif group not in params.features.groups:
            remarks.append(f"{path.name}: not read, for features.groups leaves {group} out")
        elif name in SERIES:
            as_of = None if run.as_of is None else pd.Timestamp(run.as_of)
            read.append(Beside(name, path, read_series(declared(name), str(path), now=pd.Timestamp(now), as_of=as_of)))
        else:
            read.append(Beside(name, path, _bars(path, run, params.validate_, now)))
    return read, remarks


def _bars(path: Path, run: RunIdentity, limits: ValidateParams, now: datetime) -> pd.DataFrame:
    """Bars by the rules of the run's own, of any number: nothing is trained on them."""
    rows, _ = read_bars(path)
    arranged = arrange(rows, run.as_of or now, str(path))
    target = run.instrument.timeframe
    ensure_reachable(arranged.timeframe, target, str(path))
    found = screen(arranged.rows, arranged.timeframe, target, limits)
    enforce(found, limits.model_copy(update={"min_bars": 1}), str(path))
    return found.bars[COLUMNS]
