"""Train: the recipe of each horizon on the labels known today, written as the bundle that is registered and served."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from models.bundle import Member, write_bundle
from models.ensemble import Ensemble
from models.factory import SEQUENCES, create_ensemble
from models.training import Epoch, best_epoch
from pipelines.backtest.walk_forward import conformal_of, fit_scale, inner_splitter, max_train
from pipelines.context import Context
from pipelines.dataset import VOLATILITY_BARS, Dataset
from pipelines.features.chosen import feature_engine
from pipelines.inputs import read_bars, read_context, read_datasets
from pipelines.params import Params
from pipelines.provenance import provenance
from pipelines.recipe import family_settings, recipe_hash, training_params, votes
from pipelines.selection.selectors import create_selector
from pipelines.train.context_tail import context_tail, names_beside
from pipelines.train.fit import FittedMember, MemberTask, fit_member

PARITY_ROWS = 10_000


def run(context: Context) -> None:
    """Read features, labels, bars and tuned settings; write one bundle a horizon.

    Beside the bundles lie the parity of their graphs, and the epochs in which networks were trained.
    """
    params, files = context.params, context.files
    tuned = files.read_json("data/tune/best.json")
    data = read_datasets(files, params.labels.horizons)
    newest = max_train(params, context.run.instrument)
    train = {horizon: known.known_rows(newest) for horizon, known in data.items()}
    # Of several searches the newest: what the model of today would have been tuned with.
    settings = {horizon: family_settings(params, tuned[horizon][-1]) for horizon in data}
    # Networks first, so that no worker is left alone with one at the end.
    families = sorted(params.models.voting, key=lambda family: family not in SEQUENCES)
    selector = create_selector(params, context.run.instrument)
    ensemble = _ensemble(params, settings[params.labels.horizons[0]], context)
    checkpoints = context.checkpoints("train")
    tasks = [
        MemberTask(
            horizon,
            family,
            data[horizon],
            train[horizon],
            settings[horizon][family],
            params.seed,
            PARITY_ROWS,
            selector,
            params.labels.oldest_weight,
            inner_splitter(params, context.run.instrument),
            checkpoints,
            ensemble.learns,
        )
        for family in families
        for horizon in data
        if family in settings[horizon]
    ]
    fitted: list[FittedMember] = []
    context.progress(0, len(tasks), "final fits")
    for member in context.map(fit_member, tasks):
        fitted.append(member)
        context.progress(len(fitted), len(tasks), f"{member.family} {member.horizon}")
    made = provenance(context.settings.home)
    for horizon in data:
        members = [member for member in fitted if member.horizon == horizon]
        _write(context, horizon, data[horizon], train[horizon], settings[horizon], members, made)
    files.write_json(
        "data/train/parity.json",
        {
            h: {m.family: {"max_difference": m.max_difference, "rows": m.rows} for m in fitted if m.horizon == h}
            for h in data
        },
    )
    files.write_json(
        "data/train/history.json",
        {h: {m.family: _told(m.history) for m in fitted if m.horizon == h and m.history} for h in data},
    )
    shutil.rmtree(checkpoints, ignore_errors=True)


def _told(history: list[Epoch]) -> dict[str, Any]:
    """A network's epochs, and whose weights are in its graph."""
    return {"epochs": [asdict(epoch) for epoch in history], "kept": best_epoch(history)}


def _write(
    context: Context,
    horizon: str,
    data: Dataset,
    train: np.ndarray,
    settings: Mapping[str, Mapping[str, Any]],
    fitted: list[FittedMember],
    made: Mapping[str, Any],
) -> None:
    params, instrument, files = context.params, context.run.instrument, context.files
    bars = read_bars(files)
    ahead = instrument.bars_in(horizon)
    engine = feature_engine(files, params, context.run)
    scale = fit_scale(data, train, ahead)
    by_family = {str(member.family): member for member in fitted}
    ensemble = _ensemble(params, settings, context)
    names = [model.name for model in ensemble.models]
    blend = ensemble.given
    if ensemble.learns:
        X, y, t_end = data.training_rows(train)
        weight = data.training_weights(train, params.labels.oldest_weight)
        held = pd.DataFrame({name: by_family[name].held_out for name in names}, index=X.index)
        blend = ensemble.learnt(held, y, t_end=t_end, sample_weight=weight)
    members = [
        Member(name, by_family[name].graph, by_family[name].window, share)
        for name, share in zip(names, blend.weights, strict=True)
    ]
    conformal = conformal_of(params)
    # What serving looks back on: features' warm-up and a window, or outcomes behind a day's volatility.
    looked_back = max(engine.warmup + max(m.window for m in members), conformal.memory + VOLATILITY_BARS)
    history = bars.iloc[-(looked_back + ahead) :]
    write_bundle(
        files.path(f"data/train/{horizon}"),
        members=members,
        history=history,
        context=context_tail(engine, history, read_context(files)),
        spec={
            "model_name": instrument.model_name(horizon),
            "symbol": instrument.symbol,
            "timeframe": instrument.timeframe,
            "horizon": horizon,
            "horizon_bars": ahead,
            "features": {
                "groups": list(engine.groups),
                **names_beside(engine),
                "names": list(engine.names),
                "hash": engine.spec_hash,
                "warmup": engine.warmup,
            },
            "selection": {
                "method": params.selection.method,
                "columns": {member.family: member.columns for member in fitted},
            },
            "blend": blend.to_json(),
            "return_scale": {"mean_abs": scale.mean_abs},
            "conformal": asdict(conformal),
            "costs": params.costs.model_dump(),
            "positions": {"round_trips": params.positions.round_trips},
            "data": {
                "first": bars.index[0].isoformat(),
                "last": bars.index[-1].isoformat(),
                "rows": len(bars),
                "sha256": files.sha256("data/validated/bars.parquet"),
            },
            "as_of": (bars.index[-1] + instrument.bar).isoformat(),
            "commit": made["commit"],
            "dirty": made["dirty"],
            "lock_sha256": made["lock_sha256"],
            "params": training_params(params),
            "settings": settings,
            "seed": params.seed,
            "recipe_sha256": recipe_hash(params, horizon, engine.spec_hash),
            "max_gap": _longest_gap(pd.DatetimeIndex(bars.index), instrument.bar),
            "max_jump": params.validate_.max_jump,
            "last_features": data.X.iloc[-1].tolist(),
        },
    )


def _ensemble(params: Params, settings: Mapping[str, Mapping[str, Any]], context: Context) -> Ensemble:
    """The ensemble of one horizon, unfitted: its members are fitted one by one, wherever there is room."""
    return create_ensemble(
        settings,
        votes(params, settings),
        seed=params.seed,
        voting=params.models.ensemble.model_dump(),
        cv=inner_splitter(params, context.run.instrument),
    )


def _longest_gap(index: pd.DatetimeIndex, bar: pd.Timedelta) -> int:
    """Most bars that are missing in a row; at least one: an outage that long was trained through."""
    return max(1, int((index[1:] - index[:-1]).max() / bar) - 1)
