"""Fixtures that several packages share: tiny but valid params, and real bars."""

import gc
import os
import signal
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
import yaml

from pipelines.context import Context
from pipelines.params import Params, overlay, parse_params
from pipelines.settings import quiet_environment
from tests.workspace import ROOT, TINY, make_context, run_stages
from trading.instrument import Instrument

SAMPLE = ROOT / "data" / "sample" / "bitfinex_BTC-USD_30m.parquet"

quiet_environment()
# Bits are promised on the CPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The libraries leave a million objects alive. Looking through them as often as Python does takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)


# A machine that is busy with other things is slow, and no defect.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


def pytest_configure() -> None:
    """Let Ctrl-C through to what the tests start: a shell that runs them in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def raw_params() -> dict[str, Any]:
    """Content of a tiny ``params.yaml``."""
    return overlay(yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)


@pytest.fixture(scope="session")
def params(raw_params: dict[str, Any]) -> Params:
    """Tiny but valid params."""
    return parse_params(raw_params)


@pytest.fixture(scope="session")
def instrument() -> Instrument:
    """The instrument of the sample."""
    return Instrument("BTC/USD", "1h")


@pytest.fixture(scope="session")
def sample_bars() -> pd.DataFrame:
    """BTC/USD of the sample at one hour, only complete bars."""
    half_hours = pd.read_parquet(SAMPLE)
    if "timestamp" in half_hours:
        half_hours = half_hours.set_index("timestamp")
    half_hours = half_hours.sort_index()
    rule = half_hours.resample("1h")
    bars = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    return bars[rule["close"].count() == 2].astype(float)


@pytest.fixture
def bars(sample_bars: pd.DataFrame) -> pd.DataFrame:
    """The first 1,500 hourly bars."""
    return sample_bars.iloc[:1500].copy()


@pytest.fixture(scope="session")
def source_file(sample_bars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 real hourly bars as a CSV file."""
    path = tmp_path_factory.mktemp("source") / "BTCUSD_1h.csv"
    sample_bars.iloc[:3000].to_csv(path)
    return path


@pytest.fixture(scope="session")
def finished(raw_params: dict[str, Any], source_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A workspace in which every stage up to the evidence has run on real bars. Read only."""
    context = make_context(tmp_path_factory.mktemp("finished"), raw_params, source_file)
    run_stages(context)
    return context


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that run whole pipelines and servers, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
