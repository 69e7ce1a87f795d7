"""What every schema of this project is made of: strict models, and numbers in a range."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NonNegativeCount = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """Frozen, without defaults, and without tolerance for keys nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
