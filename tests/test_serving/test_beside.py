"""Versions whose features read more than prices: from bundles through requests to signals."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from models.bundle import load_bundle
from pipelines.register import stage as register
from pipelines.settings import ROOT
from serving import catalog as catalog_module
from serving import context_history
from serving.catalog import open_catalog
from serving.contracts import PredictRequest, bars_frame, context_frames
from serving.feature_tail import FeatureTail
from serving.predictor import Predictor
from serving.run import predict_once
from serving.served import Served
from tests.bundles import fake_run
from tests.test_serving.worlds import ETHER, HOUR, SERIES, engine_beside, make_world, score
from tests.workspace import with_registry
from trading.errors import EngineError, ServingError
from trading.instrument import Instrument

BITCOIN = Instrument("BTC/USD", "1h")
WORLD = make_world(700, 11)
KNOWN = 600
BARS = WORLD.bars.iloc[:KNOWN]
NOW = WORLD.bars.index[-1] + HOUR


@pytest.fixture(scope="module", autouse=True)
def _scores():
    with patch.object(context_history, "vader", lambda: score):
        yield


@pytest.fixture(scope="module")
def engine():
    return engine_beside()


@pytest.fixture(scope="module")
def whole(engine):
    """What research computes of all bars with all that became public."""
    return engine.batch(WORLD.bars, WORLD.known(NOW))


@pytest.fixture(scope="module")
def beside(tmp_path_factory, params, engine, whole):
    """A registered run that knows the first bars and what was public at their close."""
    known = WORLD.known(BARS.index[-1] + HOUR)
    made = fake_run(
        with_registry(tmp_path_factory.mktemp("state")), params, BITCOIN, BARS, whole, engine=engine, beside=known
    )
    context = replace(made, settings=made.settings.model_copy(update={"home": ROOT}))
    with patch.object(register, "check_reload", lambda *args: None):
        register.run(context)
    return context


@pytest.fixture
def served(beside):
    (served,) = open_catalog(beside.settings, clock=lambda: NOW).served.values()
    return served


def requested(bars, sent=None, symbol="BTC/USD"):
    """A request over the wire and back, as the service hands it on."""
    body = {
        "symbol": symbol,
        "bars": rows(bars),
        "context": {name: rows(table) for name, table in (sent or {}).items()},
    }
    request = PredictRequest.model_validate(body)
    return bars_frame(request.bars) if request.bars else None, context_frames(request.context)


def rows(table):
    """Rows as JSON has them; cells without a value are left out."""
    if table.index.name == "timestamp":
        table = table.reset_index()
    table = table.assign(**{name: table[name].map(lambda t: t.isoformat()) for name in table if name in STAMPS})
    return [{name: cell for name, cell in row.items() if pd.notna(cell)} for row in table.to_dict("records")]


STAMPS = ("timestamp", "published_at")


def step(served, at, count=1):
    """A request with the next bars and what became public since the last one."""
    fresh = WORLD.bars.iloc[at : at + count]
    sent = WORLD.between(served.horizons[0].last + HOUR, fresh.index[-1] + HOUR)
    return served.answer(*requested(fresh, sent), request_id="r")


def test_signals_are_computed_of_the_rows_that_research_computes(served, engine):
    at = KNOWN
    for count in (1, 1, 5, 1, 20):
        signals, unavailable = step(served, at, count)
        at += count
        assert unavailable == []
        for signal in signals:
            bars = WORLD.bars.loc[signal.features_since :].iloc[: at - WORLD.bars.index.get_loc(signal.features_since)]
            row = engine.batch(bars, WORLD.known(bars.index[-1] + HOUR)).iloc[-1].to_numpy()
            assert signal.feature_hash == hashlib.sha256(row.tobytes()).hexdigest(), "to the bit"
            assert pd.Timestamp(signal.bar_time) == bars.index[-1]
        assert len({signal.feature_hash for signal in signals}) == 1


def test_horizons_with_the_same_features_share_one_stream(served):
    first, second = served.horizons
    assert first.features is second.features
    assert len(first.history.bars) < len(second.history.bars)
    assert first.features.since == second.history.bars.index[0]
    computed = []
    extend = FeatureTail.extended
    with patch.object(FeatureTail, "extended", lambda self, fresh: computed.append(1) or extend(self, fresh)):
        step(served, KNOWN)
        served.answer(None, request_id="r")
        served.answer(*requested(WORLD.bars.iloc[KNOWN - 5 : KNOWN]), request_id="r")
    assert computed == [1], "no new bar, no features"
    assert served.horizons[0].features is served.horizons[1].features


def test_an_older_history_has_a_stream_of_its_own(beside, params):
    found = []
    for horizon, bars in zip(params.labels.horizons, (BARS, BARS.iloc[:-3]), strict=True):
        bundle = load_bundle(beside.files.path(f"data/train/{horizon}"))
        predictor = Predictor(bundle, "1", "candidate")
        history = catalog_module.History(BITCOIN, bars, rows=500, max_gap=5, max_jump=0.6, columns=bars.columns)
        context = catalog_module.ContextHistory.union(BITCOIN, predictor.engine, [bundle.context()], max_jump=0.6)
        found.append(catalog_module._Opened(predictor, history, context))
    begun = []
    horizons = [catalog_module._horizon(one, begun, 20) for one in found]
    assert len(begun) == 2
    late = Served(horizons, clock=lambda: NOW)
    _, unavailable = late.answer(*requested(WORLD.bars.iloc[KNOWN - 3 : KNOWN + 2]), request_id="r")
    assert unavailable == []
    assert {one.last for one in late.horizons} == {WORLD.bars.index[KNOWN + 1]}


def test_what_stands_beside_the_bars_is_part_of_the_same(beside):
    bundle = load_bundle(beside.files.path("data/train/1h"))
    predictor = Predictor(bundle, "1", "candidate")
    history = catalog_module.History(BITCOIN, BARS, rows=500, max_gap=5, max_jump=0.6, columns=BARS.columns)

    def opened(frames):
        context = catalog_module.ContextHistory.union(BITCOIN, predictor.engine, [frames], max_jump=0.6)
        return catalog_module._Opened(predictor, history, context)

    mood = bundle.context()["fear_greed"]
    other, shorter = ({**bundle.context(), "fear_greed": one} for one in (mood * 0.5, mood.iloc[1:]))
    assert catalog_module._ends_as(opened(shorter), opened(bundle.context()))
    assert not catalog_module._ends_as(opened(bundle.context()), opened(shorter))
    assert not catalog_module._ends_as(opened(other), opened(bundle.context()))
    same = opened(bundle.context())
    predictor = Predictor(bundle, "1", "candidate")
    predictor.feature_hash = "of other features"
    assert not catalog_module._ends_as(replace(same, predictor=predictor), same)


def test_series_that_are_too_old_are_named_and_stay_in_their_definition(served, engine):
    missing = {ETHER: "eth_usd_missing"} | {name: f"{name}_missing" for name in SERIES}
    expected = engine.batch(WORLD.bars, WORLD.known(BARS.index[-1] + HOUR))[list(missing.values())]
    seen = []
    for at in range(KNOWN, len(WORLD.bars)):
        signals, _ = served.answer(*requested(WORLD.bars.iloc[at : at + 1]), request_id="r")
        seen.append([name in signals[0].stale for name in missing])
    assert np.array_equal(seen, expected.iloc[KNOWN:] == 1.0)
    assert not any(seen[0])
    assert all(seen[-1])
    row = served.horizons[0].features.table.iloc[-1]
    assert row[["fear_greed", "funding_rate", "headlines_score_4h", "eth_usd_return_1"]].tolist() == [0.0] * 4


def test_context_without_bars_changes_no_signal_and_is_seen_by_the_next_bar(served, engine):
    before, _ = served.answer(None, request_id="r")
    fresh = WORLD.bars.iloc[KNOWN : KNOWN + 1]
    _, sent = requested(fresh, WORLD.between(BARS.index[-1] + HOUR, fresh.index[-1] + HOUR))
    assert served.answer(None, sent, request_id="r")[0] == before
    told = served.horizons[0].features
    assert served.answer(None, sent, request_id="r")[0] == before
    assert served.horizons[0].features is told, "sent twice, known once"
    (signal, _), _ = served.answer(fresh, request_id="r")
    bars = WORLD.bars.loc[signal.features_since : fresh.index[-1]]
    row = engine.batch(bars, WORLD.known(fresh.index[-1] + HOUR)).iloc[-1].to_numpy()
    assert signal.feature_hash == hashlib.sha256(row.tobytes()).hexdigest()


@pytest.mark.parametrize("which", ["bars", "context"])
def test_one_bad_thing_and_nothing_is_remembered(served, which):
    before = served.horizons
    fresh = WORLD.bars.iloc[KNOWN : KNOWN + 5]
    sent = WORLD.between(BARS.index[-1] + HOUR, fresh.index[-1] + HOUR)
    bars, context = requested(fresh, sent)
    if which == "bars":
        bars.iloc[-1, 1] = 0.5
    else:
        context["funding_rate"] = context["fear_greed"] = pd.DataFrame({"published_at": [NOW], "value": [1e6]})
    with pytest.raises(EngineError):
        served.answer(bars, context, request_id="r")
    assert served.horizons == before


def test_a_series_that_no_version_reads_is_refused(served):
    _, context = requested(WORLD.bars.iloc[:0], {"XRP/USD": WORLD.sent[ETHER].iloc[:1]})
    with pytest.raises(ServingError, match="nobody reads XRP/USD") as caught:
        served.answer(None, context, request_id="r")
    assert caught.value.rule.endswith(", ".join([ETHER, *SERIES]))


@pytest.mark.parametrize("missing", [["taker_buy_volume", "trades"], ["trades"]])
def test_bars_without_order_flow_are_refused_where_it_is_read(served, missing):
    fresh = WORLD.bars.iloc[KNOWN : KNOWN + 2].drop(columns=missing)
    with pytest.raises(ServingError, match=f"bars without {', '.join(missing)}") as caught:
        served.answer(*requested(fresh), request_id="r")
    assert "taker_buy_volume" in caught.value.rule


def test_a_bar_whose_order_flow_cannot_be_is_refused(served):
    fresh = WORLD.bars.iloc[KNOWN : KNOWN + 2].copy()
    fresh.iloc[1, fresh.columns.get_loc("taker_buy_volume")] *= 1e6
    with pytest.raises(ServingError, match="taker buy volume above volume"):
        served.answer(*requested(fresh), request_id="r")
    fresh.iloc[1, fresh.columns.get_loc("taker_buy_volume")] = np.nan
    with pytest.raises(ServingError, match="order flow not a number"):
        served.answer(*requested(fresh), request_id="r")


def test_many_callers_at_once(served, engine):
    """Callers overlap each other as they like; what is remembered in the end is what one caller would have brought."""

    def ask(stop):
        fresh = WORLD.bars.iloc[KNOWN:stop]
        return served.answer(
            *requested(fresh, WORLD.between(BARS.index[-1] + HOUR, fresh.index[-1] + HOUR)), request_id="r"
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, [KNOWN + n for n in (3, 1, 8, 5, 2, 12, 9)]))
    (features,) = {one.features for one in served.horizons}
    last = WORLD.bars.index[KNOWN + 11]
    assert features.table.index[-1] == last
    expected = engine.batch(WORLD.bars.loc[features.since : last], WORLD.known(last + HOUR))
    rows = features.table
    pd.testing.assert_frame_equal(rows, expected.loc[rows.index], check_exact=True, check_freq=False)


def test_once_without_a_server(beside):
    fresh = WORLD.bars.iloc[KNOWN : KNOWN + 3]
    bars, context = requested(fresh, WORLD.between(BARS.index[-1] + HOUR, fresh.index[-1] + HOUR))
    signals = predict_once(beside.settings, "btc-usd", bars, context=context)
    assert [one.bar_time for one in signals] == [fresh.index[-1].to_pydatetime()] * 2


def test_a_champion_takes_the_newest_version_s_context_and_does_without(beside, caplog):
    (item, _) = catalog_module.live_versions(beside.settings)[BITCOIN]
    later = replace(item, version=replace(item.version, version="0"))
    mood = pd.DataFrame({"fear_greed": [0.7]}, index=pd.DatetimeIndex([NOW], name="published_at"))
    bundle = load_bundle(beside.files.path("data/train/1h"))

    class Newest:
        def history(self):
            return self.bars

        def context(self):
            return {"fear_greed": mood}

    newest = Newest()
    newest.bars = WORLD.bars.iloc[KNOWN - 10 : KNOWN + 10]
    with patch.object(catalog_module, "load_bundle", lambda folder: newest if "newest" in folder else bundle):
        tracker = type("T", (), {"download": lambda self, horizon, v: "own" if v == "0" else "newest"})()
        later = replace(later, tracker=tracker)
        found = catalog_module._open(BITCOIN, later)
        assert found.history.bars.index[-1] == newest.bars.index[-1]
        assert found.context.frames["fear_greed"].iloc[-1].item() == 0.7
        newest.bars = newest.bars.drop(columns="trades")
        alone = catalog_module._open(BITCOIN, later)
    assert alone.history.bars.index[-1] == BARS.index[-1]
    assert alone.context.frames["fear_greed"].index[-1] < NOW
    assert "bars without trades" in caplog.text
