"""What windows cost in memory and time: ``python -m benchmarks.windows_memory --rows 20000 --features 60 --window 48``.

The LSTM is trained by the same loop twice: on windows that each batch gathers from the rows, as the engine does it, and
on windows that were all made beforehand. Each training has a process of its own; memory is the peak of its resident
size over what it held before, with the features loaded and the network built; time is the processor's, all threads.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from models.training import Plan, cross_entropy, train
from pipelines.settings import quiet_environment

WAYS = ("gathered", "materialised")
# What issue and docs promise of gathered windows beside materialised ones.
MOST_MEMORY, MOST_TIME = 0.5, 1.1


def _resident(key: str) -> int:
    """Present (``VmRSS``) or largest (``VmHWM``) resident size of this process in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def trained(way: str, arguments: argparse.Namespace) -> tuple[int, float]:
    """Peak bytes and processor seconds that a training adds to a process with the features and the network."""
    import keras
    import tensorflow as tf

    from models.sequence import single_thread

    single_thread()
    window, features = arguments.window, arguments.features
    generator = np.random.default_rng(0)
    rows = np.arange(window - 1, arguments.rows)
    data = tf.constant(generator.normal(size=(arguments.rows, features)).astype(np.float32))
    labels = generator.integers(2, size=len(rows)).astype(np.float64)
    shape = (window, features) if way == "gathered" else (1, window * features)
    inputs = keras.Input(shape)
    hidden = keras.layers.LSTM(arguments.units, seed=1)(keras.layers.Reshape((window, features))(inputs))
    network = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    plan = Plan(
        window=shape[0],
        epochs=arguments.epochs,
        batch_size=256,
        learning_rate=1e-3,
        warmup=0.1,
        patience=0,
    )
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    start = time.process_time()
    if way == "materialised":
        # A window is one long row, so that the loop finds it whole.
        data = tf.reshape(tf.gather(data, rows[:, None] + np.arange(1 - window, 1)), (len(rows), window * features))
        rows = np.arange(len(rows))
    train(
        network,
        data,
        rows,
        labels,
        np.ones(len(rows)),
        plan=plan,
        loss=cross_entropy,
        generator=np.random.default_rng(1),
    )
    return _resident("VmHWM") - before, time.process_time() - start


def _measured(way: str, given: list[str]) -> tuple[int, float]:
    command = [sys.executable, "-m", "benchmarks.windows_memory", *given, "--only", way]
    peak, seconds = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return peak, seconds


def main() -> None:
    """Print peak and time of both ways and their ratios; exit 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=60)
    parser.add_argument("--window", type=int, default=48, help="rows in a window")
    parser.add_argument("--units", type=int, default=32, help="of the LSTM")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="trainings of each way; medians count")
    parser.add_argument("--only", choices=WAYS, help="train once this way and print bytes and seconds as JSON")
    arguments = parser.parse_args()
    quiet_environment()
    if arguments.only:
        print(json.dumps(trained(arguments.only, arguments)))
        return
    # Turn about, so that a machine that slows down slows both.
    runs = [{way: _measured(way, sys.argv[1:]) for way in WAYS} for _ in range(arguments.repeats)]
    memory, seconds = (_medians(runs, place) for place in (0, 1))
    for way in WAYS:
        print(f"{way:<14}{memory[way] / 2**20:>9.0f} MiB added{seconds[way]:>9.2f} s")
    ratios = {
        name: found["gathered"] / found["materialised"] for name, found in (("memory", memory), ("time", seconds))
    }
    kept = ratios["memory"] <= MOST_MEMORY and ratios["time"] <= MOST_TIME
    print(f"gathered / materialised: memory {ratios['memory']:.2f} (at most {MOST_MEMORY}), ", end="")
    print(f"time {ratios['time']:.2f} (at most {MOST_TIME})")
    sys.exit(not kept)


def _medians(runs: list[dict[str, tuple[int, float]]], place: int) -> dict[str, float]:
    return {way: median(run[way][place] for run in runs) for way in WAYS}


if __name__ == "__main__":
    main()
