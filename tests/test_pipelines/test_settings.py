"""The environment decides addresses and folders, and nothing else does."""

import os
from pathlib import Path

import pytest

from pipelines.settings import ROOT, Settings, quiet_environment


def test_everything_lies_under_the_state_folder_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENGINE_STATE", str(tmp_path))
    settings = Settings()
    assert settings.home == ROOT
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert settings.study_storage == f"sqlite:///{tmp_path}/state/optuna.db"
    assert settings.artifact_root == f"file://{tmp_path}/mlflow/artifacts"


def test_addresses_of_servers_take_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("ENGINE_OPTUNA_STORAGE", "postgresql://u@127.0.0.1/optuna")
    settings = Settings()
    assert settings.tracking_uri == "http://127.0.0.1:5000"
    assert settings.study_storage == "postgresql://u@127.0.0.1/optuna"


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    quiet_environment()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert os.environ["DO_NOT_TRACK"] == "1"
