"""Where an instrument's run lives: the repository root for the committed run, a folder of its own for every other.

Each workspace is a DVC repository without git: code and ``dvc.yaml`` are links to the root's, params and identity are
its own, so that running one never makes another stale. All share one cache.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pandas as pd
import yaml

from pipelines.artifacts import Artifacts, digest
from pipelines.exchange.source import file_name, series_of, venue_of, write_source
from pipelines.ingest.context_files import context_files
from pipelines.ingest.reader import SUFFIXES
from pipelines.params import RunIdentity, profiled, read_params, read_run
from pipelines.settings import Settings
from pipelines.store.bar_store import BarStore, Series
from trading.errors import BarError, WorkspaceError
from trading.instrument import Instrument

# What a stage runs on besides its data. Serving, dashboard and flows are no part of any stage.
LINKS = ("dvc.yaml", "stress.yaml", "trading", "models", "pipelines")
SOURCE = "source"
CONTEXT = "data/context"


@dataclass(frozen=True)
class Workspace:
    """A folder with ``dvc.yaml``, ``params.yaml``, ``run.yaml`` and ``data/``.

    Parameters
    ----------
    root
        The folder.
    run
        What its ``run.yaml`` says.
    profile
        What its ``params.yaml`` was rendered with.
    source
        The user's file or folder of bars, or the stored series'; :func:`sync_source` brings it into the workspace.
    context
        The user's folder of what stands beside the bars; :func:`sync_context` brings it into the workspace.
    settings
        Where the code and the state are.
    series
        The stored series of an exchange, where that is the source.
    """

    root: Path
    run: RunIdentity
    profile: str
    source: Path
    context: Path
    settings: Settings
    series: Series | None = None

    @property
    def is_home(self) -> bool:
        """Whether this is the repository root, which is the committed run's workspace."""
        return self.root == self.settings.home

    @property
    def given(self) -> str:
        """The source as its user knows it: a path, or the series of an exchange."""
        return str(self.series or self.source)

    @property
    def key(self) -> str:
        """Name for files about this workspace that lie elsewhere."""
        return "home" if self.is_home else self.run.instrument.name


def root_or_workspace(settings: Settings, run: RunIdentity, profile: str = "quick") -> Workspace:
    """The workspace of a run. Nothing is written: see :func:`prepare`.

    Parameters
    ----------
    settings
        The root is a workspace only while state is kept there.
    run
        A relative ``source`` is a path below ``settings.home``; ``exchange:kraken`` are the stored bars of kraken. A
        relative ``context`` is a folder below ``settings.home``.
    profile
        ``quick`` or a name under ``profiles`` of ``params.yaml``.
    """
    folders = {"home": settings.home, "state": settings.state, "store": settings.store_folder}
    settings = settings.model_copy(update={name: folder.resolve() for name, folder in folders.items()})
    venue = venue_of(run.source)
    series = None if venue is None else series_of(venue, run.instrument)
    source = settings.store_folder / series.folder if series else settings.home / Path(run.source).expanduser()
    committed = read_run(settings.home / "run.yaml")
    context, usual = ((settings.home / Path(one.context).expanduser()).resolve() for one in (run, committed))
    same = (run.instrument, run.source, run.as_of) == (committed.instrument, committed.source, committed.as_of)
    # DVC depends on a path: the bars of an exchange lie in a workspace of their own, whoever committed them.
    if same and context == usual and profile == "quick" and settings.state == settings.home and series is None:
        return Workspace(settings.home, committed, profile, source, context, settings)
    held = file_name(series) if series else source.name
    name = SOURCE if series is None and source.is_dir() else f"{SOURCE}/{held}"
    own = RunIdentity(
        symbol=run.instrument.symbol, timeframe=run.timeframe, source=name, context=CONTEXT, as_of=run.as_of
    )
    return Workspace(own_root(settings, run.instrument), own, profile, source, context, settings, series)


def own_root(settings: Settings, instrument: Instrument) -> Path:
    """Where an instrument is run whose workspace is not the repository."""
    return settings.state / "workspaces" / instrument.name


@contextmanager
def locked(workspace: Workspace, purpose: str = "run") -> Iterator[None]:
    """Hold the workspace for a purpose; the kernel lets go when this process ends, however it ends.

    Raises
    ------
    WorkspaceError
        If another process holds it, or the state folder cannot be written.
    """
    path = workspace.settings.state / "state" / "locks" / f"{workspace.key}-{purpose}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise WorkspaceError(
                f"another {purpose} (process {holder}) is at work on {workspace.run.instrument.name}",
                where=str(workspace.root),
                rule=f"one {purpose} at a time in a workspace",
                remedy="wait for it, or end it with Ctrl-C",
            ) from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def prepare(workspace: Workspace) -> None:
    """Make the workspace what its run, profile and code ask for; each step is atomic, and done only where needed.

    Call it while the workspace is :func:`locked`: a stage fails if its params change under it.

    Raises
    ------
    ParamsError
        If the root's ``params.yaml`` with the profile is invalid.
    WorkspaceError
        If the folder cannot be written.
    """
    home, root = workspace.settings.home, workspace.root
    read_params(home / "params.yaml", profile=workspace.profile)
    if workspace.is_home:
        return
    raw = yaml.safe_load((home / "params.yaml").read_text(encoding="utf-8"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name in LINKS:
            _link(root / name, home / name)
    except OSError as error:
        raise _unwritable(root, error) from error
    rendered = profiled(raw, workspace.profile)
    run = workspace.run
    identity = {
        "symbol": run.symbol,
        "timeframe": run.timeframe,
        "source": run.source,
        "context": run.context,
        # Text, for DVC takes an unquoted date for something that it cannot write down.
        "as_of": None if run.as_of is None else run.as_of.isoformat(),
    }
    _write(workspace, ".dvcignore", (home / ".dvcignore").read_text(encoding="utf-8"))
    _write(workspace, ".dvc/config", _config(workspace))
    _write(workspace, "params.yaml", yaml.safe_dump(rendered, sort_keys=False))
    _write(workspace, "run.yaml", yaml.safe_dump(identity, sort_keys=False))


def sync_source(workspace: Workspace, source: Path) -> bool:
    """Bring the user's file or folder of bars into the workspace, as far as its content is not there yet.

    Copies are what stages read: a source that grows while they run, or is written to anew with the same content, makes
    nothing stale. The root reads the committed sample where it lies.

    Returns
    -------
    bool
        Whether anything was different.

    Raises
    ------
    BarError
        If there is no such file, or the folder is empty.
    WorkspaceError
        If the copy cannot be written.
    """
    if workspace.is_home:
        return False
    if workspace.series is not None:
        return _sync_series(workspace, workspace.series)
    require_source(source)
    wanted = {source.name: source} if source.is_file() else _files(source, SUFFIXES)
    if not wanted:
        raise BarError(
            f"{source.name} holds no file of bars",
            where=str(source),
            rule=f"files that end in {', '.join(SUFFIXES)}",
            remedy="put files of bars into it",
        )
    return _mirror(wanted, workspace.root / SOURCE)


def sync_context(workspace: Workspace) -> bool:
    """Bring the files of the user's context folder into the workspace, as :func:`sync_source` brings the bars.

    Returns
    -------
    bool
        Whether anything was different.

    Raises
    ------
    ParamsError, SeriesError
        As :func:`pipelines.ingest.context_files.context_files`.
    WorkspaceError
        If a copy cannot be written.
    """
    found = context_files(workspace.context)
    if workspace.is_home:
        return False
    return _mirror({path.name: path for path in found.values()}, workspace.root / CONTEXT)


def _mirror(wanted: Mapping[str, Path], target: Path) -> bool:
    """Make the files of a folder the wanted ones; tell whether any was different."""
    changed = False
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in _files(target).keys() - wanted.keys():
            (target / name).unlink()
            changed = True
        for name, file in wanted.items():
            copy = target / name
            if copy.is_file() and copy.stat().st_size == file.stat().st_size and digest(copy) == digest(file):
                continue
            temporary = copy.with_name(f".{copy.name}.{uuid4().hex[:8]}.tmp")
            shutil.copyfile(file, temporary)
            temporary.replace(copy)
            changed = True
    except OSError as error:
        raise _unwritable(target, error) from error
    return changed


def _sync_series(workspace: Workspace, series: Series) -> bool:
    """Write the stored bars into the workspace, as :func:`sync_source` copies a file of the user's."""
    store, target = BarStore(workspace.settings.store_folder), workspace.root / SOURCE
    as_of = None if workspace.run.as_of is None else pd.Timestamp(workspace.run.as_of)
    try:
        changed = write_source(store, series, target / file_name(series), as_of)
        for other in _files(target).keys() - {file_name(series)}:
            (target / other).unlink()
            changed = True
    except OSError as error:
        raise _unwritable(target, error) from error
    return changed


def require_source(source: Path) -> None:
    """Raise a :class:`~trading.errors.BarError` if there is no such file or folder."""
    if not source.exists():
        raise BarError(
            f"{source.name} does not exist",
            where=str(source),
            rule="a file of bars, or a folder of them",
            remedy="check the path",
        )


def _files(folder: Path, suffixes: tuple[str, ...] = ("",)) -> dict[str, Path]:
    """Files in a folder by their names, without hidden ones and those that end otherwise."""
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(suffixes)
    }


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = link.with_name(f".{link.name}.{uuid4().hex[:8]}.tmp")
    temporary.symlink_to(target)
    temporary.replace(link)


def _write(workspace: Workspace, name: str, text: str) -> None:
    files = Artifacts(workspace.root)
    if not files.exists(name) or files.path(name).read_text(encoding="utf-8") != text:
        files.write_text(name, text)


def _config(workspace: Workspace) -> str:
    """The root's DVC configuration with one cache for all, and remotes that do not depend on where it lies."""
    home, state = workspace.settings.home, workspace.settings.state
    config = ConfigParser(interpolation=None)
    config.read(home / ".dvc" / "config", encoding="utf-8")
    for section in config.sections():
        url = config[section].get("url", "")
        if url and "://" not in url:
            config[section]["url"] = str((home / ".dvc" / url).resolve())
    if not config.has_section("core"):
        config.add_section("core")
    config["core"]["no_scm"] = "true"
    if not config.has_section("cache"):
        config.add_section("cache")
    config["cache"]["dir"] = str(home / ".dvc" / "cache" if state == home else state / "workspaces" / ".cache")
    text = StringIO()
    config.write(text)
    return text.getvalue()


def _unwritable(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"cannot write {path}: {error.strerror}",
        where=str(path),
        rule="a folder this user may write to, with space left",
        remedy="free some space, or choose another folder with ENGINE_STATE",
    )
