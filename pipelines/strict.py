"""What every schema of this project is made of: strict models, numbers in a range, and how a file is held to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading.errors import ParamsError

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NonNegativeCount = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """Frozen, without defaults, and without tolerance for keys nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


T = TypeVar("T", bound=Strict)


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys of a YAML file.

    Raises
    ------
    ParamsError
        If it is missing, is not YAML or holds no keys.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path.name} is missing", where=str(path), remedy="restore it from git") from error
    except yaml.YAMLError as error:
        raise ParamsError(
            f"{path.name} is not YAML: {error}", where=str(path), remedy="mend the line it names"
        ) from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path.name} holds no keys", where=str(path), remedy="restore it from git")
    return raw


def conforming(schema: type[T], raw: Mapping[str, Any], where: str, remedy: str) -> T:
    """What a mapping says, as a model.

    Raises
    ------
    ParamsError
        Naming every key that is unknown, missing, of a wrong type or out of range.
    """
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        problems = []
        for issue in error.errors():
            key = ".".join(str(part) for part in issue["loc"]) or "file"
            shown = "" if issue["type"] in ("extra_forbidden", "missing") else f" (given: {issue['input']!r})"
            text = "unknown key" if issue["type"] == "extra_forbidden" else issue["msg"]
            problems.append(f"{key}: {text}{shown}")
        raise ParamsError(
            "; ".join(problems),
            where=where,
            rule="each key has one type and a range, and no other key is read",
            remedy=remedy,
        ) from error
