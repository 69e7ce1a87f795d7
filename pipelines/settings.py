"""The environment: addresses, folders and sizes of machines. Experiment values live in ``params.yaml``."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent

# Nothing phones home, and no library starts more threads than a worker was given.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "BENTOML_DO_NOT_TRACK": "True",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Settings(BaseSettings):
    """Read from variables named ``ENGINE_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="ENGINE_", frozen=True, extra="ignore")

    home: Path = Field(ROOT, description="where code, params.yaml and dvc.yaml are")
    state: Path = Field(ROOT, description="where workspaces/, mlflow/, state/ and reports/ are written")
    mlflow_tracking_uri: str = Field("", description="empty: a SQLite file under <state>/mlflow")
    optuna_storage: str = Field(
        "", description="postgresql://... for several machines; empty: a file under <state>/state"
    )
    optuna_patience: float = Field(120.0, ge=0, description="seconds to ask a silent database of studies again")
    optuna_grace: int = Field(60, ge=2, description="seconds of silence after which a worker elsewhere counts as dead")
    store: Path | None = Field(None, description="bars and external series; empty: <state>/data/store")
    exchange_url: str = Field("", description="stands for every address of an exchange: a mirror; empty: the exchange")
    exchange_timeout: float = Field(20.0, gt=0, description="seconds to wait for an exchange's answer")
    exchange_attempts: int = Field(6, ge=1, description="how often a request to an exchange is made")
    exchange_pause: float = Field(1.0, ge=0, description="seconds before the second attempt; doubles with each more")
    exchange_patience: float = Field(300.0, ge=0, description="longest wait in seconds that an exchange may ask for")
    exchange_rate_limit: bool = Field(True, description="keep to the rate that the exchange publishes")
    exchange_overlap: int = Field(100, ge=0, description="newest bars that an update asks for again")
    exchange_settle: float = Field(5.0, ge=0, description="seconds after a live bar's end until it is believed")
    workers: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 8), ge=1, description="worker processes")
    dask: str = Field(
        "",
        pattern=r"^$|^local$|^(tcp|tls)://.+:\d+$",
        description="empty: processes of this machine; local: a Dask cluster of them; tcp://host:port: a scheduler",
    )
    host: str = Field("127.0.0.1", description="address that serving listens on")
    port: int = Field(3000, ge=1, le=65535, description="port that serving listens on")

    @property
    def tracking_uri(self) -> str:
        """Address of MLflow's store."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.state / 'mlflow' / 'mlflow.db'}"

    @property
    def artifact_root(self) -> str:
        """Where MLflow's artifacts go while its store is a local file."""
        return (self.state / "mlflow" / "artifacts").as_uri()

    @property
    def store_folder(self) -> Path:
        """Where bars and external series are kept."""
        return self.store or self.state / "data" / "store"

    @property
    def study_storage(self) -> str:
        """Address of Optuna's store."""
        return self.optuna_storage or f"sqlite:///{self.state / 'state' / 'optuna.db'}"


# What a process tells those that it starts: which process must be their parent, and how they print progress.
TETHER, PROGRESS_FORMAT = "ENGINE_TETHER", "ENGINE_PROGRESS"
VARIABLES = frozenset({f"ENGINE_{name.upper()}" for name in Settings.model_fields} | {TETHER, PROGRESS_FORMAT})


def quiet_environment() -> None:
    """Switch telemetry off and pin threads for this process and its children; what the user set stays."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
