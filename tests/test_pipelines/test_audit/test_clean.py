"""No false alarm over random pipelines that use the past only."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.worlds import Moment, stamps_of
from tests.test_pipelines.test_audit import clean


@pytest.mark.parametrize("seed", range(8))
def test_a_clean_pipeline_raises_no_alarm(sample_bars: pd.DataFrame, seed: int) -> None:
    bars = sample_bars.iloc[11000 + 211 * seed :][:240]
    report = find_lookahead(clean.pipeline(seed), bars, seed=seed)
    assert report.columns == [], report
    assert report.verdict == "clean" or not report.compared


@pytest.mark.parametrize("batch", range(10))
def test_two_hundred_clean_pipelines_raise_no_alarm(sample_bars: pd.DataFrame, batch: int) -> None:
    """Fewer moments than by default for each, at places of its own."""
    for seed in range(20 * batch, 20 * batch + 20):
        bars = sample_bars.iloc[11000 + 13 * seed :][:160]
        closes = stamps_of(bars.index[np.random.default_rng(seed).integers(40, 159, size=2)]) + 3600 * 10**9
        moments = [Moment(int(at), opened, "") for at, opened in zip(closes, (False, True), strict=True)]
        report = find_lookahead(clean.pipeline(seed), bars, moments=moments, seed=seed)
        assert report.columns == [], (seed, str(report))
        assert not report.failures, seed
        assert not report.unstable
