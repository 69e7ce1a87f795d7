"""A workspace as the stages leave it: invented, but consistent in itself."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.params import Params, RunIdentity
from pipelines.settings import Settings

EVIDENCE = Path(__file__).resolve().parent.parent / "data" / "evidence.json"
TEST_BARS = 8700


def _curves(seed: int, one: dict[str, Any]) -> pd.DataFrame:
    """Both curves end where the evidence says they do; the strategy is in the market a third of the time."""
    random = np.random.default_rng(seed)
    index = pd.date_range("2018-10-01", periods=TEST_BARS, freq="h", tz="UTC", name="timestamp")
    wave = 0.00025 * np.sin(np.linspace(-2.6, 3.6, TEST_BARS))
    market = wave + 0.0045 * random.standard_t(5, TEST_BARS)
    active = np.repeat(random.random(TEST_BARS // 12) < one["strategy"]["exposure"], 12)
    net = np.where(active, 0.003 * random.standard_normal(TEST_BARS), 0.0)
    market += (np.log1p(one["comparison"]["buy_and_hold"]["total_return"]) - market.sum()) / TEST_BARS
    net += (np.log1p(one["strategy"]["total_return"]) - net.sum()) / active.sum() * active
    return pd.DataFrame(
        {"equity": np.exp(np.cumsum(net)), "buy_and_hold": np.exp(np.cumsum(market)), "net_return": np.expm1(net)},
        index=index,
    )


def _fan(seed: int, curves: pd.DataFrame) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    paths = np.cumprod(1 + random.choice(curves["net_return"].to_numpy(), (60, TEST_BARS)), axis=1)
    at = np.linspace(0, TEST_BARS - 1, 200).astype(int)
    quantiles = np.quantile(paths[:, at], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T
    return pd.DataFrame(quantiles, index=at, columns=["p05", "p25", "p50", "p75", "p95"])


def _verdict(evidence: dict[str, Any], passing: tuple[str, ...]) -> dict[str, Any]:
    horizons = {}
    for name, one in evidence["horizons"].items():
        good = name in passing
        checks = [
            ("audit_clean", True, 0.0, 0.0, "0 of 1067765 values changed when only what became known after changed."),
            ("audit_control", True, 1.0, 1.0, "The audit caught the leak that was planted to test it."),
            ("onnx_parity", True, 3.1e-7, 1e-5, "On 10000 rows the exported graphs differ by at most 3.1e-07."),
            ("enough_trades", True, float(one["strategy"]["trades"]), 30.0, "There are enough trades out of sample."),
            ("skill", good, one["skill_low"], 0.0, f"Best no-skill baseline: {one['best_baseline']!r}."),
            ("deflated_sharpe", good, one["deflated_sharpe"], 0.95, "Better than the luckiest of 11 trials?"),
            ("drawdown", True, one["strategy"]["max_drawdown"], 0.35, "The largest loss from a peak is bearable."),
        ]
        horizons[name] = {
            "verdict": "passed" if good else "refused",
            "question": "first",
            # Another run is in the ledger.
            "trials": {"counted": 2 * one["trials"]["counted"], "effective": 8.4, "deflated_by": 9},
            "deflated_sharpe": one["deflated_sharpe"] - 0.01,
            "rules": [
                dict(zip(("rule", "passed", "value", "threshold", "reason"), check, strict=True)) for check in checks
            ],
            "summary": "passed: all 7 rules, with 11 trials counted; no champion before it was proven"
            if good
            else f"refused: no skill over the baseline {one['best_baseline']!r}; no edge after costs that 11 trials"
            " could not explain",
        }
    return {"instrument": evidence["instrument"], "as_of": evidence["as_of"], "horizons": horizons}


@pytest.fixture
def evidence() -> dict[str, Any]:
    """Evidence of a whole run."""
    content: dict[str, Any] = json.loads(EVIDENCE.read_text())
    return content


@pytest.fixture
def context(tmp_path: Path, params: Params) -> Context:
    """A context whose workspace is empty."""
    moment = datetime(2019, 10, 1, tzinfo=UTC)
    run = RunIdentity(symbol="BTC/USD", timeframe="1h", source="bars.csv", context="data/context", as_of=moment)
    return Context(params, run, Artifacts(tmp_path / "workspace"), Settings(home=tmp_path, state=tmp_path / "state"))


@pytest.fixture
def fill(context: Context, evidence: dict[str, Any]) -> Callable[..., Context]:
    """Write a finished run into the workspace; ``passing`` horizons get through the gate."""

    def filled(passing: tuple[str, ...] = (), *, judged: bool = True) -> Context:
        files = context.files
        files.write_json("data/evidence/evidence.json", evidence)
        for seed, (name, one) in enumerate(evidence["horizons"].items()):
            curves = _curves(seed, one)
            files.write_frame(f"data/backtest/{name}/curves.parquet", curves)
            files.write_frame(f"data/backtest/{name}/fan.parquet", _fan(seed, curves))
        if judged:
            files.write_json("data/gate/verdict.json", _verdict(evidence, passing))
        return context

    return filled
