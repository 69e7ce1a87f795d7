"""Which searches a run makes, and what each of them settles."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipelines.artifacts import content_hash
from pipelines.backtest.walk_forward import splitter
from pipelines.context import Context
from pipelines.dataset import Dataset
from pipelines.inputs import read_bars, read_datasets
from pipelines.params import Params
from pipelines.provenance import code_digest, provenance
from pipelines.recipe import Tuned
from pipelines.tune.database import Database
from pipelines.tune.past import before_the_test
from pipelines.tune.study import StudyResult, StudyTask
from trading.instrument import Instrument


@dataclass(frozen=True)
class Search:
    """The studies of one horizon that share their bars: those before one test block.

    Attributes
    ----------
    horizon
        What is predicted.
    tasks
        A study for each family that is tuned or, where families are compared, votes.
    """

    horizon: str
    tasks: Sequence[StudyTask]


def searches(context: Context) -> list[Search]:
    """One search for each horizon; of a nested search one for each block of its test, in order."""
    params, instrument, files, settings = context.params, context.run.instrument, context.files, context.settings
    bars = read_bars(files)
    if not settings.optuna_storage:
        (settings.state / "state").mkdir(parents=True, exist_ok=True)
    database = Database(settings.study_storage, settings.optuna_patience, settings.optuna_grace)
    # A study made by other code is another study: its results would not be this code's.
    code = content_hash([code_digest(settings.home), provenance(settings.home)["lock_sha256"]])
    compared = params.models.voting if params.tune.select else ()
    families = dict.fromkeys([*params.tune.trials, *compared])
    found = []
    for horizon, data in read_datasets(files, params.labels.horizons).items():
        for start in block_starts(data, params, instrument):
            past = before_the_test(data, start, params, instrument)
            seen = bars.loc[: past.X.index[-1]]
            tasks = [StudyTask(family, horizon, instrument, past, seen, params, database, code) for family in families]
            found.append(Search(horizon, tasks))
    return found


def block_starts(data: Dataset, params: Params, instrument: Instrument) -> list[pd.Timestamp]:
    """Opening of the first bar of each test block that a search comes before.

    That is the first block of the walk-forward, whose settings all refits share; of a nested search every block.
    """
    folds = splitter(params, instrument, len(data.X)).split(data.X, t_end=data.t_end)
    starts: list[pd.Timestamp] = [data.X.index[test[0]] for _, test in folds]
    return starts if params.tune.nested else starts[:1]


def settled(results: Sequence[StudyResult], params: Params) -> Tuned:
    """Values that the studies of one search chose, and None for families that are to leave the vote.

    With ``tune.select`` so many families stay, those whose chosen trials have the least log loss on the splits before
    the test; of equals the one named first under ``models.voting``.
    """
    tuned: dict[str, dict[str, object] | None] = {result.family: dict(result.best) for result in results}
    if params.tune.select:
        loss = {result.family: result.log_loss for result in results}
        ranked = sorted(params.models.voting, key=lambda family: loss[family])
        tuned |= dict.fromkeys(ranked[params.tune.select :])
    return tuned
