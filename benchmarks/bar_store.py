"""The bar store beside one big file, pandas and delta-rs: ``python -m benchmarks.bar_store --years 5 --symbols 10``.

1-minute bars of several symbols. Asked for: one symbol's month, all years of one symbol, one more bar, the same bars
again. The big file is sorted by symbol and time, so that it can be read by row groups. pandas reads the symbol's own
file of all years. Of each reading the bytes that the process asked the kernel for are counted. Ours verifies the digest
of every file that it reads, so it reads each twice; nobody else verifies anything.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._timing import measure, show
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.repair import repair

FIRST = pd.Timestamp("2019-01-01", tz="UTC")
RECORDED = pd.Timestamp("2030-01-01", tz="UTC")
MONTH = (pd.Timestamp("2019-10-01", tz="UTC"), pd.Timestamp("2019-11-01", tz="UTC"))


def series(number: int) -> Series:
    """One of the symbols."""
    return Series("benchmark", f"C{number}/USDT", "1m")


def months(number: int, years: int) -> Iterator[pd.DataFrame]:
    """Bars of one symbol, a month at a time: a random walk in ticks of a cent, volumes with three decimals."""
    rng = np.random.default_rng(number)
    price = 100.0
    starts = pd.date_range(FIRST, periods=12 * years + 1, freq="MS")
    for start, end in pairwise(starts):
        index = pd.date_range(start, end, freq="1min", inclusive="left", name="timestamp").as_unit("us")
        closes = np.maximum(price + np.cumsum(rng.normal(0, 0.03, len(index))), 1.0).round(2)
        opens = np.concatenate([[price], closes[:-1]]).round(2)
        spread = rng.exponential(0.03, (2, len(index)))
        price = closes[-1]
        yield pd.DataFrame(
            {
                "open": opens,
                "high": (np.maximum(opens, closes) + spread[0]).round(2),
                "low": (np.minimum(opens, closes) - spread[1]).round(2),
                "close": closes,
                "volume": rng.exponential(5.0, len(index)).round(3),
            },
            index=index,
        )


def main() -> None:
    """Build everything in a temporary folder, ask, and compare the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=5, help="of 1-minute bars")
    parser.add_argument("--symbols", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7, help="calls of which the median counts")
    parser.add_argument("--folder", type=Path, help="where to build, about 1.3 GB at the defaults; default: temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bar-store-") as folder:
        compare(Path(folder), arguments.years, arguments.symbols, arguments.repeats)


def compare(folder: Path, years: int, symbols: int, repeats: int) -> None:
    """Measure all of it."""
    store = BarStore(folder / "store")
    start = time.perf_counter()
    count = sum(
        store.append(series(one), chunk, RECORDED).added for one in range(symbols) for chunk in months(one, years)
    )
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in store.root.rglob("*.parquet"))
    print(f"{count:,} bars of {symbols} symbols, median of {repeats} calls; ours {size / 1e6:,.0f} MB")
    print(f"appended month by month at {count / seconds / 1e6:.2f} million bars a second, their making included")
    big, own = folder / "big.parquet", folder / "own.parquet"
    write_peers(big, own, years, symbols)

    print("\none month of one symbol")
    wanted = store.read(series(symbols - 1), *MONTH)
    ours = reading("ours", lambda: store.read(series(symbols - 1), *MONTH), repeats, None)
    for name, ask in {
        "DuckDB, one big file": lambda: from_duckdb(big, symbols - 1),
        "pyarrow, one big file": lambda: from_arrow(big, symbols - 1),
        "pandas, the symbol's file of all years": lambda: from_pandas(own),
    }.items():
        reading(name, ask, repeats, ours, wanted)

    print("\nall years of one symbol")
    whole = store.read(series(symbols - 1))
    ours = reading("ours", lambda: store.read(series(symbols - 1)), repeats, None)
    reading("pandas, the symbol's file", lambda: without_symbol(pd.read_parquet(own)), repeats, ours, whole)

    print("\none more bar, flushed to the disk (median, and the slowest of a hundred)")
    more = one_by_one(whole.index[-1], 100)
    median, slowest = latencies(lambda bar: store.append(series(symbols - 1), bar, RECORDED), more)
    show(
        "ours",
        median,
        median,
        f"slowest {slowest * 1e3:.0f} ms, {newest_files(store, symbols)} files in its last month",
    )
    peers_of_append(folder, whole, more, median)
    again, _ = measure(lambda: store.append(series(symbols - 1), wanted, RECORDED), repeats)
    show("ours: a month that is there already", again, median)
    start = time.perf_counter()
    repair(store.table(series(symbols - 1)))
    print(f"repair: every file of one symbol verified in {time.perf_counter() - start:.2f} s")
    memory(folder, years)


def reading(
    name: str,
    ask: Callable[[], pd.DataFrame],
    repeats: int,
    reference: float | None,
    wanted: pd.DataFrame | None = None,
) -> float:
    """Time a reading, count its bytes, and hold its answer against ours."""
    before = bytes_read()
    answer = ask()
    read = bytes_read() - before
    seconds, _ = measure(ask, repeats)
    if wanted is not None:
        pd.testing.assert_frame_equal(answer, wanted, check_freq=False, check_names=False)
    show(name, seconds, reference or seconds, f"{len(answer):,} bars, {read / 1e6:.1f} MB read")
    return seconds


def bytes_read() -> int:
    """Bytes that this process has asked the kernel for."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"])


def write_peers(big: Path, own: Path, years: int, symbols: int) -> None:
    """All symbols in one file, and the last symbol in one of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = None
    for path, numbers in ((big, range(symbols)), (own, [symbols - 1])):
        writer = None
        for number in numbers:
            whole = pd.concat(months(number, years)).assign(symbol=f"C{number}/USDT")
            table = pa.Table.from_pandas(whole, schema=schema)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=122_880)
        if writer:
            writer.close()


def from_duckdb(path: Path, number: int) -> pd.DataFrame:
    """The month by SQL."""
    from pipelines.store.query import fetch

    columns = "timestamp, open, high, low, close, volume"
    where = f"symbol = 'C{number}/USDT' AND timestamp >= '{MONTH[0]}' AND timestamp < '{MONTH[1]}'"
    return fetch(f"SELECT {columns} FROM read_parquet('{path}') WHERE {where}", "timestamp").set_index("timestamp")


def from_arrow(path: Path, number: int) -> pd.DataFrame:
    """The month by pyarrow's filters."""
    import pyarrow.parquet as pq

    filters = [("symbol", "=", f"C{number}/USDT"), ("timestamp", ">=", MONTH[0]), ("timestamp", "<", MONTH[1])]
    return without_symbol(pq.read_table(path, filters=filters).to_pandas())


def from_pandas(path: Path) -> pd.DataFrame:
    """The month out of all years."""
    whole = without_symbol(pd.read_parquet(path))
    return whole[(whole.index >= MONTH[0]) & (whole.index < MONTH[1])]


def without_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of bars."""
    return frame.drop(columns="symbol")


def one_by_one(last: pd.Timestamp, count: int) -> list[pd.DataFrame]:
    """Bars that follow."""
    index = pd.date_range(last, periods=count + 1, freq="1min", name="timestamp").as_unit("us")[1:]
    frame = pd.DataFrame(dict.fromkeys(["open", "high", "low", "close", "volume"], 1.0), index=index)
    return [frame.iloc[at : at + 1] for at in range(count)]


def latencies(append: Callable[[pd.DataFrame], Any], bars: list[pd.DataFrame]) -> tuple[float, float]:
    """Median and greatest seconds of appending each."""
    taken = []
    for bar in bars:
        start = time.perf_counter()
        append(bar)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)), max(taken)


def newest_files(store: BarStore, symbols: int) -> int:
    """Files of the newest month."""
    entries = store.log(series(symbols - 1)).entries
    return sum(entry.period == entries[-1].period for entry in entries)


def peers_of_append(folder: Path, whole: pd.DataFrame, more: list[pd.DataFrame], reference: float) -> None:
    """delta-rs, which appends without asking whether a bar is there, and does not flush."""
    if not find_spec("deltalake"):
        print("deltalake is not installed: not measured")
        return
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    path = str(folder / "delta")

    def append(frame: pd.DataFrame) -> None:
        frame = frame.reset_index().assign(period=frame.index.strftime("%Y-%m"))
        write_deltalake(path, pa.Table.from_pandas(frame, preserve_index=False), partition_by=["period"], mode="append")

    append(whole)
    median, slowest = latencies(append, more)
    files = len(DeltaTable(path).file_uris())
    show("delta-rs: append", median, reference, f"slowest {slowest * 1e3:.0f} ms, {files} files, not flushed")


MEMORY = """
import sys
from pathlib import Path
from benchmarks.bar_store import RECORDED, months, peak, series
from pipelines.store.bar_store import BarStore
from pipelines.store.query import connect
connect().close()
store, number = BarStore(Path(sys.argv[1])), 999
count, said = 0, [("imports", peak())]
for chunk in months(number, int(sys.argv[2])):
    count += store.append(series(number), chunk, RECORDED).added
    said += [("first month appended", peak())] * (len(said) == 1)
said.append(("all appended", peak()))
read = sum(len(chunk) for chunk in store.chunks(series(number)))
said.append(("all read again", peak()))
print(f"{count:,} bars by month, peaks in MB:", ", ".join(f"{name} {size:.0f}" for name, size in said))
"""


def peak() -> float:
    """Most memory that this process has held so far, in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def memory(folder: Path, years: int) -> None:
    """Peak memory of a process that appends all years of a symbol and reads them again, a month at a time."""
    print("\nmemory")
    command = [sys.executable, "-c", MEMORY, str(folder / "store"), str(years)]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")


if __name__ == "__main__":
    main()
