"""A bundle as an MLflow model folder, and the proof that a stranger can load what was registered."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from models.bundle import WALK_FORWARD
from trading.errors import StageError

REQUIREMENTS = ("mlflow", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow")
_CODE = ("models", "trading")

# Runs in a bare process, in another folder and without this repository on its path, as any user of a version would.
_LOADER = """
import json, sys
import mlflow, pandas as pd
order = json.load(sys.stdin)
mlflow.set_tracking_uri(order["tracking_uri"])
mlflow.set_registry_uri(order["tracking_uri"])
answers = {}
for uri, example in order["examples"].items():
    frame = mlflow.pyfunc.load_model(uri).predict(pd.read_parquet(example))
    answers[uri] = frame.astype(object).where(frame.notna(), None).to_dict("list")
    for name in [n for n in sys.modules if n.split(".")[0] in ("models", "trading")]:
        del sys.modules[name]
json.dump(answers, sys.stdout)
"""


def package(
    target: Path, *, bundle: Path, home: Path, walk_forward: pd.DataFrame, example: pd.DataFrame, answer: pd.DataFrame
) -> None:
    """Write an MLflow model folder: the bundle, the code that reads it, signature, input example, requirements.

    Parameters
    ----------
    target
        Folder to make.
    bundle
        Folder of the bundle; its files are copied unchanged.
    home
        Folder of the code.
    walk_forward
        Column ``net_return``: what later candidates are compared with. Stored beside the bundle's files.
    example, answer
        Rows of features, and what the bundle says about them.
    """
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "bundle"
        shutil.copytree(bundle, copy)
        walk_forward[["net_return"]].to_parquet(copy / WALK_FORWARD, compression="zstd")
        code = [Path(scratch) / name for name in _CODE]
        for folder in code:
            shutil.copytree(home / folder.name, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"bundle": str(copy)},
            code_paths=[str(folder) for folder in code],
            signature=infer_signature(example, answer),
            input_example=example,
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )


def check_reload(
    tracking_uri: str, examples: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], tolerance: float
) -> None:
    """Load each version in a process of its own that knows nothing of this repository, and compare what it says.

    MLflow registers a version that cannot be loaded with no more than a warning, so no alias moves before this.

    Parameters
    ----------
    tracking_uri
        Address of the store.
    examples, answers
        By ``models:/<name>/<version>``: rows of features, and what the bundle said about them.
    tolerance
        Largest difference between two probabilities.

    Raises
    ------
    StageError
        If a version does not load, or answers otherwise.
    """
    with tempfile.TemporaryDirectory() as scratch:
        paths = {uri: Path(scratch) / f"{number}.parquet" for number, uri in enumerate(examples)}
        for uri, path in paths.items():
            examples[uri].to_parquet(path)
        order = {"tracking_uri": tracking_uri, "examples": {uri: str(path) for uri, path in paths.items()}}
        done = subprocess.run(
            [sys.executable, "-I", "-c", _LOADER],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            cwd=scratch,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            check=False,
        )
    if done.returncode:
        raise StageError(
            f"a registered version cannot be loaded: {done.stderr.strip().splitlines()[-1:]}",
            where=", ".join(examples),
            rule="a version is loaded by a process that has only what MLflow stored, before an alias moves to it",
            remedy="the aliases are as they were; mend the model code and run `engine run` again",
        )
    found = json.loads(done.stdout)
    for uri, answer in answers.items():
        loaded = pd.DataFrame(found[uri], dtype=float)[list(answer.columns)].to_numpy()
        if not np.allclose(loaded, answer.to_numpy(dtype=float), rtol=0.0, atol=tolerance, equal_nan=True):
            raise StageError(
                "a registered version answers otherwise than its bundle",
                where=uri,
                rule=f"equal to {tolerance:g}",
                remedy="the aliases are as they were; run `engine run` again",
            )
