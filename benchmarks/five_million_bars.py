"""Memory and speed of the first three stages on long histories: ``python -m benchmarks.five_million_bars``.

1-minute bars are written to one file in a temporary folder, a fifth as many to another. Then *ingest*, *validate* and
*features* run on each as they do in a run: each stage a process of its own in a workspace, with the groups of features
of ``params.yaml``. Printed are seconds, rows a second and the most memory that the process held, imports included. The
stages read, judge, compute and write in pieces, so the peak must not grow with the bars.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("ingest", "validate", "features")
FIRST = pd.Timestamp("2012-01-01", tz="UTC")
# Open stamp, four prices and volume.
BYTES_OF_A_BAR = 48
_PIECE = 100_000


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    seconds: float
    peak: float
    """MB."""


def main() -> None:
    """Measure both lengths and print them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=5_000_000, help="of the long history")
    parser.add_argument("--format", choices=("csv.gz", "parquet"), default="csv.gz", help="of the source")
    parser.add_argument("--order", choices=("ascending", "descending"), default="ascending", help="of its rows")
    parser.add_argument("--timeframe", default="1m", help="of the bars that features are computed of")
    parser.add_argument("--folder", type=Path, help="where to work, about 9 GB at the defaults; default: temporary")
    arguments = parser.parse_args()
    counts = [arguments.bars // 5, arguments.bars]
    costs = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="five-million-bars-") as folder:
            workspace = Path(folder)
            source = workspace / f"bars.{arguments.format}"
            write(source, count, arguments.order)
            prepare(workspace, source, arguments.timeframe)
            costs.append([run(workspace, stage) for stage in STAGES])
    show(counts, costs)


def pieces(count: int) -> Iterator[pd.DataFrame]:
    """Bars of a random walk in ticks of a cent, one minute in five thousand missing."""
    rng = np.random.default_rng(7)
    price, minute = 10_000.0, 0
    for begin in range(0, count, _PIECE):
        size = min(_PIECE, count - begin)
        minutes = minute + np.cumsum(rng.choice([1, 2], size, p=[0.9998, 0.0002]))
        closes = np.maximum(price + np.cumsum(rng.normal(0, 3.0, size)), 100.0).round(2)
        opens = np.append(price, closes[:-1]).round(2)
        wicks = rng.exponential(2.0, (2, size))
        yield pd.DataFrame(
            {
                "timestamp": FIRST + pd.to_timedelta(minutes, unit="min"),
                "open": opens,
                "high": (np.maximum(opens, closes) + wicks[0]).round(2),
                "low": (np.minimum(opens, closes) - wicks[1]).round(2),
                "close": closes,
                "volume": rng.exponential(5.0, size).round(4),
            }
        )
        price, minute = closes[-1], int(minutes[-1])


def write(path: Path, count: int, order: str) -> None:
    """The source, piece by piece: this process stays small, for a child's peak counts what its parent held."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = pieces(count)
    if order == "descending":
        found = (piece.iloc[::-1] for piece in reversed(list(found)))
    if path.suffix == ".parquet":
        writer = None
        for piece in found:
            table = pa.Table.from_pandas(piece, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
        if writer:
            writer.close()
        return
    for at, piece in enumerate(found):
        piece.to_csv(
            path,
            index=False,
            header=at == 0,
            mode="a" if at else "w",
            compression={"method": "gzip", "compresslevel": 1},
        )


def prepare(workspace: Path, source: Path, timeframe: str) -> None:
    """A workspace as a stage finds it: params, the run's identity, nothing beside the bars."""
    (workspace / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    identity = yaml.safe_load((ROOT / "run.yaml").read_text(encoding="utf-8"))
    identity |= {"symbol": "BTC/USD", "timeframe": timeframe, "source": str(source), "as_of": None}
    if "context" in identity:
        (workspace / "context").mkdir()
        identity["context"] = "context"
    (workspace / "run.yaml").write_text(yaml.safe_dump(identity), encoding="utf-8")


def run(workspace: Path, stage: str) -> Cost:
    """One stage as a process."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{stage}"], cwd=workspace, env=os.environ | {"PYTHONPATH": paths}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{stage} ended with {process.returncode}")
    return Cost(time.perf_counter() - start, usage.ru_maxrss / 1024)


def show(counts: Sequence[int], costs: Sequence[Sequence[Cost]]) -> None:
    """Both lengths, stage by stage, and how much the peak has grown beside the bars."""
    sizes = [count * BYTES_OF_A_BAR / 1e6 for count in counts]
    print(
        f"\n{'':<10}" + "".join(f"{f'{n:,} bars of {size:.0f} MB':>40}" for n, size in zip(counts, sizes, strict=True))
    )
    print(f"{'stage':<10}" + f"{'seconds':>14}{'bars/s':>14}{'peak MB':>12}" * len(counts) + f"{'growth MB':>14}")
    for at, stage in enumerate(STAGES):
        each = [column[at] for column in costs]
        cells = (
            f"{cost.seconds:>14.1f}{count / cost.seconds:>14,.0f}{cost.peak:>12.0f}"
            for count, cost in zip(counts, each, strict=True)
        )
        print(f"{stage:<10}" + "".join(cells) + f"{each[-1].peak - each[0].peak:>14.0f}")
    print(f"{'the bars':<10}" + "".join(f"{size:>40.0f}" for size in sizes) + f"{sizes[-1] - sizes[0]:>14.0f}")


if __name__ == "__main__":
    main()
