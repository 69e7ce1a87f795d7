"""What is registered and served for one horizon: a folder of graphs, a spec, and the history that serving starts from.

    <member>.onnx               one graph a member, with the uniform interface
    bundle.json                 the spec; names each file with its digest, members' with window and weight
    history.parquet             the last validated bars: warm-up of the features, longest window, and holding time
    context-<n>-<name>.parquet  what features read beside these bars, a file for each series, as far back as they need
    walk_forward.parquet        the recipe's out-of-sample net returns (added when it is registered)

Loading executes nothing but graphs, and imports nothing but ONNX Runtime, numpy and pandas.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd

from models.blend import VOTE, Blend
from models.bundle_files import as_json, checked, put_in_place, require_keys, sha256_of
from models.feature_names import require_names
from models.onnx_session import OnnxSession
from models.windows import as_float32
from trading.errors import ModelError, WorkspaceError

if TYPE_CHECKING:
    import onnx

SCHEMA = 3
SPEC, HISTORY, WALK_FORWARD = "bundle.json", "history.parquet", "walk_forward.parquet"
# What a caller's spec holds; schema, members, context and the digests of files are written here.
REQUIRED = (
    "model_name",
    "symbol",
    "timeframe",
    "horizon",
    "horizon_bars",
    "features",
    "blend",
    "return_scale",
    "conformal",
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
_WRITTEN = ("schema", "members", "history_sha256", "context")
# What a spec says about its features: names and order of the columns, and all that the engine is rebuilt from.
_FEATURES = ("groups", "assets", "series", "names", "hash", "warmup")


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
        Of its vote; see :class:`models.blend.Blend`.
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

    @property
    def blend(self) -> Blend:
        """How the members vote."""
        return _blend_of(self.spec["members"], self.spec, where=str(self.folder))

    def history(self) -> pd.DataFrame:
        """The bars that serving starts from, as they were validated."""
        return pd.read_parquet(self.folder / HISTORY)

    def context(self) -> dict[str, pd.DataFrame]:
        """What the features of that history read beside it, by the names of the series; in the form it was given."""
        return {
            entry["name"]: pd.read_parquet(self.folder / Path(entry["file"]).name) for entry in self.spec["context"]
        }

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
        return members.assign(**{VOTE: self.blend.vote(members)})

    def predict(self, features: pd.DataFrame) -> pd.Series:
        """The vote, named ``prob_up``; see :meth:`predict_members`."""
        return self.predict_members(features)[VOTE].rename("prob_up")


def write_bundle(
    folder: Path,
    *,
    members: Sequence[Member],
    spec: Mapping[str, Any],
    history: pd.DataFrame,
    context: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
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
    context
        What features read beside these bars, by the names of the series; None where they read the bars alone.

    Raises
    ------
    ModelError
        If the spec is incomplete, or members or context do not fit it.
    WorkspaceError
        If the folder cannot be written.
    """
    require_keys(spec, REQUIRED, where=str(folder))
    require_keys(spec["features"], _FEATURES, where=str(folder))
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
        listed.append({**entry, "sha256": sha256_of(content)})
        contents[file] = content
    _blend_of(listed, spec, where=str(folder))
    contents[HISTORY] = history.to_parquet(None, compression="zstd")
    beside = _files_of(context or {}, spec, where=str(folder))
    contents |= {entry["file"]: content for entry, content in beside}
    written = {
        **spec,
        "schema": SCHEMA,
        "members": listed,
        "history_sha256": sha256_of(contents[HISTORY]),
        "context": [entry for entry, _ in beside],
    }
    contents[SPEC] = as_json(written, where=str(folder)).encode()
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
            shutil.rmtree(leftover)
        temporary.mkdir()
        for file, content in contents.items():
            (temporary / file).write_bytes(content)
        put_in_place(temporary, folder)
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
    require_keys(spec, (*REQUIRED, *_WRITTEN), where=where)
    require_keys(spec["features"], _FEATURES, where=where)
    checked(folder / HISTORY, spec["history_sha256"])
    for entry in spec["context"]:
        require_keys(entry, ("name", "file", "sha256"), where=where)
        checked(folder / Path(entry["file"]).name, entry["sha256"])
    _require_series([entry["name"] for entry in spec["context"]], spec, where=where)
    sessions = {}
    for entry in spec["members"]:
        require_keys(entry, ("name", "file", "window", "weight", "sha256"), where=where)
        content = checked(folder / Path(entry["file"]).name, entry["sha256"])
        sessions[entry["name"]] = _open(entry, content, spec, where=where)
    if not sessions:
        raise ModelError("a bundle without members", where=where, rule="one or more", remedy="train again")
    bundle = Bundle(folder, spec, bundle_hash(folder), sessions)
    _ = bundle.blend  # raises where weights and method do not fit
    return bundle


def bundle_hash(folder: Path) -> str:
    """SHA-256 of the folder's files and their names, in the order of the names."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{file.relative_to(folder).as_posix()}\0{sha256_of(file.read_bytes())}\0".encode())
    return total.hexdigest()


def _blend_of(members: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], *, where: str) -> Blend:
    require_keys(spec["blend"], ("method", "intercept", "calibration"), where=where)
    return Blend.of([member["weight"] for member in members], spec["blend"])


def _open(entry: Mapping[str, Any], content: bytes, spec: Mapping[str, Any], *, where: str) -> OnnxSession:
    """Load a member's graph and hold it against what the spec says about it."""
    session = OnnxSession(content, where=f"{where}/{entry['file']}")
    width = len(spec["features"]["names"])
    if (session.window, session.features) != (entry["window"], width):
        raise ModelError(
            f"{entry['name']} takes {session.window} rows of {session.features} features",
            where=where,
            rule=f"its spec says {entry['window']} rows of {width}",
            remedy="train again",
        )
    return session


def _files_of(
    context: Mapping[str, pd.DataFrame], spec: Mapping[str, Any], *, where: str
) -> list[tuple[dict[str, str], bytes]]:
    """An entry of the spec and a file's content for each series, in the order of their names."""
    _require_series(list(context), spec, where=where)
    found = []
    for number, name in enumerate(sorted(context), 1):
        content = context[name].to_parquet(None, compression="zstd")
        file = f"context-{number}-{re.sub(r'[^A-Za-z0-9_]+', '-', name)}.parquet"
        found.append(({"name": name, "file": file, "sha256": sha256_of(content)}, content))
    return found


def _require_series(given: Sequence[str], spec: Mapping[str, Any], *, where: str) -> None:
    read = [*spec["features"]["assets"], *spec["features"]["series"]]
    if sorted(given) != sorted(read):
        raise ModelError(
            f"context of {', '.join(sorted(given)) or 'nothing'}",
            where=where,
            rule=f"what the features read beside the bars: {', '.join(sorted(read)) or 'nothing'}",
            remedy="train again",
        )
