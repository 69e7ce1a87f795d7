"""Small real bundles for tests: graphs of a few weights, no training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Member, bundle_hash, write_bundle
from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.features.engine import FeatureEngine
from pipelines.params import Params, RunIdentity
from pipelines.settings import Settings
from pipelines.train.context_tail import context_tail, names_beside
from trading.instrument import Instrument

WARMUP = 10
EPOCHS = {"lstm": {"epochs": [{"loss": 0.69, "tail_loss": None, "learning_rate": 1e-3}], "kept": 1}}


def graph(features: int, window: int, seed: int, scale: float = 0.05) -> onnx.ModelProto:
    """Sigmoid of a weighted sum of the row, or of the window's rows."""
    rng = np.random.default_rng(seed)
    weights = (rng.normal(size=(features * window, 1)) * scale).astype(np.float32)
    shape: list[Any] = ["N", features] if window == 1 else ["N", window, features]
    nodes = [
        helper.make_node("Reshape", ["input", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["score"]),
        helper.make_node("Tanh", ["score"], ["squashed"]),
        helper.make_node("Sigmoid", ["squashed"], ["prob_up"]),
    ]
    made = helper.make_graph(
        nodes,
        "fake",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("prob_up", TensorProto.FLOAT, ["N", 1])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([-1, features * window], dtype=np.int64), "flat"),
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def spec(
    params: Params,
    instrument: Instrument,
    horizon: str,
    bars: pd.DataFrame,
    *,
    features: pd.DataFrame,
    engine: FeatureEngine | None = None,
    recipe: str = "recipe",
) -> dict[str, Any]:
    """What a trained bundle says about itself; without an engine, about features that nothing computes."""
    return {
        "model_name": instrument.model_name(horizon),
        "symbol": instrument.symbol,
        "timeframe": instrument.timeframe,
        "horizon": horizon,
        "horizon_bars": instrument.bars_in(horizon),
        "features": {
            "groups": list(engine.groups if engine else params.features.groups),
            **(names_beside(engine) if engine else {"assets": [], "series": []}),
            "names": list(features.columns),
            "hash": engine.spec_hash if engine else "features",
            "warmup": engine.warmup if engine else WARMUP,
        },
        "blend": {"method": "soft", "intercept": 0.0, "calibration": None},
        "return_scale": {"mean_abs": 0.8},
        "conformal": {"confidence": 0.9, "memory": 60, "step": 0.02},
        "costs": params.costs.model_dump(),
        "positions": {"round_trips": 0.01},
        "data": {
            "first": bars.index[0].isoformat(),
            "last": bars.index[-1].isoformat(),
            "rows": len(bars),
            "sha256": "data",
        },
        "as_of": (bars.index[-1] + instrument.bar).isoformat(),
        "commit": "deadbeef",
        "lock_sha256": "lock",
        "params": params.model_dump(mode="json", by_alias=True, exclude={"profiles"}),
        "seed": params.seed,
        "recipe_sha256": recipe,
        "max_gap": 5,
        "max_jump": 0.6,
        "last_features": features.iloc[-1].tolist(),
    }


def fake_run(
    root: Path,
    params: Params,
    instrument: Instrument,
    bars: pd.DataFrame,
    features: pd.DataFrame,
    *,
    seed: int = 0,
    recipe: str = "recipe",
    passed: bool = False,
    champion: str | None = None,
    engine: FeatureEngine | None = None,
    beside: Mapping[str, pd.DataFrame] | None = None,
) -> Context:
    """A workspace as it is when the gate has spoken: bundles, curves, evidence and verdict of every horizon."""
    files = Artifacts(root / "workspace")
    settings = Settings(state=root)
    features = features.loc[bars.index]
    files.write_frame("data/features/features.parquet", features)
    evidence: dict[str, Any] = {"as_of": (bars.index[-1] + instrument.bar).isoformat(), "seed": 7, "horizons": {}}
    evidence["test"] = {"first": bars.index[0].isoformat(), "last": bars.index[-1].isoformat()}
    evidence["measured"] = {"latency_ms": {"p50": 1.0, "p99": 2.0}}
    evidence["instrument"] = {"symbol": instrument.symbol, "timeframe": instrument.timeframe}
    evidence["audit"] = {"clean": True, "control_caught": True, "checks": [{"compared": 9, "changed": 0}]}
    verdicts: dict[str, Any] = {}
    for number, horizon in enumerate(params.labels.horizons):
        folder = files.path(f"data/train/{horizon}")
        width = len(features.columns)
        warmup = engine.warmup if engine else WARMUP
        history = bars.iloc[-(warmup + 4 + instrument.bars_in(horizon)) :]
        write_bundle(
            folder,
            members=[
                Member("xgboost", graph(width, 1, seed + number), 1, 1.0),
                Member("lstm", graph(width, 4, seed + number + 50), 4, 0.5),
            ],
            spec=spec(
                params,
                instrument,
                horizon,
                bars,
                features=features,
                recipe=recipe,
                engine=engine,
            ),
            history=history,
            context=context_tail(engine, history, beside or {}) if engine else None,
        )
        returns = pd.Series(np.random.default_rng(number).normal(0, 0.01, len(bars)), index=bars.index)
        curves = pd.DataFrame({"equity": (1 + returns).cumprod(), "buy_and_hold": 1.0, "net_return": returns})
        files.write_frame(f"data/backtest/{horizon}/curves.parquet", curves)
        trials = [
            {"trial_hash": f"r{seed}{horizon}", "state": "complete", "params": {}, "metrics": {"sharpe_per_bar": 0.01}}
        ]
        files.write_json(f"data/backtest/{horizon}/metrics.json", {"recipes": trials})
        identity = bundle_hash(folder)
        evidence["horizons"][horizon] = {
            "skill": {"vote": {"accuracy": 0.55, "auc": None}},
            "best_baseline": "reversal",
            "skill_over_baseline": 0.02,
            "skill_low": 0.01,
            "skill_high": 0.03,
            "strategy": {"sharpe": 0.8, "trades": 100, "round_trips": 50, "max_drawdown": 0.2},
            "monte_carlo": {"paths": 100, "block": 5.0, "sharpe": {"p05": -1.0}},
            "trials": {"counted": 2, "effective": 1.5, "sharpe_variance": 1e-4},
            "moments": {"observations": 8700, "sharpe_per_bar": 0.05, "skewness": 0.0, "kurtosis": 3.0},
            "overfitting": {"search": {"probability": None, "reason": "only 2 configurations"}},
            "seeds": {"sharpe": {"values": [0.7, 0.8]}},
            "stress": {"scenarios": [{"name": "gap", "loss": 0.1, "drawdown": 0.2}]},
            "simulated": {"markets": {"draws": 8, "z": 0.3, "reason": None}},
            "onnx": {"rows": 10, "max_difference": 1e-8},
            "deflated_sharpe": 0.4,
            "bundle": {"hash": identity, "recipe_sha256": recipe},
        }
        verdicts[horizon] = {
            "verdict": "passed" if passed else "refused",
            "bundle_hash": identity,
            "champion": champion,
            "question": "challenge" if champion else "first",
            "number": 1,
            "judged_hash": f"{identity} {passed}",
            "summary": "passed: all rules" if passed else "refused: no edge after costs",
        }
    files.write_json("data/train/history.json", dict.fromkeys(params.labels.horizons, EPOCHS))
    files.write_json("data/tune/trials.json", {h: {} for h in params.labels.horizons})
    files.write_json("data/evidence/evidence.json", evidence)
    files.write_json(
        "data/gate/verdict.json", {"instrument": instrument.name, "as_of": evidence["as_of"], "horizons": verdicts}
    )
    run = RunIdentity(
        symbol=instrument.symbol,
        timeframe=instrument.timeframe,
        source="bars.csv",
        context="data/context",
        as_of=None,
    )
    return Context(params, run, files, settings)
