"""A real registry with versions that hold nothing but a verdict: what promotions read of a version."""

import tempfile
from pathlib import Path

from pipelines.gate.identity import evidence_hash
from pipelines.settings import Settings
from pipelines.tracking import Registered, Tracker
from trading.instrument import Instrument

BITCOIN = Instrument("BTC/USD", "1h")
MODEL = BITCOIN.model_name("4h")


def settings_in(state: Path) -> Settings:
    """Settings of a state folder, whatever the environment says."""
    return Settings(state=state, mlflow_tracking_uri="")


def add_version(
    tracker: Tracker,
    number: int,
    *,
    passed: bool = True,
    champion: str | None = None,
    bundle: str | None = None,
    reloaded: bool = True,
) -> Registered:
    """Register version ``number`` of the 4h model, judged against a champion."""
    verdict = {
        "verdict": "passed" if passed else "refused",
        "question": "challenge" if champion else "first",
        "champion": champion,
        "summary": "passed: all rules" if passed else "refused: too few trades",
    }
    evidence = {"audit": {}, "seed": number, "horizons": {"4h": {}}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        (folder / "MLmodel").write_text("")
        made = tracker.register(
            "4h",
            folder,
            bundle_hash=bundle or f"bundle{number}",
            evidence_hash=evidence_hash(evidence, "4h", verdict),
            tags={"as_of": "2019-10-01", "verdict": verdict["verdict"], **({"reloaded": "true"} if reloaded else {})},
            params={},
            metrics={},
            epochs={},
            documents={"evidence.json": evidence, "verdict.json": {"horizons": {"4h": verdict}}},
            attachments=[],
        )
    assert made.version == str(number)
    return made
