"""The latency that the gate judges is that of the slowest bundle."""

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.bundle import Bundle, load_bundle
from pipelines.evidence.stage import slowest
from pipelines.params import Params
from tests.bundles import fake_run
from trading.instrument import Instrument


class Slow(Bundle):
    """A bundle whose graphs take three milliseconds more."""

    def predict_members(self, *given: Any, **more: Any) -> pd.DataFrame:
        time.sleep(0.003)
        return super().predict_members(*given, **more)


def test_the_slowest_of_all_horizons_counts(tmp_path: Path, params: Params, sample_bars: pd.DataFrame) -> None:
    bars = sample_bars[:300]
    features = pd.DataFrame({"a": np.arange(300.0), "volatility_24": 1.0}, index=bars.index)
    files = fake_run(tmp_path, params, Instrument("BTC/USD", "1h"), bars, features).files
    fast, plain = (load_bundle(files.path(f"data/train/{horizon}")) for horizon in ("1h", "4h"))
    slow = Slow(**{field.name: getattr(plain, field.name) for field in fields(plain)})
    for bundles in ((fast, slow), (slow, fast)):
        assert slowest(bundles)["p50"] > 3.0
