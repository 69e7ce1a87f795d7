"""The database that studies are kept in: SQLite on this machine, PostgreSQL for workers on several.

A database that does not answer is asked again for a while, by whoever needs it: a restart of the server costs no trial.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.tune.errors import StudyError

if TYPE_CHECKING:
    import optuna
    import sqlalchemy

T = TypeVar("T")

# Waiting does not mend these.
_FINAL = ("authentication failed", "does not exist", "no password supplied", "unable to open database file")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_DRIVER = "postgresql+psycopg"


@dataclass(frozen=True)
class Database:
    """Where studies are kept. Travels to a worker process.

    Parameters
    ----------
    url
        ``sqlite:///<file>`` or ``postgresql://<user>:<password>@<host>:<port>/<database>``.
    patience
        Seconds for which a database that does not answer is asked again.
    grace
        Seconds without a sign of life after which a worker that cannot be looked up counts as dead.
    """

    url: str
    patience: float
    grace: int

    @property
    def shown(self) -> str:
        """The address without its password."""
        return _address(self.url).render_as_string(hide_password=True)

    def open(self) -> "optuna.storages.RDBStorage":
        """Connect, and make the tables where they are missing.

        Raises
        ------
        StudyError
            If the address is none, its driver is missing, or nobody answers within ``patience``.
        """
        import warnings

        import optuna
        import sqlalchemy

        url = _address(self.url)
        sqlite = url.get_backend_name() == "sqlite"

        def connect() -> optuna.storages.RDBStorage:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    url.render_as_string(hide_password=False),
                    engine_kwargs={
                        "pool_pre_ping": True,
                        "connect_args": {"timeout": 60} if sqlite else {"connect_timeout": 10},
                    },
                    heartbeat_interval=max(1, self.grace // 4),
                    grace_period=self.grace,
                )

        try:
            storage = self._patiently(connect, sqlalchemy.exc.DBAPIError)
        except ImportError as error:
            raise StudyError(
                f"no driver for {url.drivername}: {error.__cause__ or error}",
                where=self.shown,
                remedy="install the versions of requirements.lock, which hold psycopg",
            ) from error

        def reconnect(dialect: Any, _: object, args: Any, keywords: Any) -> Any:
            driver = dialect.loaded_dbapi
            return self._patiently(lambda: driver.connect(*args, **keywords), driver.Error)

        sqlalchemy.event.listen(storage.engine, "do_connect", reconnect)
        return storage

    def _patiently(self, connect: Callable[[], T], refusal: type[Exception]) -> T:
        end, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        while True:
            try:
                return connect()
            except refusal as error:
                said = str(getattr(error, "orig", None) or error).strip()
                final = any(text in said for text in _FINAL)
                if final or time.monotonic() + pause > end:
                    raise StudyError(
                        f"the database of studies {'refuses' if final else 'does not answer'}: {said}",
                        where=self.shown,
                        rule=f"it is asked again for ENGINE_OPTUNA_PATIENCE = {self.patience:g} seconds",
                        remedy="start it or mend ENGINE_OPTUNA_STORAGE, and run again: finished trials are kept",
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _address(url: str) -> "sqlalchemy.URL":
    import sqlalchemy

    try:
        address = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        address = None
    if address is None or address.get_backend_name() not in ("sqlite", "postgresql") or not address.database:
        # Whatever it is, it may hold a password.
        raise StudyError(
            "the address of the database of studies cannot be used",
            where="ENGINE_OPTUNA_STORAGE",
            rule="sqlite:///<file> or postgresql://<user>:<password>@<host>:<port>/<database>",
            remedy="mend it, or leave it empty for a file under <state>/state",
        )
    return address.set(drivername=_DRIVER) if address.get_backend_name() == "postgresql" else address
