"""Ways to choose columns inside a fit; each is told the training rows of the fit and nothing else.

All are frozen values: equal settings and equal rows choose equal columns, in whichever process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from models.factory import create_model
from models.selected import Selector
from pipelines.params import Params
from pipelines.selection.groups import Groups, correlated_groups
from pipelines.selection.mutual_information import excess_information
from pipelines.selection.permutation import loss_rises
from pipelines.splits import PurgedKFold
from trading.instrument import Instrument

# Rows of a validation fold that are predicted, evenly spread.
_ROWS = 1000


@dataclass(frozen=True)
class ByInformation:
    """The columns that say most about the direction, each by itself.

    Parameters
    ----------
    keep
        Number of columns.
    seed
        Of the null that information is measured against.
    """

    keep: int
    seed: int

    def choose(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None) -> list[str]:
        """As :meth:`models.selected.Selector.choose`."""
        return _best(excess_information(X, y, seed=self.seed, sample_weight=sample_weight))[: self.keep]


@dataclass(frozen=True)
class ByClusters:
    """One column for each group of correlated ones: the one that says most; then the groups whose columns do.

    Parameters
    ----------
    keep
        Number of columns, and so of groups.
    correlation
        From which two columns count as the same, in rank.
    seed
        As for :class:`ByInformation`.
    """

    keep: int
    correlation: float
    seed: int

    def choose(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None) -> list[str]:
        """As :meth:`models.selected.Selector.choose`."""
        worth = excess_information(X, y, seed=self.seed, sample_weight=sample_weight)
        leaders = [_best(worth[list(group)])[0] for group in correlated_groups(X, self.correlation)]
        return _best(worth[leaders])[: self.keep]


@dataclass(frozen=True)
class ByPermutation:
    """The columns of the groups that forecasts lose most without, measured on purged folds of the training rows.

    Gradient-boosted trees of the given settings forecast each fold from the others. Groups are taken in the order of
    their worth; of the last one that fits, the columns that say most.

    Parameters
    ----------
    keep
        Number of columns.
    correlation
        From which two columns count as the same, in rank.
    splits, embargo
        Of :class:`pipelines.splits.PurgedKFold`.
    repeats, block
        Permutations, and the mean length of the stretches in rows.
    settings
        Of the trees.
    seed
        Of everything random.
    """

    keep: int
    correlation: float
    splits: int
    embargo: pd.Timedelta
    repeats: int
    block: int
    settings: Mapping[str, Any] = field(hash=False)
    seed: int

    def choose(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None) -> list[str]:
        """As :meth:`models.selected.Selector.choose`."""
        groups = correlated_groups(X, self.correlation)
        worth = self._worth(X, y, t_end, sample_weight, groups)
        alone = excess_information(X, y, seed=self.seed, sample_weight=sample_weight)
        ordered = [name for number in _best(worth) for name in _best(alone[list(groups[number])])]
        return ordered[: self.keep]

    def _worth(
        self, X: pd.DataFrame, y: pd.Series, t_end: pd.Series, sample_weight: pd.Series | None, groups: Groups
    ) -> pd.Series:
        """Mean rise of the log loss by group, over all folds."""
        generator = np.random.default_rng(self.seed)
        parts = []
        for train, test in PurgedKFold(self.splits, self.embargo).split(X, t_end=t_end):
            shares = None if sample_weight is None else sample_weight.iloc[train]
            model = create_model("xgboost", self.settings, seed=self.seed)
            model.fit(X.iloc[train], y.iloc[train], t_end=t_end.iloc[train], sample_weight=shares)
            at = np.arange(len(test))[:: max(1, len(test) // _ROWS)]
            parts.append(
                loss_rises(
                    [model],
                    X.iloc[test],
                    y.iloc[test],
                    groups,
                    at=at,
                    block=self.block,
                    repeats=self.repeats,
                    generator=generator,
                )
            )
        rises = pd.concat(parts)
        shares = None if sample_weight is None else sample_weight[rises.index]
        return pd.Series(np.average(rises, axis=0, weights=shares), index=rises.columns)


def create_selector(params: Params, instrument: Instrument) -> Selector | None:
    """The selector that ``params.selection`` asks for; None to keep every column."""
    asked, seed = params.selection, params.seed
    match asked.method:
        case "none":
            return None
        case "mutual_information":
            return ByInformation(asked.keep, seed)
        case "clusters":
            return ByClusters(asked.keep, asked.correlation, seed)
        case "permutation":
            return ByPermutation(
                asked.keep,
                asked.correlation,
                asked.splits,
                params.backtest.embargo_bars * instrument.bar,
                asked.repeats,
                asked.block_bars,
                params.models.xgboost.model_dump(),
                seed,
            )


def _best(worth: pd.Series) -> list[Any]:
    """Names from the best down; equals in their order."""
    return worth.sort_values(ascending=False, kind="stable").index.tolist()
