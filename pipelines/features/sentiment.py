"""What people say and pay: series that are published beside the bars; see :mod:`pipelines.sentiment`.

Each is seen as of its publication and a declared delay, with its age and a flag where it is missing.
"""

import pandas as pd

from pipelines.features.feature import Feature
from pipelines.features.operators import column
from pipelines.sentiment.declared import ExternalSeries


def features(series: ExternalSeries) -> tuple[Feature, ...]:
    """Values, age and flag of a series."""
    days = series.max_age / pd.Timedelta("1d")
    return (
        *(Feature("sentiment", name, column(name), series.source) for name in series.columns),
        Feature("sentiment", series.age, column(series.age) / days, f"time since publication, of {days:g} days"),
        Feature("sentiment", series.missing, column(series.missing), f"1 where nothing of {days:g} days is known"),
    )
