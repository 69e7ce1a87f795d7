"""From bars to one horizon's signal, by one version: the code that research ran, on the newest rows."""

import hashlib
from typing import Literal

import numpy as np
import pandas as pd

from models.bundle import Bundle
from models.conformal import Conformal
from models.return_scale import ReturnScale
from pipelines.dataset import VOLATILITY, VOLATILITY_BARS
from pipelines.features.engine import FeatureEngine
from pipelines.features.operators import column
from pipelines.labels.direction import direction_labels
from pipelines.promotion.transaction import Evidence
from serving.context_history import Frames
from serving.contracts import Signal
from trading.costs import Costs
from trading.errors import ModelError, ServingError
from trading.instrument import Instrument
from trading.no_trade_band import band_positions

# Features do not depend on where the history starts, to this.
_SAME = 1e-9
Arm = Literal["champion", "candidate"]


class Predictor:
    """One version of one horizon's model. Pure: the same bars and context give the same signal, to the bit.

    Parameters
    ----------
    bundle
        What is served.
    version
        Its version in the registry.
    arm
        Alias that it is served under.
    evidence
        What its signals are worth: ``proven`` only of a champion that the gate passed.

    Raises
    ------
    ServingError
        If this code computes other features than the bundle was trained on, by their spec or by their values at the
        last bar of its history.
    ModelError
        If the bundle does not say what these values were.
    """

    def __init__(self, bundle: Bundle, version: str, arm: Arm, evidence: Evidence = "unproven") -> None:
        spec = bundle.spec
        self.bundle, self.version, self.arm, self.evidence = bundle, version, arm, evidence
        self.instrument = Instrument(spec["symbol"], spec["timeframe"])
        self.horizon: str = spec["horizon"]
        self.horizon_bars: int = spec["horizon_bars"]
        self.feature_hash: str = spec["features"]["hash"]
        definition = spec["features"]
        self.engine = FeatureEngine(
            definition["groups"], spec["timeframe"], assets=definition["assets"], series=definition["series"]
        )
        if self.engine.spec_hash != self.feature_hash:
            raise ServingError(
                f"version {version} of {spec['model_name']} was trained on other features than this code computes",
                where=f"commit {spec['commit']}",
                rule="one definition of a feature in research and in serving",
                remedy="serve with the code of that commit, or run `engine run` with this one",
            )
        self._names = bundle.feature_names
        self._flags = _flags(self.engine)
        self._require_same_values()
        self._scale = ReturnScale(spec["return_scale"]["mean_abs"])
        self._conformal = Conformal(**spec["conformal"])
        self._volatility = FeatureEngine(["volatility"], spec["timeframe"])
        self._cost = Costs(**spec["costs"]).per_side
        self._round_trips: float = spec["positions"]["round_trips"]
        window = bundle.window
        # The position looks back over the horizon, and the first of these rows needs its window.
        self.tail = self.horizon_bars + window - 1
        looked_back = self._conformal.memory + VOLATILITY_BARS
        self.rows: int = max(spec["features"]["warmup"] + window, looked_back) + self.horizon_bars

    def _require_same_values(self) -> None:
        """Hold the code against values of training: a spec says what features are meant to be, not what code does."""
        spec = self.bundle.spec
        where = f"version {self.version} of {spec['model_name']}"
        if "last_features" not in spec:
            raise ModelError(
                "'last_features' is missing from the spec",
                where=where,
                rule="a bundle holds the features of its last bar, against which the code is checked",
                remedy="run `engine run`",
            )
        trained = np.asarray(spec["last_features"], dtype=np.float64)
        history = self.bundle.history()
        now = self.features(history, self.bundle.context())[self._names].iloc[-1].to_numpy(dtype=np.float64)
        same = trained.shape == now.shape and np.isclose(now, trained, rtol=_SAME, atol=_SAME)
        if not np.all(same):
            differing = [n for n, s in zip(self._names, np.broadcast_to(same, now.shape), strict=True) if not s]
            raise ServingError(
                "the feature code changed since this version was trained; run `engine run`",
                where=f"{where}, bar of {history.index[-1].isoformat()}: {', '.join(differing[:5])}",
                rule=f"features of the last training bar come out the same to {_SAME:g}",
                remedy=f"serve with the code of commit {spec['commit']}, or run `engine run` with this one",
            )

    def features(self, bars: pd.DataFrame, context: Frames | None = None) -> pd.DataFrame:
        """Features of bars and of what was published beside them, as research computes them."""
        return self.engine.batch(bars, context)

    def signal(
        self, bars: pd.DataFrame, features: pd.DataFrame, *, request_id: str, since: pd.Timestamp | None = None
    ) -> Signal:
        """What the version says at the close of the last bar.

        Parameters
        ----------
        bars
            At least ``rows`` of them, in time order.
        features
            Their features, at least the last ``tail`` rows: of :meth:`features`, or of a stream.
        request_id
            Whose answer it is.
        since
            Oldest bar that the features were computed from; None for the first of ``bars``.

        Raises
        ------
        ServingError
            If there are too few bars.
        """
        if len(bars) < self.rows:
            raise ServingError(
                f"{len(bars)} bars of history, and the {self.horizon} model needs {self.rows}",
                where=self.instrument.name,
                rule="features are warm before they are used",
                remedy="run `engine run`, which stores enough of them, or send older bars as well",
            )
        table = features[self._names].iloc[-self.tail :]
        probability = self.bundle.predict_members(table)["vote"].iloc[-self.horizon_bars :]
        volatility = table[VOLATILITY].iloc[-self.horizon_bars :]
        edge = self._scale.edge(probability, volatility, self.horizon_bars)
        position = band_positions(edge, self._cost, self.horizon_bars, self._round_trips).iloc[-1]
        interval = self._interval(bars)
        up = float(probability.iloc[-1])
        if np.isnan(up):
            raise ServingError(
                f"the {self.horizon} model has no forecast for the bar of {bars.index[-1].isoformat()}",
                where=self.instrument.name,
                rule="every feature of the model's window is a number",
                remedy="look at the bars before it: a price that never moves leaves indicators undefined",
            )
        row = np.ascontiguousarray(table.iloc[-1].to_numpy(dtype=np.float64))
        return Signal(
            symbol=self.instrument.symbol,
            timeframe=self.instrument.timeframe,
            bar_time=bars.index[-1].to_pydatetime(),
            known_at=(bars.index[-1] + self.instrument.bar).to_pydatetime(),
            horizon=self.horizon,
            prob_up=up,
            interval_low=float(interval["low"]),
            interval_high=float(interval["high"]),
            interval_levels=(float(interval["low_level"]), float(interval["high_level"])),
            interval_outcomes=int(interval["outcomes"]),
            position=float(position),
            confidence=abs(2 * up - 1),
            model_name=self.bundle.spec["model_name"],
            model_version=self.version,
            arm=self.arm,
            evidence=self.evidence,
            feature_hash=hashlib.sha256(row.tobytes()).hexdigest(),
            features_since=(bars.index[0] if since is None else since).to_pydatetime(),
            missing_bars=self._missing_bars(bars.index[-self.rows :]),
            stale=[name for name, flag in self._flags.items() if table[flag].iloc[-1] == 1.0],
            request_id=request_id,
        )

    def _interval(self, bars: pd.DataFrame) -> pd.Series:
        """Interval at the last bar, from the outcomes that the bars before it show."""
        recent = bars.iloc[-(self._conformal.memory + VOLATILITY_BARS) :]
        volatility = self._volatility.batch(recent)[VOLATILITY]
        outcomes = direction_labels(recent, self.instrument, self.horizon)
        last = np.array([len(recent) - 1])
        said = self._conformal.intervals(outcomes["ret"], outcomes["t_end"], volatility, self.horizon_bars, last)
        return said.iloc[0]

    def _missing_bars(self, stamps: pd.Index) -> int:
        """Places of the grid between the first and the last stamp that have no bar."""
        places: float = (stamps[-1] - stamps[0]) / self.instrument.bar + 1
        return round(places) - len(stamps)


def _flags(engine: FeatureEngine) -> dict[str, str]:
    """The feature of each series that is 1 where nothing young enough is known of it."""
    named = {feature.expression.identity: feature.name for feature in engine.features}
    return {one.name: named[column(one.missing).identity] for one in engine.series}
