"""Real bars: every family at every horizon on all pairs of the sample, beside what needs no skill."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import balanced_accuracy_score

from benchmarks._cells import HOME, markdown, measured
from benchmarks.skill.forecasts import ORDER, dataset, forecasts, params_of
from pipelines.importance.intervals import interval
from pipelines.metrics import auc, log_loss
from trading.bars import resample
from trading.instrument import Instrument

PAIRS = ("BTC/USD", "ETH/USD", "LTC/USD", "XRP/USD", "EOS/USD")
HORIZONS = ("1h", "4h", "24h")
RESAMPLES, CONFIDENCE = 300, 0.95
HALF_HOUR = pd.Timedelta("30m")
Array = NDArray[np.float64]
MEASURES = ("accuracy", "balanced accuracy", "log-loss skill", "AUC", "information coefficient")


def cells(*, profile: str) -> list[dict[str, Any]]:
    """One a pair and horizon."""
    return [{"table": "real", "pair": pair, "horizon": h, "profile": profile} for pair in PAIRS for h in HORIZONS]


def bars_of(pair: str) -> pd.DataFrame:
    """Hourly bars of the sample."""
    half_hours = pd.read_parquet(HOME / "data" / "sample" / f"bitfinex_{pair.replace('/', '-')}_30m.parquet")
    half_hours = half_hours.set_index("timestamp").sort_index()
    return resample(half_hours, HALF_HOUR, pd.Timedelta("1h"))[0]


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """All measures of everyone, with intervals."""
    instrument, params = Instrument(cell["pair"], "1h"), params_of(cell["profile"])
    bars = bars_of(cell["pair"])
    if rows := cell.get("rows"):
        bars = bars.iloc[:rows]
    data = dataset(bars, instrument, cell["horizon"], params)
    test_from = bars.index[len(bars) // 2]
    found = forecasts(data, bars, instrument, params, test_from=test_from, peers=False)
    label = data.y.loc[found.said.index].to_numpy()
    ret = data.ret.loc[found.said.index].to_numpy()
    block = 2 * instrument.bars_in(cell["horizon"]) + 22
    drawn = _blocks(len(label), block, RESAMPLES, np.random.default_rng(0))
    return {
        "rows": len(label),
        "train_majority": float(np.mean(label == (found.base_rate >= 0.5))),
        "test_majority": float(max(label.mean(), 1 - label.mean())),
        "measures": {
            str(name): _measured(up.to_numpy(), label, ret, found.base_rate, drawn) for name, up in found.said.items()
        },
        "seconds": found.seconds,
        "stack": found.stack,
    }


def _measured(up: Array, label: Array, ret: Array, base: float, drawn: list[Any]) -> dict[str, list[float]]:
    """Each measure with its interval."""

    def all_of(rows: Any) -> list[float]:
        p, y, r = up[rows], label[rows], ret[rows]
        constant = np.full(len(y), base)
        flat = np.ptp(p) == 0
        return [
            float(((p > 0.5) == (y > 0)).mean()),
            float(balanced_accuracy_score(y, p > 0.5)),
            1 - log_loss(y, p) / log_loss(y, constant),
            0.5 if flat else auc(y, p),
            0.0 if flat else float(np.corrcoef(rankdata(p), rankdata(r))[0, 1]),
        ]

    value = all_of(slice(None))
    again = np.array([all_of(rows) for rows in drawn])
    low, high = interval(again, CONFIDENCE)
    return {name: [value[place], float(low[place]), float(high[place])] for place, name in enumerate(MEASURES)}


def _blocks(rows: int, block: int, resamples: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows of resampled histories: blocks from random starts, wrapping around the end."""
    starts = generator.integers(0, rows, size=(resamples, -(-rows // block)))
    return [(one[:, None] + np.arange(block)).ravel()[:rows] % rows for one in starts]


def table(given: list[dict[str, Any]], found: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The table, and what it comes to."""
    names = [name for name in ORDER if name in found[0]["measures"] and name != "majority"]
    rows, above = [], dict.fromkeys(names, 0)
    for cell, one in zip(given, found, strict=True):
        best = max(
            one["train_majority"],
            one["measures"]["reversal"]["accuracy"][0],
            one["measures"]["persistence"]["accuracy"][0],
        )
        for name in names:
            measures = one["measures"][name]
            above[name] += measures["accuracy"][1] > max(best, one["test_majority"])
            shown = [f"{v:.3f} [{low:.3f}, {high:.3f}]" for v, low, high in (measures[m] for m in MEASURES)]
            rows.append([cell["pair"], cell["horizon"], name, *shown, f"{best:.3f}", f"{one['test_majority']:.3f}"])
    head = ["pair", "horizon", "model", *MEASURES, "best rule", "test majority"]
    verdicts = [
        f"{name}: the lower end of accuracy is above every baseline, the test's own majority too, "
        f"in {count} of {len(found)}"
        for name, count in above.items()
        if name not in ("persistence", "reversal")
    ]
    return markdown(head, rows), verdicts


def run(results: Path, workers: int, *, quick: bool, profile: str) -> tuple[str, list[str]]:
    """Measure what is missing, and show all."""
    given = cells(profile=profile)
    if quick:
        given = [{**given[0], "rows": 3000}]
    return table(given, measured(measure, given, results, workers))
