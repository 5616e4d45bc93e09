"""What threads bring: training steps and batch inference of the character model, alone and shared by a team.

    python benchmarks/threads.py race       time on the clock with 1 and 2 threads, in turn; then beside a busy process
    python benchmarks/threads.py balance    processor time of each member between meetings: what the division allows

`race` needs a machine that nobody else uses. `balance` needs only patience: it sums, over all stretches between two
meetings, the longest member's time (the least of many calls), and compares that with the time of all members.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import seqc
from seqc.driver.options import Options

HERE = Path(__file__).resolve().parent
STEPS, BATCH, SYMBOLS = 64, 32, 65
BUSY = "while True: pass"


def data() -> list[Any]:
    """Symbols, and those that follow."""
    random = np.random.default_rng(1)
    return [random.integers(0, SYMBOLS, (STEPS, BATCH)).astype(np.int32) for _ in range(2)]


def clock(call: Callable[[], Any]) -> float:
    """Milliseconds."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1e3


def race(sizes: list[int], threads: int, rounds: int) -> None:
    """Medians of rounds in which each number of threads has its turn."""
    text, following = data()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}, processors: {os.cpu_count()}")
    for busy in (False, True):
        other = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
        print("beside a busy process" if busy else "alone")
        for size in sizes:
            model = seqc.load(HERE / "charlm.seq", dims={"H": size}, engine="library")
            calls = {
                "update": lambda model=model: model.update(text, following),
                "infer": lambda model=model: model.infer(text),
            }
            for name, call in calls.items():
                times = turns(model, call, (1, threads), rounds)
                one, more = (statistics.median(each) for each in times)
                best = min(times[0]) / min(times[1])
                print(
                    f"  H {size:4}  {name:7}  1 thread {one:8.2f} ms   {threads} threads {more:8.2f} ms"
                    f"   ratio {one / more:.2f} (of the best calls {best:.2f})"
                )
        if other is not None:
            other.kill()
            other.wait()


def turns(model: Any, call: Callable[[], Any], threads: tuple[int, ...], rounds: int) -> list[list[float]]:
    """Milliseconds of each number of threads."""
    found: list[list[float]] = [[] for _ in threads]
    for _ in range(rounds):
        for count, times in zip(threads, found, strict=True):
            model.threads = count
            call()
            times.append(clock(call))
    return found


def balance(sizes: list[int], threads: int, rounds: int) -> None:
    """Time of all members over that of the longest ones, for one update."""
    sys.path.insert(0, str(HERE.parent))
    from tests.compiled.client import RUNTIME, Client

    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libtimed.so"
        command = ["cc", "-O2", "-shared", "-fPIC", "-I", str(RUNTIME), "-o", str(library)]
        subprocess.run([*command, str(HERE / "threads.c"), "-lpthread"], check=True)
        timed = ctypes.CDLL(str(library))
        timed.timed_team.restype = ctypes.c_void_p
        team = timed.timed_team(threads)
        for size in sizes:
            client = client_of(Client, size, Path(folder) / str(size))
            client.team = team
            total, longest, count = stretches(timed, client, threads, rounds)
            print(
                f"H {size:4}  update: {total / 1e3:8.2f} ms in all, {longest / 1e3:8.2f} ms along the longest members"
                f" of {count} stretches: {total / longest:.2f} times as fast with {threads}"
            )


def client_of(make: Any, size: int, folder: Path) -> Any:
    """The compiled model of one size, called as from C."""
    options = Options(dims=(("H", size),))
    seqc.build(HERE / "charlm.seq", folder, emit=("shared", "header"), options=options)
    text = next(folder.glob("*.json")).read_text(encoding="utf-8")
    client = make(folder / json.loads(text)["library"], text)
    model = seqc.load(HERE / "charlm.seq", dims={"H": size}, engine="library")
    for name, array in client.parameters().items():
        array[...] = model.params[name]
    return client


def stretches(timed: Any, client: Any, threads: int, rounds: int) -> tuple[float, float, int]:
    """Microseconds of all members, of the longest in each stretch, and how many stretches there are."""
    inputs, best = data(), None
    for _ in range(rounds):
        timed.start()
        code, _ = client.update(inputs, None, STEPS, BATCH)
        assert code == 0
        rows = []
        for member in range(threads):
            row = np.zeros(4096)
            count = timed.noted(member, row.ctypes.data_as(ctypes.c_void_p))
            rows.append(row[:count])
        now = np.array(rows)
        best = now if best is None else np.minimum(best, now)
    assert best is not None
    return float(best.sum()), float(best.max(axis=0).sum()), best.shape[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("race", "balance"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    (race if chosen.what == "race" else balance)(chosen.sizes, chosen.threads, chosen.rounds)


if __name__ == "__main__":
    main()
