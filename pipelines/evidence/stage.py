"""Evidence: everything the gate needs, in one JSON."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from models.bundle import Bundle, load_bundle
from pipelines.artifacts import content_hash
from pipelines.context import Context
from pipelines.evidence.deflated_sharpe import (
    deflated_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
    trial_variance,
)
from pipelines.evidence.effective_trials import trials_to_deflate_by
from pipelines.evidence.overfitting import overfitting_among
from pipelines.evidence.superior_ability import against_baselines
from pipelines.evidence.track_record import track_record
from pipelines.inputs import read_bars
from pipelines.provenance import provenance

LATENCY_CALLS = 200


def run(context: Context) -> None:
    """Read what the stages measured; write ``evidence.json``.

    The deflated Sharpe ratio here counts this run's trials; the gate counts again with every trial in the ledger.
    """
    params, files = context.params, context.files
    validated = files.read_json("data/validated/report.json")
    spec = files.read_json("data/features/spec.json")
    bars = read_bars(files)
    trials = files.read_json("data/tune/trials.json")
    parity = files.read_json("data/train/parity.json")
    bundles = {h: load_bundle(files.path(f"data/train/{h}")) for h in params.labels.horizons}
    horizons: dict[str, Any] = {}
    for number, horizon in enumerate(params.labels.horizons):
        context.progress(number, len(bundles), f"evidence of {horizon}")
        measured = files.read_json(f"data/backtest/{horizon}/metrics.json")
        searched, recipes = [t for family in trials[horizon].values() for t in family], measured.pop("recipes")
        recipe = measured.pop("recipe_sha256")
        among = params.evidence.overfitting.blocks, params.evidence.overfitting.min_configurations
        horizons[horizon] = (
            measured
            | _deflated(measured["moments"], searched + recipes, context)
            | {
                "overfitting": {
                    "search": overfitting_among(searched, *among),
                    "recipes": overfitting_among(recipes, *among),
                },
                "superior_ability": against_baselines(
                    files.read_frame(f"data/backtest/{horizon}/streams.parquet"),
                    list(measured["skill"]),
                    params.evidence.superior_ability.paths,
                    int(np.random.default_rng([params.seed, measured["horizon_bars"]]).integers(2**31)),
                ),
                "onnx": {
                    "rows": min(m["rows"] for m in parity[horizon].values()),
                    "max_difference": _largest([m["max_difference"] for m in parity[horizon].values()]),
                },
                "stress": files.read_json(f"data/stress/{horizon}/stress.json"),
                "simulated": files.read_json(f"data/monte_carlo/{horizon}.json"),
                "bundle": {"hash": bundles[horizon].hash, "recipe_sha256": recipe},
            }
        )
    first = horizons[params.labels.horizons[0]]["folds"]
    files.write_json(
        "data/evidence/evidence.json",
        {
            "schema": 1,
            "instrument": {
                "symbol": context.run.instrument.symbol,
                "timeframe": context.run.instrument.timeframe,
                "slug": context.run.instrument.slug,
            },
            "as_of": bars.index[-1] + context.run.instrument.bar,
            "seed": params.seed,
            "data": {
                "rows": len(bars),
                "first": bars.index[0],
                "last": bars.index[-1],
                "sha256": files.sha256("data/validated/bars.parquet"),
                "quarantined": validated["rows_quarantined"],
                "incomplete_bars_dropped": validated["incomplete_bars_dropped"],
                "missing_bars": validated["missing_bars"],
                "feature_count": len(spec["features"]),
                "feature_hash": bundles[params.labels.horizons[0]].spec["features"]["hash"],
            },
            "features": files.read_json("data/features/groups.json"),
            "test": {"first": first[0]["test_first"], "last": first[-1]["test_last"], "folds": len(first)},
            "costs": params.costs.model_dump() | {"per_side_bps": params.costs.costs().per_side * 1e4},
            "confidence": params.backtest.confidence,
            "audit": files.read_json("data/audit/audit.json"),
            "environment": provenance(context.settings.home)
            | {"params_sha256": content_hash(params.model_dump(mode="json", exclude={"profiles"}))},
            "horizons": horizons,
            "measured": {"latency_ms": slowest(bundles.values())},
        },
    )
    context.progress(len(bundles), len(bundles), "evidence written")


def _deflated(moments: dict[str, Any], tried: list[dict[str, Any]], context: Context) -> dict[str, Any]:
    trials = {trial["trial_hash"]: trial["metrics"] for trial in tried}
    returns = {trial["trial_hash"]: trial["returns"] for trial in tried if trial["returns"]}
    effective, deflated_by = trials_to_deflate_by(returns.values(), len(trials))
    variance = trial_variance(list(trials.values()), moments["observations"])
    shape = (moments["observations"], moments["skewness"], moments["kurtosis"])
    return {
        "trials": {
            "counted": len(trials),
            "effective": effective,
            "deflated_by": deflated_by,
            "sharpe_variance": variance,
        },
        "probabilistic_sharpe": probabilistic_sharpe(moments["sharpe_per_bar"], 0.0, *shape),
        "deflated_sharpe": deflated_sharpe(moments["sharpe_per_bar"], *shape, deflated_by, variance),
        "minimum_track_record": track_record(
            moments,
            expected_maximum_sharpe(variance, deflated_by),
            context.run.instrument.bars_per_year,
            context.params.backtest.confidence,
        ),
    }


def _largest(differences: list[float | None]) -> float | None:
    """The largest difference; None if any graph could not be compared."""
    known = [difference for difference in differences if difference is not None]
    return max(known) if len(known) == len(differences) else None


def slowest(bundles: Iterable[Bundle]) -> dict[str, float]:
    """Latency of the bundle that takes longest: horizons may have other families, and the gate judges them all."""
    return max((_latency(bundle) for bundle in bundles), key=lambda spent: spent["p99"])


def _latency(bundle: Bundle) -> dict[str, float]:
    """Milliseconds for one row of features through every graph of a bundle, on this machine; features not included."""
    names, window = bundle.spec["features"]["names"], max(m["window"] for m in bundle.spec["members"])
    index = pd.date_range("2000-01-01", periods=window, freq="h", tz="UTC", name="timestamp")
    rows = pd.DataFrame(0.0, index=index, columns=names)
    spent = []
    for _ in range(LATENCY_CALLS):
        begin = time.perf_counter()
        bundle.predict_members(rows)
        spent.append((time.perf_counter() - begin) * 1e3)
    p50, p99 = np.quantile(spent[10:], [0.5, 0.99])
    return {"p50": float(p50), "p99": float(p99)}
