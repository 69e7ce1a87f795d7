"""Results of Great Expectations on consecutive pieces of a batch, put together to those on all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

# As many values of those that fail as Great Expectations shows of a whole batch.
_SHOWN = 20


@dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared distances from the mean; of parts as of the whole (Chan et al. 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def joined(self, values: NDArray[np.float64]) -> Moments:
        """With more values, of which NaN do not count."""
        values = values[~np.isnan(values)]
        if not len(values):
            return self
        count, mean = self.count + len(values), float(values.mean())
        step = mean - self.mean
        return Moments(
            count,
            self.mean + step * len(values) / count,
            self.squares + float(((values - mean) ** 2).sum()) + step**2 * self.count * len(values) / count,
        )

    @property
    def deviation(self) -> float:
        """Standard deviation of the population that they are a sample of; NaN of less than two values."""
        return sqrt(self.squares / (self.count - 1)) if self.count > 1 else float("nan")


def merge(above: Any, below: Any, moments: Moments) -> Any:
    """The result on two pieces, which follow each other.

    Of values that fail, those shown are the first of all; how often each of them occurs is counted among what
    Great Expectations shows of each piece.

    Parameters
    ----------
    above, below
        Results of a suite on each of the pieces, in the order of its expectations. The first becomes the answer.
    moments
        Of all values, in the column whose standard deviation is expected.
    """
    for one, other in zip(above.results, below.results, strict=True):
        kind = one.expectation_config.type
        if kind in _OBSERVED:
            value = _OBSERVED[kind](one.result["observed_value"], other.result["observed_value"], moments)
            limits = one.expectation_config.kwargs
            one.result["observed_value"] = value
            one.success = _within(value, limits) if "min_value" in limits else one.success and other.success
        else:
            one.result = _counted(one.result, other.result)
            one.success = one.success and other.success
    passed, count = sum(bool(item.success) for item in above.results), len(above.results)
    above.success = passed == count
    above.statistics |= {
        "successful_expectations": passed,
        "unsuccessful_expectations": count - passed,
        "success_percent": passed / count * 100,
    }
    return above


_OBSERVED: Mapping[str, Callable[[Any, Any, Moments], Any]] = {
    "expect_table_row_count_to_be_between": lambda one, other, _: one + other,
    "expect_table_columns_to_match_ordered_list": lambda one, _, __: one,
    "expect_column_max_to_be_between": lambda one, other, _: max(one, other),
    "expect_column_stdev_to_be_between": lambda _, __, moments: moments.deviation,
}


def _within(value: float, limits: Mapping[str, Any]) -> bool:
    return bool(value > limits["min_value"] if limits.get("strict_min") else value >= limits["min_value"])


def _counted(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Of an expectation on each row: counts are added up, and shares follow from them."""
    merged = dict(one)
    for name in ("element_count", "unexpected_count", "missing_count"):
        if name in one:
            merged[name] = one[name] + other[name]
    rows, missing = merged["element_count"], merged.get("missing_count", 0)
    of_all = merged["unexpected_count"] / rows * 100
    of_given = merged["unexpected_count"] / (rows - missing) * 100 if rows > missing else None
    shares = {
        "unexpected_percent": of_given,
        "missing_percent": missing / rows * 100,
        "unexpected_percent_total": of_all,
        "unexpected_percent_nonmissing": of_given,
    }
    merged |= {name: share for name, share in shares.items() if name in one}
    places = [place + one["element_count"] for place in other["partial_unexpected_index_list"]]
    merged["partial_unexpected_list"] = [*one["partial_unexpected_list"], *other["partial_unexpected_list"]][:_SHOWN]
    merged["partial_unexpected_index_list"] = [*one["partial_unexpected_index_list"], *places][:_SHOWN]
    counts: Counter[Any] = Counter()
    for found in [*one["partial_unexpected_counts"], *other["partial_unexpected_counts"]]:
        counts[found["value"]] += found["count"]
    merged["partial_unexpected_counts"] = [
        {"value": value, "count": count} for value, count in counts.most_common(_SHOWN)
    ]
    return merged
