"""What a fit needs to go on after a kill, in one file that is whole or not there.

The file's name is the identity of the fit, so that no other fit, not even the same one by other code, ever takes it up.
"""

import hashlib
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trading.errors import WorkspaceError

_STATE = "state"


@dataclass(frozen=True)
class Checkpoint:
    """Arrays and plain values of one unfinished fit.

    Parameters
    ----------
    folder
        Where it is kept; made when it is first written.
    identity
        Of the fit: see :func:`fit_identity`.
    """

    folder: Path
    identity: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.identity}.npz"

    def save(self, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
        """Put both in the place of what was saved before; a kill leaves the one or the other.

        Parameters
        ----------
        arrays
            By names other than ``state``; bits are kept.
        state
            Plain values, as JSON has them.

        Raises
        ------
        WorkspaceError
            If the folder cannot be written.
        """
        temporary = self.folder / f".{self.path.name}.{uuid4().hex[:8]}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **{**arrays, _STATE: np.array(json.dumps(state))})
            temporary.replace(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise WorkspaceError(
                f"cannot write a checkpoint: {error}",
                where=str(self.folder),
                remedy="free some space, or choose a folder you may write to with ENGINE_STATE",
            ) from error

    def load(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """What was saved last, or None.

        A damaged file is told of in the log and counts as none: nothing is lost with it but time.
        """
        try:
            with np.load(self.path, allow_pickle=False) as found:
                arrays = dict(found)
            return arrays, json.loads(str(arrays.pop(_STATE)))
        except FileNotFoundError:
            return None
        except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
            logging.getLogger(__name__).warning("checkpoint %s is damaged, training anew: %s", self.path, error)
            return None

    def remove(self) -> None:
        """Forget it: the fit has ended."""
        self.path.unlink(missing_ok=True)


def fit_identity(settings: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> str:
    """SHA-256 of all that decides what a fit of a network comes to.

    Parameters
    ----------
    settings
        Family, settings and seed, as JSON has them.
    arrays
        Features, rows, labels and weights, in an order that means something.
    """
    import keras
    import tensorflow as tf

    versions = [keras.__version__, tf.__version__, np.__version__]
    total = hashlib.sha256(json.dumps([versions, settings], sort_keys=True).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        total.update(hashlib.sha256(source.read_bytes()).digest())
    for array in arrays:
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
