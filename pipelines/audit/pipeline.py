"""The real pipeline as steps from raw rows: what the audit asks for look-ahead is what the stages run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from pipelines.audit.known import LABELS
from pipelines.features.chosen import Chosen
from pipelines.features.context import Published
from pipelines.features.engine import FeatureEngine
from pipelines.labels.labelling import make_labels
from pipelines.params import Params
from pipelines.sentiment.declared import declared
from pipelines.validate.screen import screen
from trading.instrument import Instrument

# Between what a column belongs to and its name.
_OF = ": "
EARLY_FEATURE = "control: a feature that sees the next bar"
LATE_LABEL = "control: a label known one bar late"


def table(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Frames side by side, their columns named after them."""
    return pd.concat([frame.add_prefix(f"{part}{_OF}") for part, frame in parts.items()], axis=1)


def part_of(column: str) -> str:
    """The frame that a column of a :func:`table` belongs to."""
    return column.rpartition(_OF)[0]


@dataclass(frozen=True)
class Pipeline:
    """What the stages make of raw rows, and of what stands beside them, without learning.

    Parameters
    ----------
    params, instrument
        Of the run.
    source
        Timeframe of the rows, which are as ingest writes them, indexed by their openings.
    chosen
        Which features are computed.
    """

    params: Params
    instrument: Instrument
    source: str
    chosen: Chosen

    def bars(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Row rules and resampling."""
        return screen(rows.reset_index(), self.source, self.instrument.timeframe, self.params.validate_).bars

    def labels(self, bars: pd.DataFrame, horizon: str) -> pd.DataFrame:
        """Labels of a horizon."""
        return make_labels(bars, self.instrument, horizon, self.params.labels, self.params.costs.costs())

    def engine(self) -> FeatureEngine:
        """What computes the features; it does not travel to other processes."""
        return self.chosen.engine()

    @property
    def delays(self) -> dict[str, pd.Timedelta]:
        """How long after its publication each external series may be used."""
        return {name: declared(name).delay for name in self.chosen.series}


def feature_step(pipeline: Pipeline) -> Callable[[pd.DataFrame, Published], pd.DataFrame]:
    """From rows, and what stands beside them, to a :func:`feature_table`."""
    engine = pipeline.engine()

    def step(rows: pd.DataFrame, beside: Published) -> pd.DataFrame:
        bars = pipeline.bars(rows)
        return feature_table(bars, engine.batch(bars, beside))

    return step


def feature_table(bars: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Bars and features, and a control that sees a bar ahead."""
    early = features.iloc[:, [0]].shift(-1)
    return table({"bars": bars, "features": features, EARLY_FEATURE: early})


def label_table(labels: Mapping[str, pd.DataFrame], bar: pd.Timedelta) -> pd.DataFrame:
    """Labels of every horizon, with their ends, and controls that claim to end a bar early.

    ``t_end`` is when the last price is known, which may be the open of a bar; the bar that holds it is on file when it
    has closed: ``closed``.
    """
    parts = {}
    controls: dict[str, pd.Series] = {}
    for horizon, frame in labels.items():
        ends = [name for name in ("t_end", "horizon_end") if name in frame]
        parts[f"labels {horizon}"] = frame.assign(**{f"{name} closed": frame[name] + bar for name in ends})
        early = {"ret": frame["ret"], "t_end": frame["t_end"] - bar, "t_end closed": frame["t_end"]}
        controls |= {f"{name} {horizon}": values for name, values in early.items()}
    return table({**parts, LATE_LABEL: pd.DataFrame(controls)})


def label_ends(columns: pd.Index, *, closed: bool) -> dict[str, str]:
    """Column that says when each column of a :func:`label_table` is known: as a price, or as part of a closed bar."""
    ends = {}
    for column in columns:
        part, _, name = column.rpartition(_OF)
        if part == LATE_LABEL:
            end, suffix = "t_end", f" {name.rpartition(' ')[2]}"
        else:
            end, suffix = LABELS[name.removesuffix(" closed")], ""
        ends[column] = f"{part}{_OF}{end}{' closed' if closed else ''}{suffix}"
    return ends
