import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipelines.schemas import (
    bar_schema,
    checked,
    checked_pieces,
    feature_schema,
    label_schema,
    prediction_schema,
    raw_schema,
)
from tests.pieces import cut
from trading.bars import ORDER_FLOW
from trading.errors import BarError


def refusal(frame: pd.DataFrame, schema: object) -> str:
    with pytest.raises(BarError) as caught:
        checked(frame, schema, "data/x.parquet")
    assert caught.value.where == "data/x.parquet"
    assert caught.value.remedy
    return caught.value.rule


def put(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    changed = frame.copy()
    changed.iloc[row, list(frame.columns).index(column)] = value
    return changed


def test_real_bars_pass_unchanged_in_any_resolution(bars: pd.DataFrame) -> None:
    assert checked(bars, bar_schema(), "x") is bars
    checked(bars.set_axis(bars.index.as_unit("ns")), bar_schema(), "x")
    checked(bars.iloc[:0], bar_schema(), "x")


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("low", np.nan, "low: a finite number"),
        ("high", np.inf, "high: a finite number"),
        ("low", 0.0, "low: above 0"),
        ("volume", -1.0, "volume: not below 0"),
        ("high", 1.0, "high is the highest price of its bar"),
        ("low", 1e9, "low is the lowest price of its bar"),
    ],
)
def test_bars_that_break_a_rule_are_named(bars: pd.DataFrame, column: str, value: float, rule: str) -> None:
    said = refusal(put(bars, 7, column, value), bar_schema())
    assert f"{rule} (1 row(s), first at {bars.index[7]})" in said
    # A rule over several columns is one rule, whatever pandera counts.
    assert said.count(rule) == 1


def test_many_broken_rows_are_counted_and_the_first_shown(bars: pd.DataFrame) -> None:
    said = refusal(bars.assign(volume=-1.0), bar_schema())
    assert f"volume: not below 0 (1500 row(s), first at {bars.index[0]}, {bars.index[1]}, {bars.index[2]})" in said


def test_shape_and_index_of_bars(bars: pd.DataFrame) -> None:
    assert "a column is missing (found: volume)" in refusal(bars.drop(columns="volume"), bar_schema())
    assert "a column too many (found: vwap)" in refusal(bars.assign(vwap=1.0), bar_schema())
    assert "columns out of order" in refusal(bars[bars.columns[::-1]], bar_schema())
    assert "timestamp: times in UTC" in refusal(bars.tz_localize(None), bar_schema())
    assert "timestamp: times in UTC" in refusal(bars.tz_convert("Europe/Berlin"), bar_schema())
    assert "timestamp: stamps in time order" in refusal(bars.iloc[::-1], bar_schema())
    assert "1 row(s)" in refusal(pd.concat([bars.iloc[:2], bars.iloc[1:]]), bar_schema())
    assert "field_name" in refusal(bars.rename_axis("time"), bar_schema())
    said = refusal(bars.astype({"close": str}), bar_schema())
    assert said == "close: dtype('float64') (found: str)"


def test_features_are_the_named_ones_and_nan_only_in_the_warm_up(bars: pd.DataFrame) -> None:
    features = pd.DataFrame({"a": bars["close"].diff(3), "b": 1.0}, index=bars.index)
    checked(features, feature_schema(["a", "b"]), "x")
    assert "out of order" in refusal(features, feature_schema(["b", "a"]))
    assert "found: c" in refusal(features, feature_schema(["a", "b", "c"]))
    assert "a: NaN only before" in refusal(put(features, 9, "a", np.nan), feature_schema(["a", "b"]))
    assert "b: not infinite" in refusal(put(features, 0, "b", np.inf), feature_schema(["a", "b"]))


def labels(bars: pd.DataFrame) -> pd.DataFrame:
    index = bars.index[:4]
    return pd.DataFrame(
        {
            "label": [1.0, 0.0, np.nan, np.nan],
            "ret": [0.01, -0.01, np.nan, np.nan],
            "t_end": pd.Series([*bars.index[2:4], pd.NaT, pd.NaT], index=index),
            "gap": [False, False, True, False],
        },
        index=index,
    )


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        (0, "label", 0.5, "isin"),
        (0, "ret", np.nan, "given together"),
        (3, "label", 1.0, "given together"),
        (1, "ret", -1.5, "above -1"),
        (1, "ret", np.inf, "not infinite"),
        (0, "gap", True, "carries no label"),
    ],
)
def test_labels(bars: pd.DataFrame, row: int, column: str, value: object, rule: str) -> None:
    checked(labels(bars), label_schema(), "x")
    assert rule in refusal(put(labels(bars), row, column, value), label_schema())


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        (0, "weight", np.nan, "if and only if"),
        (3, "weight", 1.0, "if and only if"),
        (0, "weight", -1.0, "not below 0"),
        (0, "uniqueness", 0.0, "uniqueness"),
        (0, "touch", 2.0, "isin"),
        (0, "horizon_ret", -1.0, "above -1"),
    ],
)
def test_labels_by_barriers_and_with_weights(
    bars: pd.DataFrame, row: int, column: str, value: object, rule: str
) -> None:
    more = {"touch": [1.0, 0.0, np.nan, np.nan], "both": False, "horizon_ret": 0.01}
    weights = {"uniqueness": [0.5, 1.0, np.nan, np.nan], "weight": [0.5, 1.0, np.nan, np.nan]}
    whole = labels(bars)
    whole = whole.assign(**more, horizon_end=whole["t_end"], **weights)
    checked(whole, label_schema(), "x")
    checked(whole.drop(columns=list(weights)), label_schema(), "x")
    assert rule in refusal(put(whole, row, column, value), label_schema())


def test_labels_end_after_they_start(bars: pd.DataFrame) -> None:
    said = refusal(put(labels(bars), 1, "t_end", bars.index[1]), label_schema())
    assert f"t_end is later than the row's stamp (1 row(s), first at {bars.index[1]})" in said


def test_predictions_are_loose_about_names_only(bars: pd.DataFrame) -> None:
    predictions = pd.DataFrame({"lstm": np.nan, "vote": 0.5}, index=bars.index)
    checked(predictions, prediction_schema(), "x")
    assert "dtype" in refusal(predictions.assign(vote="up"), prediction_schema())
    assert "not infinite" in refusal(predictions.assign(vote=np.inf), prediction_schema())
    assert "UTC" in refusal(predictions.reset_index(drop=True).rename_axis("timestamp"), prediction_schema())


def test_raw_rows_may_be_faulty_but_not_shapeless(bars: pd.DataFrame) -> None:
    raw = bars.iloc[[0, 1, 1, 2]].reset_index().assign(fault_text=pd.Series(pd.NA, dtype="string", index=range(4)))
    raw.loc[3, ["close", "timestamp"]] = [np.nan, pd.NaT]
    checked(raw, raw_schema(), "x")
    checked(raw.assign(quote_volume=1.0, taker_buy_volume=np.nan, trades=3.0), raw_schema(), "x")
    assert "time order" in refusal(raw.iloc[::-1], raw_schema())
    assert "missing (found: fault_text)" in refusal(raw.drop(columns="fault_text"), raw_schema())


def test_importing_the_contracts_does_not_import_pandera() -> None:
    code = "import pipelines.schemas, sys; sys.exit('pandera' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_order_flow_comes_whole_or_not_at_all(bars: pd.DataFrame) -> None:
    flow = bars.assign(taker_buy_volume=bars["volume"] / 2, trades=3.0)
    assert checked(flow, bar_schema(), "x") is flow
    for name in ORDER_FLOW:
        said = refusal(flow.drop(columns=name), bar_schema())
        assert said == "bars: taker_buy_volume and trades together or not at all"
        assert f"{name}: not below 0 (1 row(s)" in refusal(put(flow, 7, name, -1.0), bar_schema())
        assert f"{name}: a finite number (1 row(s)" in refusal(put(flow, 7, name, np.nan), bar_schema())
    assert "columns out of order" in refusal(flow[[*bars.columns, "trades", "taker_buy_volume"]], bar_schema())


@pytest.mark.parametrize("cuts", [[], [700], [0, 1, 1, 2, 1499, 1500]])
def test_pieces_of_a_good_frame_pass_as_they_are(bars: pd.DataFrame, cuts: list[int]) -> None:
    pieces = cut(bars, cuts)
    assert all(one is other for one, other in zip(checked_pieces(pieces, bar_schema(), "x"), pieces, strict=True))


def test_what_a_contract_says_of_neighbours_holds_across_pieces(bars: pd.DataFrame) -> None:
    with pytest.raises(BarError, match=r"2 row\(s\)|1 row\(s\)") as caught:
        list(checked_pieces([bars.iloc[:10], bars.iloc[:0], bars.iloc[9:]], bar_schema(), "a.parquet"))
    assert caught.value.where == "a.parquet, from row 10"
    with pytest.raises(BarError, match="stamps in time order"):
        list(checked_pieces([bars.iloc[10:], bars.iloc[:10]], bar_schema(), "a.parquet"))


@pytest.mark.parametrize("cuts", [[], [4], [5], [6], [2, 5, 6, 8]])
def test_a_value_that_is_lost_again_is_found_wherever_the_cut_is(bars: pd.DataFrame, cuts: list[int]) -> None:
    features = pd.DataFrame({"a": [np.nan] * 3 + [1.0] * 7, "b": 1.0}, index=bars.index[:10])
    list(checked_pieces(cut(features, cuts), feature_schema(["a", "b"]), "x"))
    with pytest.raises(BarError, match="a: NaN only before"):
        list(checked_pieces(cut(put(features, 5, "a", np.nan), cuts), feature_schema(["a", "b"]), "x"))


def test_a_piece_is_judged_before_the_next_is_asked_for(bars: pd.DataFrame) -> None:
    asked = []
    pieces = (asked.append(at) or bars.iloc[at : at + 5].assign(volume=-1.0) for at in (0, 5))
    with pytest.raises(BarError, match="not below 0"):
        list(checked_pieces(pieces, bar_schema(), "x"))
    assert asked == [0]
