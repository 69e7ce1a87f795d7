"""Second stage: rows become believed bars at the target timeframe, or the run stops and says why."""

from pipelines.validate.check import check_file

__all__ = ["check_file"]
