"""params.yaml and run.yaml are read strictly."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.params import overlay, parse_params, read_params, read_run
from trading.errors import ParamsError

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_files_are_valid_in_every_profile() -> None:
    quick = read_params(ROOT / "params.yaml")
    full = read_params(ROOT / "params.yaml", profile="full")
    assert full.models.lstm.epochs > quick.models.lstm.epochs
    assert full.models.lstm.dropout == quick.models.lstm.dropout
    assert read_run(ROOT / "run.yaml").instrument.name == "BTC-USD-1h"


def test_profiles_are_laid_on_one_after_another(raw_params: dict[str, Any]) -> None:
    both = parse_params(raw_params, profile="full+nested")
    assert both.tune.nested
    assert both.tune.splits == parse_params(raw_params, profile="full").tune.splits == 5
    assert parse_params(raw_params, profile="quick+nested").tune.splits == 2
    with pytest.raises(ParamsError, match="unknown profile 'fool'"):
        parse_params(raw_params, profile="full+fool")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sede": 7}, "sede"),
        ({"seed": "7"}, "seed"),
        ({"costs": {"fee_bps": -1.0}}, "costs.fee_bps"),
        ({"costs": {"fee_pbs": 1.0}}, "costs.fee_pbs"),
        ({"labels": {"horizons": ["1H"]}}, "labels.horizons"),
        ({"labels": {"method": "quadruple_barrier"}}, "labels.method"),
        ({"labels": {"triple_barrier": {"width": 0.0}}}, "labels.triple_barrier.width"),
        ({"labels": {"oldest_weight": 0.5}}, "set weights to uniqueness or return"),
        ({"features": {"groups": ["astrology"]}}, "features.groups"),
        ({"features": {"groups": ["volume"]}}, "volatility must be among"),
        ({"tune": {"search": {"xgboost": {"max_depth": {"low": 5, "high": 2, "log": False}}}}}, "must be below"),
        ({"tune": {"search": {"xgboost": {"max_depht": {"low": 2, "high": 5, "log": False}}}}}, "max_depht"),
        ({"tune": {"search": {"xgboost": {"max_depth": {"low": 2.5, "high": 5, "log": False}}}}}, "2.5 is no value"),
        ({"tune": {"search": {"lstm": {"dropout": {"low": 0.0, "high": 1.0, "log": False}}}}}, "1.0 is no value"),
        ({"tune": {"objectives": ["turnover"]}}, "must begin with log_loss"),
        ({"tune": {"objectives": ["log_loss", "latency", "latency"]}}, "name none twice"),
        ({"tune": {"select": 4}}, "4 of 3 families that vote"),
        ({"backtest": {"break_even_bps": []}}, "backtest.break_even_bps"),
        ({"evidence": {"overfitting": {"blocks": 7}}}, "blocks is 7: halves need an even number"),
        ({"evidence": {"overfitting": {"blocks": 22}}}, "blocks is 22: .* beyond 20"),
        ({"models": {"voting": {"oracle": 1.0}}}, "models.voting"),
        ({"models": {"transformer": {"width": 10, "heads": 4}}}, "width 10 must be a multiple of heads"),
    ],
)
def test_a_wrong_key_type_or_value_is_named(raw_params: dict[str, Any], change: dict[str, Any], named: str) -> None:
    with pytest.raises(ParamsError, match=named) as caught:
        parse_params(overlay(raw_params, change))
    assert caught.value.where == "params.yaml"
    assert caught.value.remedy


def test_a_missing_key_is_named(raw_params: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match="seed"):
        parse_params({key: value for key, value in raw_params.items() if key != "seed"})


def test_an_unknown_profile_lists_the_known(raw_params: dict[str, Any]) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(raw_params, profile="fast")
    assert "quick, full" in caught.value.remedy


@pytest.mark.parametrize("text", ["{", "just words", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError):
        read_params(tmp_path / "params.yaml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="missing"):
        read_params(tmp_path / "params.yaml")


RUN = "symbol: {symbol}\ntimeframe: {timeframe}\nsource: x.csv\ncontext: data/context\nas_of: {as_of}\n"


def write_run(folder: Path, symbol: str = "BTC/USD", timeframe: str = "1h", as_of: str = "null") -> Path:
    path = folder / "run.yaml"
    path.write_text(RUN.format(symbol=symbol, timeframe=timeframe, as_of=as_of))
    return path


def test_as_of_becomes_utc(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, as_of="'2019-09-01T02:00:00+02:00'"))
    assert run.as_of == datetime(2019, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "change", [{"as_of": "'yesterday'"}, {"as_of": "'2019-09-01T00:00:00'"}, {"symbol": "BTC"}, {"timeframe": "1H"}]
)
def test_a_wrong_identity_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(ParamsError):
        read_run(write_run(tmp_path, **change))


def test_a_run_without_a_context_says_what_to_add(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    path.write_text(path.read_text().replace("context: data/context\n", ""))
    with pytest.raises(ParamsError, match="context is missing") as caught:
        read_run(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy == "add the line `context: data/context`"


def test_overlay_merges_mappings_and_replaces_the_rest() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    assert overlay(base, {"a": {"c": [3]}, "e": 4}) == {"a": {"b": 1, "c": [3]}, "d": 2, "e": 4}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 2}
