"""One study: what is searched on what, who it is, and what came of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipelines.artifacts import content_hash
from pipelines.dataset import Dataset
from pipelines.model_params import Family
from pipelines.params import Params, Range
from pipelines.tune.database import Database
from trading.instrument import Instrument


@dataclass(frozen=True)
class StudyTask:
    """Everything one study needs. Travels to a worker process."""

    family: Family
    horizon: str
    instrument: Instrument
    data: Dataset
    bars: pd.DataFrame
    params: Params
    database: Database
    code: str

    @property
    def base(self) -> dict[str, Any]:
        """Settings that the search starts from and draws over."""
        return dict(self.params.models.model_dump()[self.family])

    @property
    def space(self) -> Mapping[str, Range]:
        """Where values are drawn from; empty for a family that is only compared with others."""
        return self.params.tune.search.get(self.family, {})

    @property
    def wanted(self) -> int:
        """Number of trials."""
        return self.params.tune.trials.get(self.family, 1)

    @property
    def prefix(self) -> str:
        """What the names of all studies of this horizon and family begin with."""
        return f"{self.instrument.name} {self.horizon} {self.family} "

    @property
    def identity(self) -> str:
        """Hash of all that decides the study's result: data, splits, space, start, seed, objectives, code."""
        return content_hash(self.parts)

    @property
    def parts(self) -> dict[str, str]:
        """What the identity is made of, so that one can say in what two studies differ."""
        return {
            "data": content_hash({"rows": self._rows}),
            "params": content_hash({"content": self.content, "objectives": self.params.tune.objectives}),
            "code": self.code,
        }

    @property
    def _rows(self) -> int:
        data = self.data
        rows = pd.util.hash_pandas_object(data.X.assign(y=data.y, ret=data.ret)).to_numpy()
        return int(rows.sum(dtype=np.uint64))

    @property
    def content(self) -> str:
        """Hash of what is tried on what, whatever the code that does it."""
        labels = self.params.labels
        # Rows and returns identify plain labels; what others end and weigh like is in how they are made.
        making: dict[str, Any] = {} if labels.plain else {"labels": labels.model_dump(exclude={"horizons"})}
        if (selection := self.params.selection).method != "none":
            making["selection"] = selection.model_dump() | {"trees": self.params.models.xgboost.model_dump()}
        if self.family not in ("random_forest", "xgboost"):
            # These hold rows back from themselves.
            making["inner"] = self.params.inner.model_dump()
        if (window := self.params.backtest.train_window) != "all":
            making["train_window"] = window
        return content_hash(
            making
            | {
                "family": self.family,
                "horizon": self.horizon,
                "instrument": asdict(self.instrument),
                "rows": len(self.data.X),
                "data": self._rows,
                "base": self.base,
                "space": {key: span.model_dump() for key, span in self.space.items()},
                "splits": self.params.tune.splits,
                "startup": self.params.tune.startup_trials,
                "first_test_fraction": self.params.backtest.first_test_fraction,
                "embargo_bars": self.params.backtest.embargo_bars,
                "costs": self.params.costs.model_dump(),
                "positions": self.params.positions.model_dump(),
                "seed": self.params.seed,
            }
        )


@dataclass(frozen=True)
class StudyResult:
    """Decided trials of one study in the order of their places, and the settings that were chosen.

    Attributes
    ----------
    best
        Values that were drawn in the chosen trial.
    log_loss
        Of the chosen trial.
    trials
        As the ledger keeps them.
    front
        Places of the trials that no other beats in every objective; with one objective the best one's.
    stopped_by
        ``trials`` if all that were wanted are there, ``time`` if the budget ran out before.
    """

    family: Family
    horizon: str
    study_hash: str
    best: Mapping[str, Any]
    log_loss: float
    trials: list[dict[str, Any]]
    front: list[int]
    stopped_by: Literal["trials", "time"]

    @property
    def summary(self) -> dict[str, Any]:
        """How the study ended, without its trials."""
        return {
            "study_hash": self.study_hash,
            "trials": len(self.trials),
            "stopped_by": self.stopped_by,
            "log_loss": self.log_loss,
            "front": self.front,
            "best": dict(self.best),
        }
