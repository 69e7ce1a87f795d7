"""Validation of a file without a workspace: what `engine validate FILE` says."""

import tempfile
from pathlib import Path
from typing import Any

from pipelines.params import Params
from pipelines.pieces import Spool
from pipelines.validate.screen import Screener, enforce


def check_file(path: Path, params: Params, timeframe: str | None = None) -> dict[str, Any]:
    """Read and judge a file or folder exactly as the stages *ingest* and *validate* do, leaving nothing behind.

    The Great Expectations suite is left out: it repeats the bar contract on the finished bars, and costs seconds.

    Parameters
    ----------
    path
        File or folder of bars.
    params
        ``validate`` is used.
    timeframe
        Target timeframe; ``None`` takes the file's own.

    Returns
    -------
    dict
        The report of :class:`pipelines.validate.screen.Screener` with ``source``, ``duplicates_collapsed``, ``columns``
        and ``notes`` from reading.

    Raises
    ------
    BarError, TooFewBarsError
        Where the stages would stop.
    """
    # Here, so that the stage *validate* does not depend on the code of *ingest*.
    from pipelines.ingest.arrange import Arrangement, ensure_reachable, spooled
    from pipelines.ingest.reader import BarReader

    reader = BarReader(path)
    with Spool(Path(tempfile.gettempdir())) as spool:
        rows, sorting = spooled(reader, spool)
        arranged = Arrangement(rows, None, str(path))
        target = timeframe or arranged.timeframe
        ensure_reachable(arranged.timeframe, target, str(path))
        screener = Screener(arranged.timeframe, target, params.validate_)
        for _ in screener.bars(arranged.pieces(), lambda quarantine: None):
            pass
    enforce(screener, params.validate_, str(path))
    return {
        **screener.report,
        "source": str(path),
        "duplicates_collapsed": arranged.duplicates_collapsed,
        "columns": dict(reader.notes.files[0].columns),
        "notes": [*reader.notes.remarks, *sorting],
    }
