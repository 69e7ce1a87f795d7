"""The pipeline's first half, run again on another future, and what of it must be the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from pipelines.audit.checks import Check, compare, known_by, labels_known_by, outcomes_ahead
from pipelines.audit.perturb import changed_after
from pipelines.features.engine import FeatureEngine
from pipelines.labels.direction import direction_labels
from pipelines.params import Params
from pipelines.validate.screen import screen
from trading.instrument import Instrument, duration


@dataclass(frozen=True)
class World:
    """Bars, and everything that is made of them without learning."""

    bars: pd.DataFrame
    features: pd.DataFrame
    labels: Mapping[str, pd.DataFrame]


def rebuilt(
    raw: pd.DataFrame, source: str, cut: pd.Timestamp, params: Params, instrument: Instrument, seed: int
) -> World:
    """Contracts, resampling, features and labels of the rows, had the future after ``cut`` been another.

    Parameters
    ----------
    raw
        Rows as ingest writes them.
    source
        Their timeframe.
    cut
        Bars that closed by then are the true ones.
    """
    other = changed_after(raw, cut, duration(source), seed)
    bars = screen(other, source, instrument.timeframe, params.validate_).bars
    features = FeatureEngine(params.features.groups, instrument.timeframe).batch(bars)
    labels = {horizon: direction_labels(bars, instrument, horizon) for horizon in params.labels.horizons}
    return World(bars, features, labels)


def unchanged(true: World, other: World, cut: pd.Timestamp, bar: pd.Timedelta) -> Iterator[Check]:
    """What was known by the cut, compared; and what was yet to come, which must differ."""
    yield compare("bars", cut, known_by(true.bars, cut, bar), known_by(other.bars, cut, bar))
    yield compare("features", cut, known_by(true.features, cut, bar), known_by(other.features, cut, bar))
    for horizon, labels in true.labels.items():
        known = labels_known_by(labels, cut, bar), labels_known_by(other.labels[horizon], cut, bar)
        yield compare(f"labels {horizon}", cut, *known)
        yield outcomes_ahead(f"outcomes {horizon}", cut, labels, other.labels[horizon], bar)


def controls(true: World, other: World, cut: pd.Timestamp, bar: pd.Timedelta) -> Iterator[Check]:
    """Two leaks of one bar, through the same comparison: they must be caught."""
    early = [known_by(world.features.iloc[:, [0]].shift(-1), cut, bar) for world in (true, other)]
    yield compare("control: a feature that sees the next bar", cut, *early)
    for horizon in true.labels:
        late = [labels_known_by(world.labels[horizon], cut + bar, bar) for world in (true, other)]
        yield compare("control: a label known one bar late", cut, *late)
