"""What several stages read, each held against its contract."""

import pandas as pd

from pipelines.artifacts import Artifacts
from pipelines.dataset import Dataset
from pipelines.schemas import bar_schema, checked, feature_schema, label_schema
from trading.errors import ModelError

BARS = "data/validated/bars.parquet"
FEATURES = "data/features/features.parquet"
SPEC = "data/features/spec.json"
RECORD = "data/raw/ingest.json"


def read_bars(files: Artifacts) -> pd.DataFrame:
    """Validated bars."""
    return checked(files.read_frame(BARS), bar_schema(), BARS)


def read_context(files: Artifacts) -> dict[str, pd.DataFrame]:
    """What was published beside the bars, as :meth:`pipelines.features.engine.FeatureEngine.batch` takes it.

    *Ingest* writes each to ``data/raw/context/<slug>.parquet`` and lists them under ``context`` in its record. The slug
    is that of the symbol, ``ETH-USD``, or the name of the series, ``fear_greed``.

    Returns
    -------
    dict
        By unified symbol the bars of other instruments at the run's timeframe (index ``timestamp``, their openings in
        UTC; ``open high low close volume``); by name the series of :mod:`pipelines.sentiment` (index ``published_at``).
        Instruments come first, both are in the order of their names. Nothing in it was known later than the run's
        ``as_of``. Empty where the run has no context.
    """
    return {one["name"]: files.read_frame(one["path"]) for one in files.read_json(RECORD)["context"]}


def read_features(files: Artifacts) -> pd.DataFrame:
    """Features, in the order of their spec."""
    names = [feature["name"] for feature in files.read_json(SPEC)["features"]]
    return checked(files.read_frame(FEATURES), feature_schema(names), FEATURES)


def read_labels(files: Artifacts, horizon: str) -> pd.DataFrame:
    """Labels of one horizon."""
    name = f"data/labels/{horizon}.parquet"
    return checked(files.read_frame(name), label_schema(), name)


def read_datasets(files: Artifacts, horizons: list[str]) -> dict[str, Dataset]:
    """Features and labels of each horizon on one index.

    Raises
    ------
    TooFewBarsError
        If no row is warm.
    ModelError
        If the labels of a horizon are all the same: nothing can be learnt from them.
    """
    features = read_features(files)
    data = {horizon: Dataset.join(features, read_labels(files, horizon)) for horizon in horizons}
    for horizon, one in data.items():
        known = one.y.dropna()
        if known.nunique() == 1:
            raise ModelError(
                f"all {len(known)} labels over {horizon} are {known.iloc[0]:g}",
                where=f"data/labels/{horizon}.parquet",
                rule="a model learns what tells rises (1) from falls (0), so both occur",
                remedy="give bars whose prices move both ways, or take this horizon out of labels.horizons",
            )
    return data
