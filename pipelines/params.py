"""The strict schema of ``params.yaml`` (what an experiment may change) and ``run.yaml`` (which run this is)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from pipelines.model_params import Family, ModelParams
from pipelines.strict import (
    Count,
    Fraction,
    NonNegative,
    NonNegativeCount,
    Positive,
    Share,
    Strict,
    conforming,
    read_mapping,
)
from trading.costs import Costs
from trading.errors import InstrumentError, ParamsError
from trading.instrument import Instrument, duration


def _valid_duration(text: str) -> str:
    try:
        duration(text)
    except InstrumentError as error:
        raise ValueError(str(error)) from error
    return text


Duration = Annotated[str, AfterValidator(_valid_duration)]
Group = Literal[
    "trend",
    "momentum",
    "volatility",
    "volume",
    "liquidity",
    "statistical",
    "calendar",
    "memory",
    "adaptive",
    "multi_timeframe",
    "order_flow",
    "cross_asset",
    "sentiment",
]
SelectionMethod = Literal["none", "mutual_information", "permutation", "clusters"]
Objective = Literal["log_loss", "turnover", "latency"]

_REMEDY = "mend the keys named above; docs/params.md lists them all"


class ValidateParams(Strict):
    """What the bars may be guilty of before a run stops."""

    max_quarantined_fraction: Share
    max_missing_fraction: Share
    max_jump: Positive
    min_bars: Count


class FeatureParams(Strict):
    """Groups of features that are computed, as far as what they are computed from is there."""

    groups: list[Group]

    @model_validator(mode="after")
    def _with_volatility(self) -> Self:
        if "volatility" not in self.groups:
            raise ValueError("volatility must be among the groups: forecasts are scaled by its volatility_24")
        return self


class TripleBarrierParams(Strict):
    """Where the barriers of a label lie."""

    width: Positive
    volatility_bars: Annotated[int, Field(ge=2)]
    round_trips: NonNegative


class LabelParams(Strict):
    """What is predicted, over which durations, and how much each label weighs in a fit."""

    horizons: Annotated[list[Duration], Field(min_length=1)]
    method: Literal["direction", "triple_barrier"]
    weights: Literal["none", "uniqueness", "return"]
    oldest_weight: Share
    triple_barrier: TripleBarrierParams

    @property
    def plain(self) -> bool:
        """Whether labels are the direction over the horizon, and all alike."""
        return self.method == "direction" and self.weights == "none"

    @model_validator(mode="after")
    def _fading_needs_weights(self) -> Self:
        if self.weights == "none" and self.oldest_weight < 1:
            raise ValueError("oldest_weight below 1 fades weights: set weights to uniqueness or return, or it to 1.0")
        return self


class CostParams(Strict):
    """What a trade costs, in basis points of its notional, and what it costs a year to hold what was borrowed."""

    fee_bps: NonNegative
    spread_bps: NonNegative
    slippage_bps: NonNegative
    borrow: NonNegative

    def costs(self) -> Costs:
        """As the simulator takes them."""
        return Costs(self.fee_bps, self.spread_bps, self.slippage_bps, borrow=self.borrow)


class PositionParams(Strict):
    """From probability to position."""

    round_trips: NonNegative
    rebalance_band: Share


class Range(Strict):
    """Interval that a hyperparameter is drawn from; whole numbers where both ends are."""

    low: int | float
    high: int | float
    log: bool

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} must be above 0 on a log scale")
        return self


class TuneParams(Strict):
    """Search for hyperparameters, on bars before a test only."""

    nested: bool
    splits: Count
    objectives: Annotated[list[Objective], Field(min_length=1)]
    trials: dict[Family, Count]
    timeout_seconds: NonNegative
    startup_trials: Count
    select: NonNegativeCount
    search: dict[Family, dict[str, Range]]

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        if missing := set(self.trials) - set(self.search):
            raise ValueError(f"trials without a search space: {sorted(missing)}")
        return self

    @model_validator(mode="after")
    def _skilled(self) -> Self:
        if self.objectives[0] != "log_loss" or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("objectives must begin with log_loss, and name none twice")
        return self


class SelectionParams(Strict):
    """Which features each fit keeps, chosen among its training rows."""

    method: SelectionMethod
    keep: Count
    correlation: Share
    splits: Annotated[int, Field(ge=2)]
    repeats: Count
    block_bars: Count


class InnerParams(Strict):
    """Rows that a fit holds back from itself, to stop, calibrate or stack by."""

    splits: Count
    first_test_fraction: Fraction


class ImportanceParams(Strict):
    """How the features of each refit are judged on its test rows."""

    correlation: Share
    rows: Count
    repeats: Count
    block_bars: Count
    resamples: Count
    top: Count


class MonteCarloParams(Strict):
    """Stationary bootstrap of the strategy's returns."""

    paths: Count
    ruin: Fraction


class ConformalParams(Strict):
    """How the intervals of forecasts adapt."""

    memory: Annotated[int, Field(ge=20)]
    step: Fraction


class CombinatorialParams(Strict):
    """Combinatorial purged cross-validation of the recipe."""

    groups: NonNegativeCount
    test_groups: Count

    @model_validator(mode="after")
    def _leaves_a_group(self) -> Self:
        if self.groups and self.test_groups >= self.groups:
            raise ValueError(f"test_groups {self.test_groups} must be below groups {self.groups}, or groups be 0")
        return self


class BacktestParams(Strict):
    """Walk-forward with refits, and what it is compared with."""

    first_test_fraction: Fraction
    refits: Count | Duration
    train_window: Literal["all"] | Duration
    embargo_bars: Annotated[int, Field(ge=0)]
    confidence: Fraction
    random_paths: Count
    seeds: NonNegativeCount
    break_even_bps: Annotated[list[NonNegative], Field(min_length=1)]
    interval: Fraction
    conformal: ConformalParams
    monte_carlo: MonteCarloParams
    combinatorial: CombinatorialParams


class AuditParams(Strict):
    """The look-ahead check."""

    cuts: Count


class OverfittingParams(Strict):
    """Cross-validation of the choice among configurations."""

    blocks: Annotated[int, Field(ge=2)]
    min_configurations: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _halves(self) -> Self:
        if self.blocks % 2 or self.blocks > 20:
            raise ValueError(f"blocks is {self.blocks}: halves need an even number, and beyond 20 they are too many")
        return self


class SuperiorAbilityParams(Strict):
    """Test of the vote against what needs no model."""

    paths: Count


class EvidenceParams(Strict):
    """How the evidence is weighed."""

    overfitting: OverfittingParams
    superior_ability: SuperiorAbilityParams


class LiquidityParams(Strict):
    """What the size of an order costs, and how much of a bar it may be."""

    impact: NonNegative
    participation: Positive
    volatility_bars: Count


class LimitParams(Strict):
    """Losses, as fractions of equity, at which somebody would step in."""

    drawdown: Fraction
    daily_loss: Fraction


class StressParams(Strict):
    """Replays of the test's positions through scenarios, and how much capital they can carry."""

    moments: Count
    capital: Positive
    recovery: Duration
    liquidity: LiquidityParams
    limits: LimitParams
    capacity: Annotated[list[Positive], Field(min_length=1)]


class EffortParams(Strict):
    """How exact a Monte Carlo answer has to be, and what it may cost."""

    tolerance: NonNegative
    batch: Count
    most: Count


class ExecutionParams(Strict):
    """How far execution may differ from what was assumed."""

    slippage_sd: NonNegative
    most_latency: NonNegativeCount
    missed: Annotated[float, Field(ge=0, lt=1)]


class SimulationParams(Strict):
    """The strategy in simulated markets, and its decisions replayed otherwise."""

    regimes: Annotated[int, Field(ge=1, le=3)]
    bars: Annotated[int, Field(ge=100)]
    markets: EffortParams
    execution: ExecutionParams
    jitter: Positive
    replays: EffortParams


class GateParams(Strict):
    """What a version must show before the champion's alias moves to it."""

    min_trades: Count
    error_budget: Fraction
    ask_again: Duration
    min_skill: float
    max_overfitting: Share
    max_selection_loss: Share
    max_seed_spread: Positive
    max_stress_drawdown: Share
    max_null_z: Positive
    max_latency_ms: Positive
    max_drawdown: Share
    max_onnx_difference: Positive
    confidence: Fraction
    non_inferiority_sharpe: NonNegative


class Params(Strict):
    """All of ``params.yaml``."""

    seed: Annotated[int, Field(ge=0)]
    validate_: Annotated[ValidateParams, Field(alias="validate")]
    features: FeatureParams
    labels: LabelParams
    costs: CostParams
    positions: PositionParams
    models: ModelParams
    inner: InnerParams
    selection: SelectionParams
    importance: ImportanceParams
    tune: TuneParams
    backtest: BacktestParams
    audit: AuditParams
    evidence: EvidenceParams
    stress: StressParams
    monte_carlo: SimulationParams
    gate: GateParams
    profiles: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        """Both ends of each range must be values that the family takes."""
        for family, space in self.tune.search.items():
            schema = getattr(self.models, family)
            if unknown := set(space) - set(type(schema).model_fields):
                raise ValueError(f"tune.search.{family} has no parameter {sorted(unknown)}")
            for name, span in space.items():
                for end in (span.low, span.high):
                    try:
                        type(schema).model_validate(schema.model_dump() | {name: end})
                    except ValidationError as error:
                        wrong = [str(issue["msg"]) for issue in error.errors() if name in issue["loc"]]
                        if wrong:
                            raise ValueError(f"tune.search.{family}.{name}: {end} is no value: {wrong[0]}") from error
        return self

    @model_validator(mode="after")
    def _selectable(self) -> Self:
        if self.tune.select > len(self.models.voting):
            raise ValueError(f"tune.select: {self.tune.select} of {len(self.models.voting)} families that vote")
        return self


class RunIdentity(Strict):
    """All of ``run.yaml``: the instrument, its bars, the folder of what stands beside them, the moment it stands at."""

    symbol: str
    timeframe: str
    source: str
    context: str
    as_of: datetime | None

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            Instrument.parse(self.symbol, self.timeframe)
        except InstrumentError as error:
            raise ValueError(str(error)) from error
        if self.as_of is not None and self.as_of.tzinfo is None:
            raise ValueError("as_of must name its offset, as in 2019-09-01T00:00:00+00:00")
        return self

    @property
    def instrument(self) -> Instrument:
        """The instrument."""
        return Instrument.parse(self.symbol, self.timeframe)


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values of ``base`` with those of ``over`` on top; mappings merge, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def profiled(raw: Mapping[str, Any], profile: str, where: str = "params.yaml") -> dict[str, Any]:
    """Content of ``params.yaml`` with profiles on top.

    Parameters
    ----------
    raw
        Content of ``params.yaml``.
    profile
        ``quick`` takes the file as it stands; any other name is looked up under ``profiles``. Several names are joined
        with ``+``, as in ``full+nested``; what a later one says goes before what an earlier one says.

    Raises
    ------
    ParamsError
        For an unknown profile.
    """
    profiles = raw.get("profiles") or {}
    result = dict(raw)
    for name in profile.split("+"):
        if name == "quick":
            continue
        if name not in profiles:
            raise ParamsError(
                f"unknown profile {name!r}",
                where=where,
                rule="quick, or a name under profiles",
                remedy=f"choose one of: {', '.join(['quick', *profiles])}",
            )
        result = overlay(result, profiles[name])
    return result


def parse_params(raw: Mapping[str, Any], *, profile: str = "quick", where: str = "params.yaml") -> Params:
    """Params with a profile applied; see :func:`profiled`.

    Raises
    ------
    ParamsError
        For an unknown profile or key, a wrong type, or a value out of range.
    """
    return conforming(Params, profiled(raw, profile, where), where, _REMEDY)


def read_params(path: Path, *, profile: str = "quick") -> Params:
    """Params from a file; see :func:`parse_params`."""
    return parse_params(read_mapping(path), profile=profile, where=str(path))


def read_run(path: Path) -> RunIdentity:
    """Identity of the run from ``run.yaml``.

    Raises
    ------
    ParamsError
        As :func:`parse_params`.
    """
    raw = read_mapping(path)
    if "context" not in raw:
        raise ParamsError(
            "context is missing",
            where=str(path),
            rule="the folder of what stands beside the bars; it may be empty",
            remedy="add the line `context: data/context`",
        )
    if isinstance(as_of := raw.get("as_of"), str):
        try:
            raw["as_of"] = datetime.fromisoformat(as_of)
        except ValueError as error:
            raise ParamsError(
                f"as_of {as_of!r} is not a time",
                where=str(path),
                rule="ISO 8601 with an offset",
                remedy="write it as '2019-09-01T00:00:00+00:00', in quotes",
            ) from error
    run = conforming(RunIdentity, raw, str(path), _REMEDY)
    return run if run.as_of is None else run.model_copy(update={"as_of": run.as_of.astimezone(UTC)})
