"""Forecasts of every family, of their votes and stacks, and of what they are held against, over one purged split."""

import importlib.util
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.blend import Blend
from models.factory import FAMILIES, create_ensemble, create_model
from models.out_of_fold import out_of_fold
from pipelines.backtest.walk_forward import inner_splitter
from pipelines.dataset import Dataset
from pipelines.features.catalogue import NEEDS
from pipelines.features.engine import FeatureEngine
from pipelines.labels.direction import direction_labels
from pipelines.params import Params, read_params
from pipelines.splits import PurgedWalkForward
from trading.instrument import Instrument

HOME = Path(__file__).resolve().parents[2]
ORDER = (*FAMILIES, "soft", "stack", "logistic", "lightgbm", "persistence", "reversal", "majority")
"""In which everyone is shown."""


@dataclass(frozen=True)
class Forecasts:
    """What was said about the last half of the rows, by who had learnt from the first.

    Attributes
    ----------
    said : DataFrame
        Probability of a rise: a column a family, ``soft``, ``stack``, peers and baselines. Rows of the test whose label
        is known.
    seconds
        To learn and to say, by column; a stack counts what its members say about rows held back from them.
    base_rate
        Share of rises among the training rows.
    columns
        Number of features.
    stack
        Coefficients of the stack, by family.
    """

    said: pd.DataFrame
    seconds: dict[str, float]
    base_rate: float
    columns: int
    stack: dict[str, float]


def params_of(profile: str) -> Params:
    """Those of ``params.yaml``."""
    return read_params(HOME / "params.yaml", profile=profile)


def dataset(bars: pd.DataFrame, instrument: Instrument, horizon: str, params: Params) -> Dataset:
    """The default features of bars alone, and directions."""
    groups = [group for group in params.features.groups if group not in NEEDS]
    features = FeatureEngine(groups, instrument.timeframe).batch(bars)
    return Dataset.join(features, direction_labels(bars, instrument, horizon))


def forecasts(
    data: Dataset, bars: pd.DataFrame, instrument: Instrument, params: Params, *, test_from: pd.Timestamp, peers: bool
) -> Forecasts:
    """Learn from rows whose labels are known well before ``test_from``, and forecast the rest.

    Parameters
    ----------
    data
        Of :func:`dataset`.
    bars
        That it was made of.
    test_from
        Stamp of the first row that is forecast.
    peers
        LightGBM too.
    """
    embargo = params.backtest.embargo_bars * instrument.bar
    share = data.X.index.searchsorted(test_from) / len(data.X)
    ((train, test),) = PurgedWalkForward(1, share, embargo).split(data.X, t_end=data.t_end)
    X, y, t_end = data.training_rows(train)
    cv = inner_splitter(params, instrument)
    settings = params.models.model_dump()
    said, held, seconds = {}, {}, {}
    for family in FAMILIES:
        model = create_model(family, settings[family], seed=params.seed, cv=cv)
        start = time.perf_counter()
        held[family] = out_of_fold(model, X, y, t_end=t_end, sample_weight=None, cv=cv)
        between = time.perf_counter()
        model.fit(X, y, t_end=t_end)
        rows = data.X.iloc[int(test[0]) - model.window + 1 :]
        said[family] = model.predict_proba(rows)[1].reindex(data.X.index[test])
        seconds[family] = time.perf_counter() - between
        seconds["stack"] = seconds.get("stack", 0.0) + between - start
    members = pd.DataFrame(said)
    stack = create_ensemble(
        settings, dict.fromkeys(FAMILIES, 1.0), seed=params.seed,
        voting={**params.models.ensemble.model_dump(), "method": "stacking", "calibration": "none"}, cv=cv,
    )  # fmt: skip
    blend = stack.learnt(pd.DataFrame(held), y, t_end=t_end)
    said["soft"] = Blend("soft", (1.0,) * len(FAMILIES)).vote(members)
    said["stack"] = blend.vote(members)
    seconds["soft"], seconds["stack"] = 0.0, seconds["stack"] + sum(seconds[family] for family in FAMILIES)
    learnt, tested = X[y.notna()], data.X.iloc[test]
    others: dict[str, Any] = {"logistic": _logistic, **({"lightgbm": _lightgbm} if peers else {})}
    for name, learn in others.items():
        start = time.perf_counter()
        model = learn(params.seed).fit(learnt.to_numpy(), y[learnt.index].to_numpy())
        said[name] = pd.Series(model.predict_proba(tested.to_numpy())[:, 1], index=tested.index)
        seconds[name] = time.perf_counter() - start
    moved = np.sign(bars["close"] - bars["open"]).reindex(tested.index)
    base = float(y.mean())
    said["majority"] = pd.Series(base, index=tested.index)
    said["persistence"], said["reversal"] = 0.5 + 0.1 * moved, 0.5 - 0.1 * moved
    frame = pd.DataFrame(said)
    known = data.y.iloc[test].notna() & frame.notna().all(axis=1)
    return Forecasts(
        frame[known], seconds, base, data.X.shape[1], dict(zip(FAMILIES, map(float, blend.weights), strict=True))
    )


def lightgbm_is_there() -> bool:
    """Whether the peer can be measured in this environment."""
    return importlib.util.find_spec("lightgbm") is not None


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))


def _lightgbm(seed: int) -> Any:
    from lightgbm import LGBMClassifier

    # As many and as shallow trees as ours, and its own defaults otherwise; those alone (31 leaves, 100 trees at 0.1)
    # overfit here.
    return LGBMClassifier(
        n_estimators=90, max_depth=3, learning_rate=0.05, subsample=0.7, subsample_freq=1, colsample_bytree=0.5,
        min_child_samples=80, reg_lambda=5.0, n_jobs=1, random_state=seed, verbosity=-1,
    )  # fmt: skip
