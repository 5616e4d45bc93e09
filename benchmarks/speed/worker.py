"""What runs in a process of its own: one peer, one row, told over a pipe when to run and for how long.

Answers are pairs ("ready", facts), ("times", figures of a turn) or ("skip", reason); a broken peer is a skip with its message.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from speed.peers import Peer, Runner, Skip, make
from speed.work import Work

MOST = 4000
"""Calls of one turn."""


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
    while True:
        order = pipe.recv()
        if order is None:
            return
        pipe.send(("times", turn(runner, order)))


def turn(runner: Runner, seconds: float) -> tuple[float, float, float]:
    """The median time of a call in a turn and its mean time of processor, both per unit, and a sum over the outputs."""
    found, total = [], 0.0
    runner.run()  # another process had the caches
    end = time.perf_counter() + seconds
    used = time.process_time()
    while True:
        start = time.perf_counter()
        total += runner.run()
        stop = time.perf_counter()
        found.append(stop - start)
        if stop > end or len(found) >= MOST:
            break
    used = (time.process_time() - used) / len(found)
    return statistics.median(found) / runner.inside, used / runner.inside, total
