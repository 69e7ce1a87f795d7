"""What is registered and served for one horizon: a folder of graphs, a spec, and the history that serving starts from.

    <member>.onnx            one graph a member, with the uniform interface
    bundle.json              the spec; names each member's file with its window, weight and digest
    history.parquet          the last validated bars: warm-up of the features, longest window, and holding time
    walk_forward.parquet     the recipe's out-of-sample net returns (added when it is registered)

Loading executes nothing but graphs, and imports nothing but ONNX Runtime, numpy and pandas.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd

from models.blend import VOTE, weighted_mean
from models.feature_names import require_names
from models.onnx_session import OnnxSession
from models.windows import as_float32
from trading.errors import ModelError, WorkspaceError

if TYPE_CHECKING:
    import onnx

SCHEMA = 1
SPEC, HISTORY, WALK_FORWARD = "bundle.json", "history.parquet", "walk_forward.parquet"
# What a caller's spec holds; members, schema and the history's digest are written here.
REQUIRED = (
    "model_name",
    "symbol",
    "timeframe",
    "horizon",
    "horizon_bars",
    "features",
    "return_scale",
    "costs",
    "positions",
    "data",
    "as_of",
    "commit",
    "lock_sha256",
    "params",
    "seed",
    "recipe_sha256",
    "last_features",
    "max_gap",
    "max_jump",
)
_WRITTEN = ("schema", "members", "history_sha256")


@dataclass(frozen=True)
class Member:
    """One model of a bundle.

    Parameters
    ----------
    name
        Of the model, and of its file.
    graph
        What ``SignalModel.to_onnx`` gave, or its bytes.
    window
        Rows that a prediction looks at.
    weight
        Of its vote, positive.
    """

    name: str
    graph: "onnx.ModelProto | bytes"
    window: int
    weight: float

    @property
    def content(self) -> bytes:
        """The graph's bytes."""
        return self.graph if isinstance(self.graph, bytes) else bytes(self.graph.SerializeToString())


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Parameters
    ----------
    folder
        Where it was loaded from.
    spec
        Content of ``bundle.json``.
    hash
        SHA-256 of the folder's files and their names: equal for equal bundles, wherever they lie.
    """

    folder: Path
    spec: Mapping[str, Any]
    hash: str
    _sessions: Mapping[str, OnnxSession] = field(repr=False)

    @property
    def feature_names(self) -> list[str]:
        """Features in the order the graphs take them."""
        return list(self.spec["features"]["names"])

    @property
    def window(self) -> int:
        """Rows that :meth:`predict` needs for one prediction."""
        return max(session.window for session in self._sessions.values())

    def history(self) -> pd.DataFrame:
        """The bars that serving starts from, as they were validated."""
        return pd.read_parquet(self.folder / HISTORY)

    def walk_forward(self) -> pd.DataFrame | None:
        """The recipe's out-of-sample stream, column ``net_return``; None before the bundle was registered."""
        path = self.folder / WALK_FORWARD
        return pd.read_parquet(path) if path.exists() else None

    def predict_members(self, features: pd.DataFrame) -> pd.DataFrame:
        """Probability of a rise by each member, and their vote.

        Parameters
        ----------
        features
            Feature frame in time order with the columns of the spec. The last :attr:`window` rows suffice for a
            prediction at the last one.

        Returns
        -------
        DataFrame
            Index of ``features``, a column a member, and ``vote``; NaN where a row has no complete window.

        Raises
        ------
        ModelError
            Naming the first column that differs from the spec.
        """
        require_names(self.feature_names, features.columns, where=f"bundle {self.spec['model_name']}")
        values = as_float32(features)
        members = pd.DataFrame(
            {name: session.predict(values) for name, session in self._sessions.items()}, index=features.index
        )
        weights = [member["weight"] for member in self.spec["members"]]
        return members.assign(**{VOTE: weighted_mean(members, weights)})

    def predict(self, features: pd.DataFrame) -> pd.Series:
        """The vote, named ``prob_up``; see :meth:`predict_members`."""
        return self.predict_members(features)[VOTE].rename("prob_up")


def write_bundle(folder: Path, *, members: Sequence[Member], spec: Mapping[str, Any], history: pd.DataFrame) -> Path:
    """Write a bundle folder in one step: a kill leaves no half of one under its name.

    Parameters
    ----------
    folder
        Where; an older bundle there is replaced.
    members
        The models that vote, in the order of the columns of ``predict_members``.
    spec
        The keys of ``REQUIRED``; plain values, numpy scalars and timestamps.
    history
        Bars that serving starts from.

    Raises
    ------
    ModelError
        If the spec is incomplete, or members do not fit it.
    WorkspaceError
        If the folder cannot be written.
    """
    _require_keys(spec, REQUIRED, where=str(folder))
    if clash := [key for key in _WRITTEN if key in spec]:
        raise ModelError(
            f"{clash[0]!r} in the spec", where=str(folder), rule="it is written here", remedy="leave it out"
        )
    names = [member.name for member in members]
    if not names or len(set(names)) < len(names) or VOTE in names:
        raise ModelError(f"members {names}", where=str(folder), rule="one or more, named differently", remedy="rename")
    contents, listed = {}, []
    for member in members:
        file, content = f"{member.name}.onnx", member.content
        entry = {"name": member.name, "file": file, "window": member.window, "weight": member.weight}
        _open(entry, content, spec, where=str(folder))
        listed.append({**entry, "sha256": _sha256(content)})
        contents[file] = content
    contents[HISTORY] = history.to_parquet(None, compression="zstd")
    written = {**spec, "schema": SCHEMA, "members": listed, "history_sha256": _sha256(contents[HISTORY])}
    contents[SPEC] = _json(written, where=str(folder)).encode()
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
            shutil.rmtree(leftover)
        temporary.mkdir()
        for file, content in contents.items():
            (temporary / file).write_bytes(content)
        _replace(temporary, folder)
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the bundle: {error}",
            where=str(folder),
            remedy="free some space, or choose a folder you may write to with ENGINE_STATE",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def load_bundle(folder: Path) -> Bundle:
    """Load a bundle after checking that it is whole.

    Raises
    ------
    ModelError
        If files are missing or differ from their digests, or the spec is of another schema or incomplete.
    """
    where = str(folder)
    try:
        spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{SPEC} cannot be read: {error}", where=where, rule="a bundle has a spec", remedy="train again"
        ) from error
    if not isinstance(spec, dict) or spec.get("schema") != SCHEMA:
        found = spec.get("schema") if isinstance(spec, dict) else None
        raise ModelError(
            f"bundle schema {found!r}", where=where, rule=f"this engine reads schema {SCHEMA}", remedy="train again"
        )
    _require_keys(spec, (*REQUIRED, *_WRITTEN), where=where)
    _checked(folder / HISTORY, spec["history_sha256"])
    sessions = {}
    for entry in spec["members"]:
        _require_keys(entry, ("name", "file", "window", "weight", "sha256"), where=where)
        content = _checked(folder / Path(entry["file"]).name, entry["sha256"])
        sessions[entry["name"]] = _open(entry, content, spec, where=where)
    if not sessions:
        raise ModelError("a bundle without members", where=where, rule="one or more", remedy="train again")
    return Bundle(folder, spec, bundle_hash(folder), sessions)


def bundle_hash(folder: Path) -> str:
    """SHA-256 of the folder's files and their names, in the order of the names."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{file.relative_to(folder).as_posix()}\0{_sha256(file.read_bytes())}\0".encode())
    return total.hexdigest()


def _open(entry: Mapping[str, Any], content: bytes, spec: Mapping[str, Any], *, where: str) -> OnnxSession:
    """Load a member's graph and hold it against what the spec says about it."""
    session = OnnxSession(content, where=f"{where}/{entry['file']}")
    if not (np.isfinite(entry["weight"]) and entry["weight"] > 0):
        raise ModelError(f"weight {entry['weight']} of {entry['name']}", where=where, rule="positive", remedy="mend it")
    width = len(spec["features"]["names"])
    if (session.window, session.features) != (entry["window"], width):
        raise ModelError(
            f"{entry['name']} takes {session.window} rows of {session.features} features",
            where=where,
            rule=f"its spec says {entry['window']} rows of {width}",
            remedy="train again",
        )
    return session


def _checked(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error}", where=str(path), remedy="train again") from error
    if _sha256(content) != sha256:
        raise ModelError(
            f"{path.name} is not the file that was written",
            where=str(path),
            rule=f"SHA-256 {sha256}, as {SPEC} says",
            remedy="fetch the bundle again, or train again",
        )
    return content


def _require_keys(mapping: Mapping[str, Any], keys: Sequence[str], *, where: str) -> None:
    if missing := [key for key in keys if key not in mapping]:
        raise ModelError(
            f"{missing[0]!r} is missing from the spec", where=where, rule="a complete spec", remedy="add it"
        )


def _replace(temporary: Path, folder: Path) -> None:
    """Put a finished folder in the place of an older one; between the two renames there is none, never a mixture."""
    old = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.old.tmp")
    if folder.exists():
        folder.replace(old)
    temporary.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _json(content: Mapping[str, Any], *, where: str) -> str:
    try:
        return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"the spec is not JSON: {error}", where=where, rule="plain, finite values", remedy="convert the value"
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} {value!r}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
