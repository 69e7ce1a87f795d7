"""A model is asked with the features it was fitted on, in their order: nothing is reordered behind anyone's back."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from trading.errors import ModelError


def require_names(expected: Sequence[str], given: Iterable[object], *, where: str) -> None:
    """Refuse columns that differ from those a model knows.

    Parameters
    ----------
    expected
        Names in the order of the fit.
    given
        Names of the frame at hand.
    where
        What is being asked, for the message.

    Raises
    ------
    ModelError
        Naming the first column that differs.
    """
    for position, (mine, theirs) in enumerate(zip_longest(expected, given)):
        if mine == theirs:
            continue
        if mine is None:
            what = f"extra feature {theirs!r} at position {position}"
        elif theirs is None:
            what = f"feature {mine!r} is missing at position {position}"
        else:
            what = f"feature {position} is {theirs!r} where {mine!r} was expected"
        raise ModelError(
            what,
            where=where,
            rule=f"the {len(expected)} features of the fit, in their order",
            remedy="compute the features with the spec that the model was trained on",
        )
