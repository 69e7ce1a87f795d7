"""A stream begun anywhere in real bars gives the rows of the whole history, gaps and all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.features.catalogue import GROUPS

ROOT = Path(__file__).resolve().parents[3]
# The sample is part of the project; other real bars may lie beside it.
FILES = sorted([*(ROOT / "data/sample").glob("*.parquet"), *(ROOT / "../shared/data").glob("bit*.parquet")])
READ_BARS_ALONE = [group for group in GROUPS if group not in ("order_flow", "cross_asset", "sentiment")]
STREAMED = 150


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_stream_from_anywhere_equals_the_whole_history(path: Path) -> None:
    engine = FeatureEngine(READ_BARS_ALONE, path.stem.split("_")[2])
    bars = _bars(path).iloc[-engine.warmup - 12_000 :]
    whole = engine.batch(bars)
    # So that the widest gap comes halfway, and where nothing marks the place.
    steps = pd.Series(bars.index).diff().iloc[engine.warmup + STREAMED : -STREAMED]
    starts = {int(steps.idxmax()) - STREAMED // 2, len(bars) - STREAMED}
    for start in starts:
        stream = engine.stream(bars.iloc[start - engine.warmup : start])
        rows = [stream.update(bar) for _, bar in bars.iloc[start : start + STREAMED].iterrows()]
        expected = whole.iloc[start : start + STREAMED].to_numpy()
        assert np.isfinite(expected).all()
        assert np.abs(np.array(rows) - expected).max() <= 1e-9


def _bars(path: Path) -> pd.DataFrame:
    bars = pd.read_parquet(path)
    if "timestamp" in bars:
        bars = bars.set_index("timestamp")
    bars.index = pd.DatetimeIndex(bars.index, name="timestamp").as_unit("us")
    return bars[["open", "high", "low", "close", "volume"]].astype(float)
