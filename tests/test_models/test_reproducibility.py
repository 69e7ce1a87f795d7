"""Same seed, same bits: in one process, in fresh ones, and whatever was fitted before."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, "tests/test_models")
from conftest import CV, SETTINGS, market
from models.factory import create_model
X, y, t_end = market()
found = {}
for name in sys.argv[1].split(","):
    model = create_model(name, SETTINGS[name], seed=3, cv=CV).fit(X, y, t_end=t_end)
    graph = model.to_onnx()
    found[name] = [hashlib.sha256(b).hexdigest() for b in
                   (model.predict_proba(X)[1].to_numpy().tobytes(), graph.SerializeToString())]
print(json.dumps(found))
"""


def test_predictions_and_graphs_are_the_same_bits_in_every_process(
    fitted: dict[str, Any], data: tuple[pd.DataFrame, pd.Series, pd.Series]
) -> None:
    # In another order than here, and one of them after itself.
    command = [sys.executable, "-c", SCRIPT, "transformer,random_forest,xgboost,lstm,svm,lstm"]
    environment = {**os.environ, "PYTHONHASHSEED": "2"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=True)
    here = {
        name: [
            hashlib.sha256(content).hexdigest()
            for content in (model.predict_proba(data[0])[1].to_numpy().tobytes(), model.to_onnx().SerializeToString())
        ]
        for name, model in fitted.items()
    }
    assert json.loads(run.stdout) == here
