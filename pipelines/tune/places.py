"""Which trial of a study is which: the places that several workers fill, whatever happens to any of them.

A study has as many places as trials are wanted. Each trial belongs to one from the moment it is made: one that was made
to repeat another carries that one's place, all others count up. A place is decided by its first trial that came to an
end of its own; trials that a kill cut short, or that came too late, decide nothing. So the result is the same set of
places whoever filled them in which order, and none is ever counted twice.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.tune.objective import REFUSED

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PLACE = "place"


def places(trials: Sequence["FrozenTrial"]) -> list[int]:
    """Place of each trial; ``trials`` are all of a study in the order of their numbers."""
    found, fresh = [], 0
    for trial in trials:
        if PLACE in trial.user_attrs:
            found.append(int(trial.user_attrs[PLACE]))
        else:
            found.append(fresh)
            fresh += 1
    return found


def is_decided(trial: "FrozenTrial") -> bool:
    """Whether a trial came to an end of its own: complete, pruned, or refused by its model."""
    return trial.state.name in ("COMPLETE", "PRUNED") or (trial.state.name == "FAIL" and REFUSED in trial.user_attrs)


def decided(trials: Sequence["FrozenTrial"], wanted: int) -> dict[int, "FrozenTrial"]:
    """The trial that decides each place below ``wanted``, in the order of the places."""
    found: dict[int, FrozenTrial] = {}
    for place, trial in zip(places(trials), trials, strict=True):
        if place < wanted and is_decided(trial):
            found.setdefault(place, trial)
    return dict(sorted(found.items()))


def lost(trials: Sequence["FrozenTrial"], wanted: int) -> dict[int, "FrozenTrial"]:
    """Places whose trials all came to nothing, with the last of them: they must be filled again."""
    last: dict[int, FrozenTrial] = {}
    alive: set[int] = set()
    for place, trial in zip(places(trials), trials, strict=True):
        last[place] = trial
        if is_decided(trial) or trial.state.name in ("RUNNING", "WAITING"):
            alive.add(place)
    return {place: last[place] for place in sorted(last) if place < wanted and place not in alive}


def is_surplus(trials: Sequence["FrozenTrial"], number: int, wanted: int) -> bool:
    """Whether a trial need not run: its place is beyond those wanted, or an earlier trial fills it."""
    order = places(trials)
    mine = order[number]
    earlier = zip(order[:number], trials[:number], strict=True)
    return mine >= wanted or any(
        place == mine and (is_decided(trial) or trial.state.name in ("RUNNING", "WAITING")) for place, trial in earlier
    )


def unmade(trials: Sequence["FrozenTrial"], wanted: int) -> bool:
    """Whether there is a place that no trial was ever made for, or a trial that waits for a worker."""
    fresh = sum(PLACE not in trial.user_attrs for trial in trials)
    return fresh < wanted or any(trial.state.name == "WAITING" for trial in trials)
