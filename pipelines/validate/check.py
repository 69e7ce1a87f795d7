"""Validation of a file without a workspace: what `engine validate FILE` says."""

from pathlib import Path
from typing import Any

from pipelines.params import Params
from pipelines.validate.screen import enforce, screen


def check_file(path: Path, params: Params, timeframe: str | None = None) -> dict[str, Any]:
    """Read and judge a file or folder exactly as the stages *ingest* and *validate* do, writing nothing.

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
        The report of :func:`pipelines.validate.screen.screen` with ``source``, ``duplicates_collapsed``, ``columns``
        and ``notes`` from reading.

    Raises
    ------
    BarError, TooFewBarsError
        Where the stages would stop.
    """
    # Here, so that the stage *validate* does not depend on the code of *ingest*.
    from pipelines.ingest.arrange import arrange, ensure_reachable
    from pipelines.ingest.reader import read_bars

    rows, notes = read_bars(path)
    arranged = arrange(rows, None, str(path))
    target = timeframe or arranged.timeframe
    ensure_reachable(arranged.timeframe, target, str(path))
    screening = screen(arranged.rows, arranged.timeframe, target, params.validate_)
    enforce(screening, params.validate_, str(path))
    return {
        **screening.report,
        "source": str(path),
        "duplicates_collapsed": arranged.duplicates_collapsed,
        "columns": dict(notes.files[0].columns),
        "notes": list(notes.remarks),
    }
