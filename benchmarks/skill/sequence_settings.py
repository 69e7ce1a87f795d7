"""What tail and lasso are worth to networks: ``python -m benchmarks.skill.sequence_settings --workspace . --seeds 2``.

Networks with the settings of ``params.yaml``, without patience and without sparsity, beside XGBoost. First on planted
markets: 8,000 bars to learn from and 8,000 to judge, two drivers over the last eight bars among 100 columns of noise,
of which most have a memory. Then on a finished run's rows before its first test bar, in two purged blocks.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.signal import lfilter

from models.factory import SEQUENCES, create_model
from pipelines.artifacts import Artifacts
from pipelines.backtest.walk_forward import inner_splitter
from pipelines.inputs import read_datasets
from pipelines.metrics import log_loss
from pipelines.params import Params, read_params, read_run
from pipelines.settings import quiet_environment
from pipelines.splits import PurgedWalkForward
from trading.instrument import Instrument

Rows = tuple[pd.DataFrame, pd.Series, pd.Series]
Case = tuple[Rows, np.ndarray, np.ndarray]
NOISE, BARS, ATTAINABLE, HORIZON = 100, 16_000, 0.62, pd.Timedelta("2h")
WEIGHTS = (1, 0.9, 0.8, -0.7, -0.6, 0.5, 0.4, -0.3)


def planted(seed: int) -> Case:
    """A market whose direction follows a weighted sum of one column's last bars, and a product of two others'."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(BARS, 3 + NOISE))
    for column in range(3, 3 + NOISE):
        memory = generator.choice([0, 0.5, 0.9, 0.98])
        values[:, column] = lfilter([np.sqrt(1 - memory**2)], [1, -memory], values[:, column])
    linear = lfilter(WEIGHTS, [1], values[:, 0])
    product = np.tanh(1.5 * np.roll(values[:, 1], 3) * np.roll(values[:, 2], 1))
    drive = 0.8 * linear / linear.std() + 0.6 * product / product.std()
    # Of who knows the drive, this share of forecasts is right.
    slope = brentq(lambda slope: np.mean(1 / (1 + np.exp(-slope * np.abs(drive)))) - ATTAINABLE, 0.01, 5)
    index = pd.date_range("2020-01-01", periods=BARS, freq="h", tz="UTC", name="timestamp")
    label = pd.Series((generator.random(BARS) < 1 / (1 + np.exp(-slope * drive))).astype(float), index)
    rows = pd.DataFrame(values, index, [f"f{n}" for n in range(3 + NOISE)]), label, pd.Series(index + HORIZON, index)
    return rows, np.arange(BARS // 2), np.arange(BARS // 2, BARS)


def settings(params: Params) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name of a line, family, and its settings."""
    models: Mapping[str, Mapping[str, Any]] = params.models.model_dump()
    yield "xgboost", "xgboost", dict(models["xgboost"])
    for family in SEQUENCES:
        for name, over in (("", {}), (" patience 0", {"patience": 0}), (" sparsity 0", {"sparsity": 0.0})):
            yield family + name, family, {**models[family], **over}


def judge(cases: list[Case], family: str, chosen: dict[str, Any], cv: PurgedWalkForward, seeds: int) -> np.ndarray:
    """Mean log loss, accuracy and seconds of fitting."""
    found = []
    for (X, y, t_end), train, test in cases:
        stop = train[-1] + 1
        known = y.iloc[:stop].where(np.isin(np.arange(stop), train))
        for seed in range(seeds):
            start = time.process_time()
            model = create_model(family, chosen, seed=seed, cv=cv).fit(X.iloc[:stop], known, t_end=t_end.iloc[:stop])
            spent = time.process_time() - start
            up = model.predict_proba(X)[1].iloc[test].to_numpy()
            label = y.iloc[test].to_numpy()
            kept = ~np.isnan(label) & ~np.isnan(up)
            right = (up[kept] >= 0.5) == (label[kept] > 0)
            found.append((log_loss(label[kept], up[kept]), right.mean(), spent))
    return np.asarray(np.mean(found, axis=0))


def before_the_test(workspace: Path, params: Params, instrument: Instrument) -> Iterator[tuple[str, list[Case]]]:
    """Each horizon's rows before the first test bar, the last three tenths of them to judge."""
    splitter = PurgedWalkForward(2, 0.7, params.backtest.embargo_bars * instrument.bar)
    for horizon, data in read_datasets(Artifacts(workspace), params.labels.horizons).items():
        stop = int(len(data.X) * params.backtest.first_test_fraction)
        rows = data.X.iloc[:stop], data.y.iloc[:stop], data.t_end.iloc[:stop]
        yield horizon, [(rows, train, test) for train, test in splitter.split(rows[0], t_end=rows[2])]


def main() -> None:
    """Print a line for each market and each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="folder in which features and labels were made")
    parser.add_argument("--seeds", type=int, default=2, help="over which each line is a mean")
    arguments = parser.parse_args()
    quiet_environment()
    root = arguments.workspace or Path()
    params, instrument = read_params(root / "params.yaml"), read_run(root / "run.yaml").instrument
    markets: dict[str, list[Case]] = {"planted": [planted(0), planted(1)]}
    if arguments.workspace:
        markets |= dict(before_the_test(root, params, instrument))
    print(f"{'market':<10}{'settings':<26}{'log loss':>10}{'accuracy':>10}{'cpu s':>8}")
    for market, cases in markets.items():
        for name, family, chosen in settings(params):
            found = judge(cases, family, chosen, inner_splitter(params, instrument), arguments.seeds)
            print(f"{market:<10}{name:<26}{found[0]:>10.4f}{found[1]:>10.4f}{found[2]:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
