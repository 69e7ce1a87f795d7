"""A process that is killed at any step of a write leaves the old state or the new one, and doing it again heals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.store.bar_store import BarStore
from pipelines.store.errors import DamagedStoreError, UnknownSeriesError
from pipelines.store.repair import repair
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, first_append, make_bars, next_append, prepare_next


def state(root: Path) -> pd.DataFrame | None:
    """Every observation; None where nothing is stored."""
    store = BarStore(root)
    try:
        return store.table(SERIES).observations(list(store.log(SERIES).entries))
    except UnknownSeriesError:
        return None


def same(left: pd.DataFrame | None, right: pd.DataFrame | None) -> bool:
    return left is right if left is None or right is None else left.equals(right)


def files(root: Path) -> dict[str, bytes]:
    """Content of every file but the locks, hidden ones too."""
    found = (path for path in root.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize(("name", "again"), [("first", first_append), ("next", next_append)])
def test_an_append_killed_at_any_step(
    tmp_path: Path, killed: Callable[..., Any], name: str, again: Callable[[Path], None]
) -> None:
    steps = killed("steps", tmp_path, name)["steps"]
    assert steps > 12
    old, new, whole = state(tmp_path / "base"), state(tmp_path / "whole"), files(tmp_path / "whole")
    assert not same(old, new)
    last = tmp_path / f"{steps - 1:03d}"
    pd.testing.assert_frame_equal(BarStore(last).read(SERIES), BarStore(tmp_path / "whole").read(SERIES))
    found = []
    for step in range(steps):
        root = tmp_path / f"{step:03d}"
        found.append(state(root))
        assert same(found[-1], old) or same(found[-1], new), f"step {step}"
        again(root)
        # Not only the same bars: the same bytes, and nothing beside them.
        assert files(root) == whole, f"step {step}"
    # There is one moment at which it happens: before it the old state, from then on the new one.
    happened = [same(one, new) for one in found]
    assert happened == sorted(happened)
    assert True in happened
    assert False in happened


@pytest.mark.parametrize("name", ["repair", "rebuild"])
def test_a_repair_killed_at_any_step(tmp_path: Path, killed: Callable[..., Any], name: str) -> None:
    steps = killed("steps", tmp_path, name)["steps"]
    assert steps > 12
    prepare_next(tmp_path / "sound")
    wanted, whole = state(tmp_path / "sound"), files(tmp_path / "whole")
    for step in range(steps):
        root = tmp_path / f"{step:03d}"
        try:
            assert same(state(root), wanted), f"step {step}"
        except DamagedStoreError:
            assert name == "rebuild"
            assert not (root / SERIES.folder / "log.json").exists()
        repair(BarStore(root).table(SERIES))
        assert same(state(root), wanted), f"step {step}"
        assert files(root).keys() == whole.keys(), f"step {step}"


def test_an_export_killed_at_any_step(tmp_path: Path, killed: Callable[..., Any]) -> None:
    steps = killed("steps", tmp_path, "export")["steps"]
    old, new = ((tmp_path / name / "bars.csv").read_bytes() for name in ("base", "whole"))
    found = [(tmp_path / f"{step:03d}" / "bars.csv").read_bytes() for step in range(steps)]
    assert {old, new} == set(found)


def test_a_hundred_kills_at_random_lose_nothing_that_was_acknowledged(
    tmp_path: Path, killed: Callable[..., Any]
) -> None:
    acknowledged = killed("random", tmp_path, 100, 1)["acknowledged"]
    assert acknowledged > 100
    found = BarStore(tmp_path).read(SERIES)
    # The append that was under way may be there as well.
    assert acknowledged <= len(found) <= acknowledged + 3
    pd.testing.assert_frame_equal(found, make_bars(len(found)), check_freq=False)
    assert BarStore(tmp_path).corrections(SERIES).empty
    BarStore(tmp_path).append(SERIES, make_bars(len(found) + 3), RECORDED + pd.Timedelta(days=365))
    assert len(BarStore(tmp_path).read(SERIES)) == len(found) + 3
    assert len(repair(BarStore(tmp_path).table(SERIES)).orphans) == 0
