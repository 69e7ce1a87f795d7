"""Which features a run computes: those of the groups that params.yaml names and whose inputs are there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.artifacts import Artifacts
from pipelines.features import order_flow
from pipelines.features.engine import FeatureEngine
from pipelines.inputs import BARS, RECORD
from pipelines.params import Params, RunIdentity


@dataclass(frozen=True)
class Chosen:
    """What an engine is built from. Travels to other processes, as an engine does not.

    Attributes
    ----------
    groups
        Groups that are on.
    off
        Groups that params.yaml names and that are off, with what is missing.
    timeframe, assets, series
        As :class:`~pipelines.features.engine.FeatureEngine` takes them.
    """

    groups: tuple[str, ...]
    off: Mapping[str, str]
    timeframe: str
    assets: tuple[str, ...]
    series: tuple[str, ...]

    def engine(self) -> FeatureEngine:
        """What computes the features."""
        return FeatureEngine(self.groups, self.timeframe, assets=self.assets, series=self.series)


def choose(
    groups: Sequence[str],
    timeframe: str,
    columns: Collection[str],
    assets: Sequence[str],
    series: Sequence[str],
    folder: str = "the context",
) -> Chosen:
    """Switch off the groups that nothing is there for.

    Parameters
    ----------
    groups, timeframe
        As asked for.
    columns
        Of the bars.
    assets, series
        Instruments and external series that stand beside them.
    folder
        Where more of them would be put, for the reasons.
    """
    lacking = [name for name in order_flow.COLUMNS if name not in columns]
    missing = {
        "order_flow": f"bars without {', '.join(lacking)}" if lacking else "",
        "cross_asset": "" if assets else f"no other instrument in {folder}",
        "sentiment": "" if series else f"no series in {folder}",
    }
    off = {group: missing[group] for group in groups if missing.get(group)}
    return Chosen(tuple(group for group in groups if group not in off), off, timeframe, tuple(assets), tuple(series))


def chosen_features(files: Artifacts, params: Params, run: RunIdentity) -> Chosen:
    """What a run computes, told from its validated bars and from what *ingest* has put beside them.

    Raises
    ------
    StageError
        If *ingest* or *validate* has not run.
    """
    beside = files.read_json(RECORD)["context"]
    assets, series = ([one["name"] for one in beside if one["kind"] == kind] for kind in ("bars", "series"))
    timeframe = run.instrument.timeframe
    return choose(params.features.groups, timeframe, files.columns(BARS), assets, series, run.context)


def feature_engine(files: Artifacts, params: Params, run: RunIdentity) -> FeatureEngine:
    """The engine of a run, wherever it is needed; see :func:`chosen_features`."""
    return chosen_features(files, params, run).engine()
