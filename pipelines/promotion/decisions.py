"""Who may become champion: what the gate passed, what somebody answers for, and who was champion before."""

from typing import Any

from pipelines.artifacts import content_hash
from pipelines.gate.identity import evidence_hash
from pipelines.promotion.chain import read
from pipelines.promotion.errors import PromotionError
from pipelines.promotion.moves import Move, champions, logged
from pipelines.promotion.transaction import evidence_of, log_path, move, recover
from pipelines.tracking import CHAMPION, Registered, Tracker


def promote(tracker: Tracker, horizon: str, number: str, *, override: str | None = None) -> Move:
    """Make a version champion: on the verdict stored with it, or on a reason.

    Parameters
    ----------
    tracker, horizon, number
        Which version becomes champion of what.
    override
        Why it should, whatever the gate said; every signal will say ``overridden``.

    Returns
    -------
    Move
        What was done.

    Raises
    ------
    PromotionError
        If there is no such version, it is champion already, was never loaded back, or the gate refused it; or if the
        reason is empty.
    SupersededError
        If the verdict is about another champion than the present one.
    ChainError
        As :func:`pipelines.promotion.transaction.move`.
    """
    recover(tracker.settings)
    version, current = _registered(tracker, horizon, number), tracker.version(horizon, CHAMPION)
    about = f"version {version.version} of {version.name}"
    # One that somebody made champion in MLflow is unproven: it may be promoted where it stands.
    if current is not None and current.version == number and evidence_of(current, CHAMPION) != "unproven":
        raise PromotionError(f"{about} is the champion already", rule="a promotion changes who is champion")
    if "reloaded" not in version.tags:
        raise PromotionError(
            f"{about} was registered, and never loaded back",
            where=tracker.settings.tracking_uri,
            rule="no alias moves to what a stranger has not been seen to load",
            remedy="run `engine run` again, which does that",
        )
    verdict = _verdict(tracker, horizon, version)
    told = {"hash": content_hash(verdict), **{key: verdict[key] for key in ("verdict", "question", "champion")}}
    if override is not None:
        return _override(tracker, horizon, version, current, override, verdict["summary"], told)
    if verdict["verdict"] != "passed":
        raise PromotionError(
            f"the gate did not pass {about}: {verdict['summary']}",
            where=tracker.model_uri(version),
            rule="an alias moves on a passed verdict",
            remedy='give better evidence with `engine run`, or answer for it with --override "reason"',
        )
    return move(
        tracker,
        horizon,
        CHAMPION,
        version,
        expected=verdict["champion"],
        kind="promotion",
        why=verdict["summary"],
        verdict=told,
    )


def _verdict(tracker: Tracker, horizon: str, version: Registered) -> dict[str, Any]:
    """The horizon's verdict stored with a version, which says what it said when it was registered."""
    told: dict[str, Any] = tracker.document(version, "verdict.json")["horizons"][horizon]
    found = evidence_hash(tracker.document(version, "evidence.json"), horizon, told)
    if found != version.tags["evidence_hash"]:
        raise PromotionError(
            f"evidence or verdict of version {version.version} of {version.name} were changed",
            where=tracker.model_uri(version),
            rule="both are what they were when the version was registered",
            remedy="restore evidence.json and verdict.json, or give new evidence with `engine run`",
        )
    return told


def _override(
    tracker: Tracker,
    horizon: str,
    version: Registered,
    current: Registered | None,
    reason: str,
    summary: str,
    told: dict[str, Any],
) -> Move:
    if not reason.strip():
        raise PromotionError(
            "an override needs a reason",
            where="--override",
            rule="who passes over the gate says why, and the log keeps it",
            remedy='give one: --override "reason"',
        )
    return move(
        tracker,
        horizon,
        CHAMPION,
        version,
        expected=current.version if current else None,
        kind="override",
        why=f"over the gate, which said: {summary}",
        override=reason.strip(),
        verdict=told,
    )


def rollback(tracker: Tracker, horizon: str, why: str) -> Move:
    """Make the champion before the present one champion again; raises as :func:`promote`.

    Raises
    ------
    PromotionError
        If the log knows none, or its version is no longer registered.
    """
    settings, model = tracker.settings, tracker.instrument.model_name(horizon)
    recover(settings)
    line = champions(logged(read(log_path(settings))), model)
    if len(line) < 2:
        raise PromotionError(
            f"{model} has no champion before {f'version {line[0]}' if line else 'this: it never had one'}",
            where=str(log_path(settings)),
            rule="a rollback goes back to a version that was champion, by the log",
            remedy="`engine history` shows who was; `engine promote` makes another version champion",
        )
    before = _registered(tracker, horizon, line[-2])
    return move(tracker, horizon, CHAMPION, before, expected=line[-1], kind="rollback", why=why)


def _registered(tracker: Tracker, horizon: str, number: str) -> Registered:
    known = {one.version: one for one in tracker.versions(horizon)}
    if number not in known:
        raise PromotionError(
            f"{tracker.instrument.model_name(horizon)} has no version {number}",
            where=tracker.settings.tracking_uri,
            rule=f"registered versions: {', '.join(reversed(known)) or 'none'}",
            remedy="`engine card` lists what is registered; `engine run` registers more",
        )
    return known[number]
