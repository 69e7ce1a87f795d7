"""Does it pay to choose features: ``python -m benchmarks.skill.feature_selection --workspace . --keep 12 40``.

The walk-forward of a finished run, with the trees only, once for each way of choosing features. It looks at test bars:
what it shows is for judging whether a method deserves a study, not for picking the best of its own lines.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.artifacts import Artifacts
from pipelines.backtest.walk_forward import fit_vote, fold_tasks, predict_block
from pipelines.dataset import Dataset
from pipelines.inputs import read_datasets
from pipelines.metrics import log_loss
from pipelines.params import Params, read_params, read_run
from pipelines.recipe import family_settings
from pipelines.settings import quiet_environment
from trading.instrument import Instrument

METHODS = ("mutual_information", "clusters", "permutation")


def chosen_by(params: Params, method: str, keep: int, seed: int) -> Params:
    """Params that choose this way and vote with the trees."""
    return params.model_copy(
        update={
            "seed": seed,
            "selection": params.selection.model_copy(update={"method": method, "keep": keep}),
            "models": params.models.model_copy(update={"voting": {"random_forest": 1.0, "xgboost": 1.0}}),
        }
    )


def walk(params: Params, instrument: Instrument, horizon: str, data: Dataset) -> Iterator[tuple[float, float, float]]:
    """Log loss, accuracy and seconds of fitting of each refit."""
    for task in fold_tasks(horizon, data, params, instrument, family_settings(params, {})):
        start = time.perf_counter()
        vote, scale = fit_vote(task)
        spent = time.perf_counter() - start
        up = predict_block(task, vote, scale, data)["vote"]
        label = data.y.iloc[task.test]
        known = label.notna()
        right = (up[known] >= 0.5) == (label[known] > 0)
        yield log_loss(label[known].to_numpy(), up[known].to_numpy()), float(right.mean()), spent


def main() -> None:
    """Print a line for each method, number of columns and horizon."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path(), help="folder in which features and labels were made")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="ways of choosing")
    parser.add_argument("--keep", nargs="+", type=int, default=[12, 24, 40], help="numbers of columns")
    parser.add_argument("--seeds", type=int, default=3, help="seeds over which each line is a mean")
    arguments = parser.parse_args()
    quiet_environment()
    params, run = read_params(arguments.workspace / "params.yaml"), read_run(arguments.workspace / "run.yaml")
    data = read_datasets(Artifacts(arguments.workspace), params.labels.horizons)
    rows, columns = next(iter(data.values())).X.shape
    print(f"{rows:,} rows of {columns} features; mean over {params.backtest.refits} refits and {arguments.seeds} seeds")
    print(f"{'method':<20}{'keep':>6}{'horizon':>9}{'log loss':>10}{'beside all':>12}{'accuracy':>10}{'seconds':>9}")
    reference: dict[str, np.ndarray] = {}
    for method, keep in [("none", columns), *((m, k) for m in arguments.methods for k in arguments.keep)]:
        for horizon, dataset in data.items():
            found = pd.DataFrame(
                [
                    line
                    for seed in range(params.seed, params.seed + arguments.seeds)
                    for line in walk(chosen_by(params, method, keep, seed), run.instrument, horizon, dataset)
                ],
                columns=["loss", "accuracy", "seconds"],
            )
            losses = found["loss"].to_numpy()
            beside = (losses - reference.setdefault(horizon, losses)).mean()
            mean = found.mean()
            print(
                f"{method:<20}{keep:>6}{horizon:>9}{mean['loss']:>10.5f}{beside:>+12.5f}{mean['accuracy']:>10.4f}"
                f"{mean['seconds']:>9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
