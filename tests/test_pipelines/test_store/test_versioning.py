"""DVC versions a series by its folder: nothing but its own bars makes a run on it stale, and old states come back."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines.store.bar_store import BarStore, Series
from pipelines.store.repair import repair
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, make_bars, prepare_next

STAGE = """stages:
  ingest:
    cmd: wc -l < {folder}/log.json > lines.txt
    deps: [{folder}]
    outs: [lines.txt]
"""


def dvc(workspace: Path, *words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_stage_depends_on_its_own_series_and_a_state_can_be_restored(tmp_path: Path) -> None:
    store = BarStore(tmp_path / "data" / "store")
    prepare_next(store.root)
    folder = ("data/store" / SERIES.folder).as_posix()
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    # The cache keeps the very files by hard links: the store replaces files, and never writes into one.
    dvc(tmp_path, "config", "cache.type", "hardlink")
    (tmp_path / "dvc.yaml").write_text(STAGE.format(folder=folder))
    dvc(tmp_path, "repro", "--quiet")
    store.append(Series("binance", "ETH/USDT", "30m"), make_bars(50), RECORDED)
    store.append(SERIES, make_bars(110), RECORDED)
    assert dvc(tmp_path, "status", "--json").strip() == "{}"
    store.append(SERIES, make_bars(111), RECORDED)
    assert "ingest" in dvc(tmp_path, "status", "--json")

    before = store.read(SERIES)
    dvc(tmp_path, "add", "--quiet", folder)
    assert store.series() == [SERIES, Series("binance", "ETH/USDT", "30m")]
    store.append(SERIES, make_bars(111, moved=0.5), RECORDED + pd.Timedelta(days=1))
    repair(store.table(SERIES))
    dvc(tmp_path, "checkout", "--quiet", "--force")
    pd.testing.assert_frame_equal(store.read(SERIES), before)
    assert store.corrections(SERIES).empty
    assert repair(store.table(SERIES), dry_run=True).clean
    assert store.append(SERIES, make_bars(112), RECORDED).added == 1
