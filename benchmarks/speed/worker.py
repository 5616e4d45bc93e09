"""What runs in a process of its own: one peer, one row, told over a pipe when to run and for how long.

Answers are pairs ("ready", facts), ("times", a Turn) or ("skip", reason); a broken peer is a skip with its message.

Between its calls each process reads the multiply-add rate of its core, in bursts too short to cool it: the clock sinks by a
tenth and more while all multipliers work, and has recovered a moment later.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from seqc.driver.rates import Meter
from speed.peers import Peer, Runner, Skip, make
from speed.work import Work

MOST = 4000
"""Calls of one turn."""

BURST = 15e-6
"""Seconds of one reading of the multiply-add rate."""

APART = 1e-3
"""Seconds of work between two readings, at least: more of them would warm a core that has little to do."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds per unit: the median of wall-clock times and the mean time of processor; `rate`: multiply-adds read between the
    calls, in operations a second; `total`: a sum over the outputs."""

    seconds: float
    processor: float
    rate: float
    total: float


def serve(
    pipe: Connection, peer: Peer, work: Work, weights: dict[str, np.ndarray] | None, cores: tuple[int, ...]
) -> None:
    """Makes the peer's runner and obeys the pipe until it is told to stop."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(len(cores))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    try:
        runner = make(peer, work, weights)
        facts: dict[str, Any] = {"outcome": runner.outcome(), "weights": runner.weights, "note": runner.note}
        for _ in range(2):
            runner.run()
    except Skip as reason:
        pipe.send(("skip", str(reason)))
        return
    except Exception as error:
        pipe.send(("skip", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"))
        if "GRID_DEBUG" in os.environ:
            raise
        return
    pipe.send(("ready", facts))
    gc.disable()
    meter = Meter()
    while True:
        order = pipe.recv()
        if order is None:
            return
        pipe.send(("times", turn(runner, order, meter)))


def turn(runner: Runner, seconds: float, meter: Meter) -> Turn:
    """Calls for so many seconds, and readings between them."""
    found, readings, total, reading = [], [], 0.0, 0.0
    runner.run()  # another process had the caches
    begin = read = time.perf_counter()
    used = time.process_time()
    while True:
        start = time.perf_counter()
        total += runner.run()
        stop = time.perf_counter()
        found.append(stop - start)
        if stop > begin + seconds or len(found) >= MOST:
            break
        if stop - read > APART:
            spent = time.process_time()
            readings.append(meter.multiply_adds(4, BURST))
            reading += time.process_time() - spent
            read = time.perf_counter()
    used = (time.process_time() - used - reading) / len(found)
    rate = statistics.median(readings or [meter.multiply_adds(4, BURST)])
    return Turn(statistics.median(found) / runner.inside, used / runner.inside, rate, total)
