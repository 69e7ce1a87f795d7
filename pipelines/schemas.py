"""Contracts of the frames that stages hand to each other, and the check that turns a breach into a message.

pandera costs half a second to import, so it is imported by the functions that need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trading.bars import COLUMNS, ORDER_FLOW
from trading.errors import BarError

if TYPE_CHECKING:
    from pandera.pandas import Check, Column, DataFrameSchema, Index

PRICES = ["open", "high", "low", "close"]
_SHOWN = 3
_STRUCTURE = r"dtype|column_in_|column_ordered|field_name"
_WORDS = {
    "column_in_dataframe": "a column is missing",
    "column_in_schema": "a column too many",
    "column_ordered": "columns out of order",
}


def bar_schema() -> DataFrameSchema:
    """Bars: positive prices with low <= open, close <= high, volume >= 0; columns in the order of ``COLUMNS``.

    Both columns of ``ORDER_FLOW`` may follow, with amounts not below 0.
    """
    import pandera.pandas as pa

    columns = {name: pa.Column(float, [_finite(), pa.Check.gt(0, error="above 0")]) for name in PRICES}
    for name in ["volume", *ORDER_FLOW]:
        amount = [_finite(), pa.Check.ge(0, error="not below 0")]
        columns[name] = pa.Column(float, amount, required=name not in ORDER_FLOW)
    rules = [
        pa.Check(_low_is_lowest, error="low is the lowest price of its bar", ignore_na=False),
        pa.Check(_high_is_highest, error="high is the highest price of its bar", ignore_na=False),
        pa.Check(_order_flow_is_whole, error=f"{' and '.join(ORDER_FLOW)} together or not at all", ignore_na=False),
    ]
    return pa.DataFrameSchema(columns, checks=rules, index=_stamps(), strict=True, ordered=True, name="bars")


def raw_schema() -> DataFrameSchema:
    """Rows as they were found: one per row of the source, in time order, not yet believed.

    ``timestamp`` is a column: it may repeat, and NaT (a stamp that is not a time) sorts last. Prices and volume may be
    NaN; ``fault_text`` then holds what stood there. ``quote_volume`` is there when the source has it, and so are both
    columns of ``ORDER_FLOW``.
    """
    import pandera.pandas as pa

    columns: dict[str, Column] = {
        "timestamp": pa.Column(
            checks=[
                pa.Check(_is_utc, error="times in UTC"),
                pa.Check(lambda stamps: bool(stamps.dropna().is_monotonic_increasing), error="stamps in time order"),
            ],
            nullable=True,
        )
    }
    columns |= {name: pa.Column(float, nullable=True) for name in COLUMNS}
    columns |= {name: pa.Column(float, nullable=True, required=False) for name in ["quote_volume", *ORDER_FLOW]}
    columns["fault_text"] = pa.Column("string", nullable=True)
    return pa.DataFrameSchema(columns, strict=True, name="raw bars")


def feature_schema(names: Sequence[str]) -> DataFrameSchema:
    """Features: exactly the columns ``names`` in this order, never infinite, NaN in the warm-up only."""
    import pandera.pandas as pa

    settled = pa.Check(_nan_only_at_the_start, error="NaN only before a feature's first value", ignore_na=False)
    columns = {name: pa.Column(float, [_not_infinite(), settled], nullable=True) for name in names}
    return pa.DataFrameSchema(columns, index=_stamps(), strict=True, ordered=True, name="features")


def label_schema() -> DataFrameSchema:
    """Labels of one horizon: ``label`` 0, 1 or NaN, ``ret``, ``t_end`` after its row's stamp, and ``gap``.

    Barriers add ``touch``, ``both``, ``horizon_ret`` and ``horizon_end``; weights add ``uniqueness`` and ``weight``.
    """
    import pandera.pandas as pa

    columns = {
        "label": pa.Column(float, pa.Check.isin([0.0, 1.0]), nullable=True),
        "ret": pa.Column(float, [_not_infinite(), pa.Check.gt(-1, error="above -1")], nullable=True),
        "t_end": pa.Column(checks=pa.Check(_is_utc, error="times in UTC"), nullable=True),
        "gap": pa.Column(bool),
        "touch": pa.Column(float, pa.Check.isin([-1.0, 0.0, 1.0]), nullable=True, required=False),
        "both": pa.Column(bool, required=False),
        "horizon_ret": pa.Column(
            float, [_not_infinite(), pa.Check.gt(-1, error="above -1")], nullable=True, required=False
        ),
        "horizon_end": pa.Column(checks=pa.Check(_is_utc, error="times in UTC"), nullable=True, required=False),
        "uniqueness": pa.Column(float, pa.Check.in_range(0, 1, include_min=False), nullable=True, required=False),
        "weight": pa.Column(
            float, [_not_infinite(), pa.Check.ge(0, error="not below 0")], nullable=True, required=False
        ),
    }
    rules = [
        pa.Check(_ends_after_it_starts, error="t_end is later than the row's stamp", ignore_na=False),
        pa.Check(_labelled_together, error="label, ret and t_end are given together or not at all", ignore_na=False),
        pa.Check(_gaps_unlabelled, error="a row whose span has a gap carries no label", ignore_na=False),
        pa.Check(_weighed_when_labelled, error="a row has a weight if and only if it has a label", ignore_na=False),
    ]
    return pa.DataFrameSchema(columns, checks=rules, index=_stamps(), strict=True, ordered=True, name="labels")


def prediction_schema() -> DataFrameSchema:
    """Predictions: any float columns, never infinite, on an index of stamps."""
    import pandera.pandas as pa

    columns = {".+": pa.Column(float, _not_infinite(), nullable=True, regex=True)}
    return pa.DataFrameSchema(columns, index=_stamps(), strict=True, name="predictions")


def checked(frame: pd.DataFrame, schema: DataFrameSchema, where: str) -> pd.DataFrame:
    """The frame itself, when it keeps its contract.

    Parameters
    ----------
    frame
        What was read or is about to be written.
    schema
        One of this module's.
    where
        File the frame comes from or goes to, for the message.

    Raises
    ------
    BarError
        Naming every broken rule with the number of rows and the first stamps it is broken at.
    """
    from pandera.errors import SchemaErrors

    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        raise BarError(
            f"the {schema.name} of {len(frame)} rows break their contract",
            where=where,
            rule="; ".join(_breaches(error.failure_cases)),
            remedy="run `engine validate` on the source file; if it passes, delete this file and run again",
        ) from error
    return frame


def checked_pieces(pieces: Iterable[pd.DataFrame], schema: DataFrameSchema, where: str) -> Iterator[pd.DataFrame]:
    """Hand on the pieces of a frame that keeps its contract.

    The last row of a piece is checked once more with the next. What a contract says of neighbours, it then says across
    pieces; and of what it says of all rows the same follows: stamps in order that differ from their neighbours' are
    unique, and where no value is missing below one, none is missing later.

    Parameters
    ----------
    pieces
        Consecutive rows.
    schema, where
        As :func:`checked`, which says what is raised.
    """
    above, done = None, 0
    for piece in pieces:
        together = piece if above is None else pd.concat([above, piece])
        checked(together, schema, f"{where}, from row {done}" if done else where)
        above, done = (piece if len(piece) else together).iloc[-1:], done + len(piece)
        yield piece


def _breaches(cases: pd.DataFrame) -> list[str]:
    """One phrase for each broken rule.

    A frame of the wrong shape or type breaks other rules by accident, so only shape and type are named then. A rule
    over several columns is reported by pandera once for each of them and named here once.
    """
    structural = cases["check"].astype(str).str.match(_STRUCTURE)
    cases = cases[structural] if structural.any() else cases
    over_frame = cases["schema_context"].eq("DataFrameSchema") & cases["index"].notna()
    cases = cases.assign(column=cases["column"].astype(object).where(~over_frame, None))
    return [
        _breach(column, str(rule), found)
        for (column, rule), found in cases.groupby(["column", "check"], sort=False, dropna=False)
    ]


def _breach(column: object, rule: str, cases: pd.DataFrame) -> str:
    name = f"{column}: " if isinstance(column, str) and rule not in _WORDS else ""
    rule = _WORDS.get(rule, rule)
    rows = cases["index"].dropna().unique()
    if len(rows):
        return f"{name}{rule} ({len(rows)} row(s), first at {', '.join(str(row) for row in rows[:_SHOWN])})"
    found = [str(case) for case in cases["failure_case"].unique()[:_SHOWN]]
    return f"{name}{rule}" if found == ["False"] else f"{name}{rule} (found: {', '.join(found)})"


def _stamps() -> Index:
    import pandera.pandas as pa

    return pa.Index(
        checks=[
            pa.Check(_is_utc, error="times in UTC"),
            pa.Check(lambda stamps: bool(stamps.is_monotonic_increasing), error="stamps in time order"),
        ],
        name="timestamp",
        unique=True,
    )


def _finite() -> Check:
    import pandera.pandas as pa

    return pa.Check(lambda column: np.isfinite(column), error="a finite number", ignore_na=False)


def _not_infinite() -> Check:
    import pandera.pandas as pa

    return pa.Check(lambda column: ~np.isinf(column), error="not infinite")


def _is_utc(stamps: pd.Series) -> bool:
    return isinstance(stamps.dtype, pd.DatetimeTZDtype) and str(stamps.dtype.tz) == "UTC"


def _low_is_lowest(bars: pd.DataFrame) -> pd.Series:
    return bars["low"] <= bars[["open", "high", "close"]].min(axis=1)


def _high_is_highest(bars: pd.DataFrame) -> pd.Series:
    return bars["high"] >= bars[["open", "low", "close"]].max(axis=1)


def _order_flow_is_whole(bars: pd.DataFrame) -> bool:
    return sum(name in bars for name in ORDER_FLOW) in (0, len(ORDER_FLOW))


def _nan_only_at_the_start(column: pd.Series) -> pd.Series:
    return column.notna() | ~column.notna().cummax()


def _ends_after_it_starts(labels: pd.DataFrame) -> pd.Series:
    return labels["t_end"].isna() | (labels["t_end"] > labels.index)


def _labelled_together(labels: pd.DataFrame) -> pd.Series:
    missing = labels[["label", "ret", "t_end"]].isna()
    return missing.all(axis=1) | ~missing.any(axis=1)


def _weighed_when_labelled(labels: pd.DataFrame) -> pd.Series:
    unlabelled = labels["label"].isna()
    return labels["weight"].isna() == unlabelled if "weight" in labels else unlabelled.eq(unlabelled)


def _gaps_unlabelled(labels: pd.DataFrame) -> pd.Series:
    return ~labels["gap"] | labels["label"].isna()
