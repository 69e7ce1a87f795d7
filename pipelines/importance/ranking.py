"""Put the refits together: a ranking of groups of features with intervals, and how far the refits agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.importance.fold import FoldImportance
from pipelines.importance.intervals import interval, rank_interval, resampled_means
from pipelines.importance.stability import rank_agreement, set_stability, top_sets, top_share
from pipelines.params import ImportanceParams
from pipelines.selection.groups import Groups


@dataclass(frozen=True)
class Ranking:
    """What a horizon's features were worth.

    Attributes
    ----------
    groups : list of dict
        From the most important group down: ``rank`` with ``rank_low`` and ``rank_high``; ``feature``, the member that
        the trees use most, and ``features``, all of them; ``mean`` rise of the log loss on test rows with ``low``,
        ``high``, and ``std`` over the refits; ``top``, the share of refits that have it among the first; ``shapley``
        (mean absolute log odds), ``direction`` and ``information`` (largest of a member, in nats).
    stability : dict
        ``folds``, ``top`` and ``correlation`` as asked for, ``rank_correlation`` of the refits and ``set_stability`` of
        their first groups.
    by_fold : DataFrame
        One row a refit and group: ``fold``, ``group``, ``feature``, ``rise``, ``shapley``, ``information``.
    """

    groups: list[dict[str, Any]]
    stability: dict[str, Any]
    by_fold: pd.DataFrame


def rank_features(
    folds: Sequence[FoldImportance],
    groups: Groups,
    params: ImportanceParams,
    *,
    horizon_bars: int,
    bar: pd.Timedelta,
    confidence: float,
    seed: int,
) -> Ranking:
    """Rank groups by what forecasts on test rows lost without them, over all refits.

    Parameters
    ----------
    folds
        One a refit, in order.
    groups
        Columns that were judged together.
    params
        Resamples, and how many groups count as the first.
    horizon_bars, bar
        Labels of rows closer than the horizon share their outcome, and are drawn together.
    confidence
        Of the intervals.
    seed
        Of the bootstrap.

    Notes
    -----
    The interval is about other rows from the same refits: means over rows, resampled in blocks. What other refits
    would say, ``std`` and ``top`` show.
    """
    judged = [fold for fold in folds if fold.rises.shape[1] and len(fold.rises)]
    if not judged:
        return Ranking([], {"folds": 0}, _by_fold([], groups))
    by_fold = pd.DataFrame([fold.rises.mean() for fold in judged])
    shapley = pd.DataFrame([fold.group_shapley for fold in judged]).reindex(columns=by_fold.columns).mean()
    member = pd.DataFrame([fold.feature_shapley for fold in judged]).mean()
    direction = pd.DataFrame([fold.direction for fold in judged]).mean()
    information = pd.DataFrame([fold.information for fold in judged]).mean()
    values = [fold.rises.to_numpy() for fold in judged]
    means = np.vstack(values).mean(axis=0)
    block = max(_block(fold.rises, horizon_bars * bar) for fold in judged)
    samples = resampled_means(values, block, params.resamples, np.random.default_rng(seed))
    (low, high), (rank_low, rank_high) = interval(samples, confidence), rank_interval(samples, confidence)
    spread, often = by_fold.std(ddof=1 if len(by_fold) > 1 else 0), top_share(by_fold, params.top)
    ranked = []
    for rank, number in enumerate(np.argsort(-means, kind="stable"), start=1):
        names = list(groups[number])
        leader = max(names, key=lambda name: (member.get(name, 0.0), information[name]))
        ranked.append(
            {
                "rank": rank,
                "rank_low": int(rank_low[number]),
                "rank_high": int(rank_high[number]),
                "feature": leader,
                "features": names,
                "mean": means[number],
                "low": low[number],
                "high": high[number],
                "std": spread[number],
                "top": often[number],
                "shapley": shapley[number],
                "direction": direction.get(leader, np.nan),
                "information": information[names].max(),
            }
        )
    stability = {
        "folds": len(judged),
        "top": params.top,
        "correlation": params.correlation,
        "rank_correlation": rank_agreement(by_fold),
        "set_stability": set_stability(top_sets(by_fold, params.top), len(groups)),
    }
    return Ranking(ranked, stability, _by_fold(judged, groups))


def chosen_columns(folds: Sequence[FoldImportance], total: int) -> dict[str, Any]:
    """What selectors kept: each column with the share of fits that kept it, most often first, and their agreement.

    Members of one refit choose among the same rows, so only refits of one member are compared; the mean is given.
    """
    members = {name: [set(fold.chosen[name]) for fold in folds] for name in (folds[0].chosen if folds else {})}
    choices = [choice for refits in members.values() for choice in refits]
    agreement = [set_stability(refits, total) for refits in members.values()]
    shares = pd.Series([name for choice in choices for name in choice], dtype=object).value_counts() / max(
        len(choices), 1
    )
    ordered = sorted(shares.items(), key=lambda item: (-item[1], str(item[0])))
    return {
        "fits": len(choices),
        "columns": [{"feature": name, "share": share} for name, share in ordered],
        "set_stability": float(np.mean(agreement)) if agreement else float("nan"),
    }


def _block(rises: pd.DataFrame, horizon: pd.Timedelta) -> int:
    """Judged rows drawn together: twice those that a horizon spans, or the cube root of all of them if that is more."""
    stamps = pd.DatetimeIndex(rises.index)
    apart = (stamps[-1] - stamps[0]) / max(len(stamps) - 1, 1)
    overlap = int(np.ceil(horizon / apart)) if apart > pd.Timedelta(0) else 1
    return int(max(2 * overlap, round(len(rises) ** (1 / 3)), 1))


def _by_fold(folds: Sequence[FoldImportance], groups: Groups) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "fold": number,
                "group": range(len(groups)),
                "feature": [group[0] for group in groups],
                "rise": fold.rises.mean().to_numpy(),
                "shapley": fold.group_shapley.reindex(range(len(groups))).to_numpy(dtype=float),
                "information": [fold.information[list(group)].max() for group in groups],
            }
        )
        for number, fold in enumerate(folds)
    ]
    columns = ["fold", "group", "feature", "rise", "shapley", "information"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
