"""The part of ``params.yaml`` about what learns: the settings of each family, and how the families vote."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.strict import Count, NonNegative, NonNegativeCount, Positive, Share, Strict

Family = Literal["random_forest", "svm", "xgboost", "lstm", "transformer"]


class RandomForestParams(Strict):
    """Random forest."""

    crosses: NonNegativeCount
    n_estimators: Count
    max_depth: Count
    min_samples_leaf: Count
    max_features: Share
    max_samples: Share


class SVMParams(Strict):
    """Support vector machine."""

    crosses: NonNegativeCount
    c: Positive
    gamma: Positive
    exact_rows: Count
    components: Count


class XGBoostParams(Strict):
    """Gradient-boosted trees."""

    crosses: NonNegativeCount
    n_estimators: Count
    max_depth: Count
    learning_rate: Positive
    subsample: Share
    colsample_bytree: Share
    min_child_weight: NonNegative
    reg_lambda: NonNegative


class LSTMParams(Strict):
    """Stacked LSTM over a window of bars."""

    crosses: NonNegativeCount
    window: Annotated[int, Field(ge=2)]
    units: Annotated[list[Count], Field(min_length=1)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    dense: Count
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    warmup: Annotated[float, Field(ge=0, lt=1)]
    sparsity: NonNegative
    patience: Annotated[int, Field(ge=0)]
    stride: Count


class TransformerParams(Strict):
    """Causal Transformer encoder over a window of bars."""

    crosses: NonNegativeCount
    window: Annotated[int, Field(ge=2)]
    width: Count
    heads: Count
    blocks: Count
    feed_forward: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    warmup: Annotated[float, Field(ge=0, lt=1)]
    sparsity: NonNegative
    patience: Annotated[int, Field(ge=0)]
    stride: Count

    @model_validator(mode="after")
    def _divided_among_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads, {self.heads}")
        return self


class EnsembleParams(Strict):
    """How members become one forecast."""

    method: Literal["soft", "hard", "stacking"]
    penalty: NonNegative
    calibration: Literal["none", "platt", "isotonic"]


class ModelParams(Strict):
    """Settings of each family, the weights of the vote, and what is made of it."""

    random_forest: RandomForestParams
    svm: SVMParams
    xgboost: XGBoostParams
    lstm: LSTMParams
    transformer: TransformerParams
    voting: Annotated[dict[Family, Positive], Field(min_length=1)]
    ensemble: EnsembleParams
