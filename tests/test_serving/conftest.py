"""Bundles over the real features, registered in a store of their own."""

from dataclasses import replace
from unittest.mock import patch

import pandas as pd
import pytest

from models.bundle import load_bundle
from pipelines.features.chosen import choose
from pipelines.register import stage as register
from pipelines.settings import ROOT
from serving.context_history import ContextHistory
from serving.feature_tail import FeatureTail
from serving.history import History
from serving.predictor import Predictor
from serving.served import Horizon, Served
from tests.bundles import fake_run
from tests.workspace import with_registry
from trading.instrument import Instrument

NOW = pd.Timestamp("2026-01-01", tz="UTC")


@pytest.fixture(scope="session")
def engine(params, sample_bars):
    """The features that are served: of the bars alone."""
    return choose(params.features.groups, "1h", sample_bars.columns, (), ()).engine()


@pytest.fixture(scope="session")
def served_bars(sample_bars, engine):
    """Enough bars for the warm-up, and some more."""
    return sample_bars.iloc[: engine.warmup + 400]


@pytest.fixture(scope="session")
def served_features(engine, served_bars):
    """Features of all of them."""
    return engine.batch(served_bars)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, params, engine, served_bars, served_features):
    """A run whose bundles know all but the last 50 bars, registered and never proven."""
    made = fake_run(
        with_registry(tmp_path_factory.mktemp("state")),
        params,
        Instrument("BTC/USD", "1h"),
        served_bars.iloc[:-50],
        served_features,
        engine=engine,
    )
    context = replace(made, settings=made.settings.model_copy(update={"home": ROOT}))
    with patch.object(register, "check_reload", lambda *args: None):
        register.run(context)
    return context


@pytest.fixture(scope="session")
def predictors(workspace, params):
    """One per horizon, without a registry."""
    folders = [workspace.files.path(f"data/train/{h}") for h in params.labels.horizons]
    return [Predictor(load_bundle(folder), "1", "candidate") for folder in folders]


def horizon_over(predictor, bars, rows=None):
    """A horizon that has been served these bars, of which features are kept for so many rows."""
    spec = predictor.bundle.spec
    history = History(
        predictor.instrument, bars, rows=predictor.rows, max_gap=spec["max_gap"], max_jump=spec["max_jump"]
    )
    nothing = ContextHistory(predictor.instrument, {})
    features = FeatureTail.begin(predictor.engine, history.bars, nothing, rows=rows or predictor.tail)
    return Horizon.at(predictor, history, features)


@pytest.fixture
def horizons(predictors, served_bars):
    """What the service starts from."""
    return [horizon_over(predictor, served_bars.iloc[:-50]) for predictor in predictors]


@pytest.fixture
def late(predictors, served_bars):
    """The longer horizon's bars end ten bars before the shorter one's."""
    return Served(
        [horizon_over(predictors[0], served_bars.iloc[:-50]), horizon_over(predictors[1], served_bars.iloc[:-60])],
        clock=lambda: NOW,
    )


@pytest.fixture
def served(horizons):
    """An instrument as the service holds it; its clock stands."""
    return Served(horizons, clock=lambda: NOW)
