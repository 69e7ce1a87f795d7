"""What a stage reads is what an earlier stage may write, or the run stops and names the file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.features.engine import FeatureEngine
from pipelines.inputs import read_bars, read_datasets
from pipelines.labels.direction import direction_labels
from trading.errors import BarError, ModelError
from trading.instrument import Instrument


@pytest.fixture
def files(tmp_path: Path, bars: pd.DataFrame, instrument: Instrument) -> Artifacts:
    files, engine = Artifacts(tmp_path), FeatureEngine(["momentum", "volatility"], "1h")
    files.write_frame("data/validated/bars.parquet", bars)
    files.write_frame("data/features/features.parquet", engine.batch(bars))
    files.write_json("data/features/spec.json", engine.spec())
    files.write_frame("data/labels/4h.parquet", direction_labels(bars, instrument, "4h"))
    return files


def test_what_the_stages_wrote_is_read_as_one(files: Artifacts, bars: pd.DataFrame) -> None:
    assert len(read_bars(files)) == len(bars)
    data = read_datasets(files, ["4h"])["4h"]
    assert data.X.index.equals(data.y.index)
    assert data.X.index[-1] == bars.index[-1]


def spoil(files: Artifacts, name: str, column: str, value: float) -> None:
    frame = files.read_frame(name)
    frame.iloc[-10, frame.columns.get_loc(column)] = value
    files.write_frame(name, frame)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("data/validated/bars.parquet", "low", 1e9),
        ("data/features/features.parquet", "volatility_24", np.inf),
        ("data/features/features.parquet", "return_1", np.nan),
        ("data/labels/4h.parquet", "label", 2.0),
    ],
)
def test_a_broken_contract_names_the_file(files: Artifacts, name: str, column: str, value: float) -> None:
    spoil(files, name, column, value)
    with pytest.raises(BarError) as caught:
        read_bars(files), read_datasets(files, ["4h"])
    assert caught.value.where == name


def test_features_of_another_spec_are_refused(files: Artifacts) -> None:
    name = "data/features/features.parquet"
    files.write_frame(name, files.read_frame(name).iloc[:, ::-1])
    with pytest.raises(BarError, match="contract"):
        read_datasets(files, ["4h"])


def test_labels_without_variation_are_refused(files: Artifacts) -> None:
    labels = files.read_frame("data/labels/4h.parquet")
    files.write_frame("data/labels/4h.parquet", labels.assign(label=labels["label"].where(labels["label"].isna(), 1.0)))
    with pytest.raises(ModelError, match=r"all \d+ labels over 4h are 1"):
        read_datasets(files, ["4h"])
