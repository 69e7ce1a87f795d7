"""`docs/params.md` says what the schema and the file say."""

import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from pipelines.params import Params, Range
from pipelines.settings import ROOT

# Mappings with free keys are documented as one.
WHOLE = {"models.voting", "tune.trials", "tune.search", "profiles"}
ROW = re.compile(r"^\| `(?P<key>[\w.]+)` \| (?P<value>.+?) \| (?P<range>.+?) \| (?P<meaning>.+?) \|$", re.MULTILINE)


def _fields(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= _fields(field.annotation, f"{key}.")
        else:
            found[key] = field
    return found


def _bounds(metadata: Any) -> dict[str, float]:
    found = {}
    for item in metadata:
        for constraint in [item, *getattr(item, "metadata", [])]:
            for name in ("ge", "gt", "le", "lt"):
                if (value := getattr(constraint, name, None)) is not None:
                    found[name] = value
    return found


def _said(bounds: dict[str, float]) -> str:
    match bounds:
        case {"ge": 0, "le": 1}:
            return "0 to 1"
        case {"gt": low, "lt": high}:
            return f"> {low} and < {high}"
        case {"ge": low, "lt": high}:
            return f"≥ {low} and < {high}"
        case {"ge": low}:
            return f"≥ {low}"
        case {"gt": low}:
            return f"> {low}"
        case _:
            return "any number"


def _names(annotation: Any) -> list[str]:
    """Names that a literal inside an annotation allows."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    inside = get_args(annotation)
    return [name for item in inside for name in _names(item)] if inside else []


def _numbers(annotation: Any) -> list[dict[str, float]]:
    """Bounds of the numbers inside an annotation."""
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
        return [_bounds(metadata)] if kind in (int, float) else _numbers(kind)
    if get_origin(annotation) in (list, dict, Union, UnionType):
        return [bound for item in get_args(annotation) for bound in _numbers(item)]
    return []


DOC = (ROOT / "docs" / "params.md").read_text(encoding="utf-8")
ROWS = {row["key"]: row for row in ROW.finditer(DOC) if "." in row["key"] or row["key"] in ("seed", "profiles")}
FIELDS = _fields(Params)
FILE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_every_key_is_documented_and_no_other() -> None:
    assert list(ROWS) == list(FIELDS)
    assert set(FIELDS) >= WHOLE


@pytest.mark.parametrize("key", [key for key in FIELDS if key not in ("tune.search", "profiles")])
def test_the_value_is_that_of_the_file(key: str) -> None:
    value: Any = FILE
    for part in key.split("."):
        value = value[part]
    assert yaml.safe_load(ROWS[key]["value"].strip("`")) == value


@pytest.mark.parametrize("key", [key for key in FIELDS if key not in ("tune.search", "profiles")])
def test_the_range_is_that_of_the_schema(key: str) -> None:
    field, said = FIELDS[key], ROWS[key]["range"]
    names = _names(field.annotation)
    for name in names:
        assert name in said
    inner = _numbers(field.annotation)
    if inner and get_origin(field.annotation) in (Union, UnionType):
        assert all(_said(bounds) in said for bounds in inner)
    elif inner:
        assert all(f"each {_said(bounds)}" in said for bounds in inner)
    elif field.annotation in (int, float):
        assert said == _said(_bounds(field.metadata))
    elif field.annotation is bool:
        assert said == "true or false"
    elif field.annotation is str:
        assert said == "a duration"
    else:
        assert names or said in ("a duration", "one or more durations")


def test_search_ranges_are_documented() -> None:
    for name in Range.model_fields:
        assert f"`{name}`" in DOC


def test_every_profile_is_named() -> None:
    for name in FILE["profiles"]:
        assert f"`{name}`" in DOC
