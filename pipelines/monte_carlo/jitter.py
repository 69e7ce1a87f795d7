"""Whether a result hangs on the exact value of a parameter: the same run with each number a little off.

A strategy that is good for a band of 0.10 and for none beside it was fitted to its sample. What the jitter cannot tell
is whether the structure was fitted to it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from trading.errors import ParamsError


def jittered(
    values: Mapping[str, float],
    outcome: Callable[[Mapping[str, float]], Mapping[str, float]],
    *,
    relative_sd: float,
    seed: int,
    count: int,
    first: int = 0,
) -> pd.DataFrame:
    """Evaluate an outcome with every number multiplied by a factor of its own.

    Factors are lognormal with median one: they keep the sign of a number, zero stays zero, and up and down by the same
    factor are equally likely.

    Parameters
    ----------
    values
        Numbers by name, as they are run.
    outcome
        What follows from such numbers, by name.
    relative_sd
        Standard deviation of a factor's logarithm, above 0: 0.1 for about ten percent.
    seed
        Draw number i is told by seed and i.
    count, first
        How many draws, and the number of the first: what :func:`pipelines.monte_carlo.stopping.draw_until` asks for.

    Returns
    -------
    DataFrame
        One row a draw, index ``draw``. The numbers under their names, then the outcome's.

    Raises
    ------
    ParamsError
        If there is no number or no draw, a number is not finite, ``relative_sd`` is not above 0, or the outcome takes
        the name of a number.
    """
    if not values or count < 1 or not 0.0 < relative_sd < np.inf:
        raise ParamsError(
            f"{len(values)} numbers, {count} draws, a relative deviation of {relative_sd}",
            rule="at least one number and one draw, and a deviation above 0",
            remedy="name what to jitter, and by how much",
        )
    names, centre = list(values), np.array(list(values.values()), dtype=np.float64)
    if not np.isfinite(centre).all():
        raise ParamsError(
            f"{names[int(np.argmin(np.isfinite(centre)))]} is not finite",
            rule="only numbers can be a little off",
            remedy="leave it out",
        )
    rows, numbers = [], pd.RangeIndex(first, first + count, name="draw")
    for draw in numbers:
        factors = np.exp(relative_sd * np.random.default_rng([seed, draw]).standard_normal(len(names)))
        moved = dict(zip(names, (centre * factors).tolist(), strict=True))
        found = outcome(moved)
        if taken := set(found) & set(moved):
            raise ParamsError(
                f"the outcome names {sorted(taken)} too",
                rule="a column is a number or an outcome",
                remedy="name the outcome otherwise",
            )
        rows.append(moved | dict(found))
    return pd.DataFrame(rows, index=numbers)
