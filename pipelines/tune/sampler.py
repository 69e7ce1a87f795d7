"""TPE from given settings on, seeded for each place of a study: it does not matter how often a worker was started."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler, TPESampler

from pipelines.tune.places import places

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_APART = 100_003


class SeededByPlace(BaseSampler):
    """The tree-structured Parzen estimator, made anew for each trial with a seed of its place's own.

    Two workers that draw at once therefore draw differently, and one that draws again what a kill cut short draws the
    same, as long as the same trials were decided before.

    Parameters
    ----------
    seed
        Of the study.
    startup
        Trials drawn at random before the estimator learns from earlier ones.
    start
        Settings that the first place tries as they are, or as near as the ranges allow: a short search may find nothing
        better, and must not end with something worse.

    References
    ----------
    J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl (2011), "Algorithms for Hyper-Parameter Optimization", NeurIPS 24.
    """

    def __init__(self, seed: int, startup: int, start: Mapping[str, Any]) -> None:
        self.seed, self.startup, self.start = seed, startup, start
        self.number: int | None = None
        self._first = False
        self._sampler = TPESampler(seed=seed, n_startup_trials=startup)

    def before_trial(self, study: optuna.Study, trial: "FrozenTrial") -> None:
        """Seed for the trial's place."""
        self.number = trial.number
        place = places(study.get_trials(deepcopy=False))[trial.number]
        self._first = place == 0
        self._sampler = TPESampler(seed=self.seed * _APART + place, n_startup_trials=self.startup)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: "FrozenTrial") -> "dict[str, BaseDistribution]":
        """As TPE; none for the first place, whose values are given."""
        return {} if self._first else dict(self._sampler.infer_relative_search_space(study, trial))

    def sample_relative(
        self, study: optuna.Study, trial: "FrozenTrial", search_space: "dict[str, BaseDistribution]"
    ) -> dict[str, Any]:
        """As TPE."""
        return dict(self._sampler.sample_relative(study, trial, search_space))

    def sample_independent(
        self, study: optuna.Study, trial: "FrozenTrial", param_name: str, param_distribution: "BaseDistribution"
    ) -> Any:
        """As TPE; the first place takes what is given."""
        if self._first:
            low, high = param_distribution.low, param_distribution.high
            return type(low)(min(max(self.start[param_name], low), high))
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)
