"""Lets ours and the peers of a row take turns, each in a fresh process, and makes one result of it.

All processes stay alive through a row, and one runs at a time, so that what the machine does besides meets all of them alike.
Figures of a row are medians over rounds; a ratio is the median of the ratios within each round. The multiply-add rate that
a row is held against is the one read between our own calls.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from seqc.driver.rates import measured
from seqc.plan.rates import Rates
from speed import cells, floor
from speed.peers import OURS, Peer, partners
from speed.work import Work
from speed.worker import Turn, serve

PATIENCE = 600.0
"""Seconds after which a peer that prepares itself is given up."""

TOLERANCE = {"f32": 2e-4, "bf16": 3e-2, "int8": 3e-2}
"""Largest difference between results, in parts of the largest value."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per unit of one participant: the median over rounds and the middle half; `rounds` in order."""

    name: str
    median: float
    low: float
    high: float
    rounds: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One row as it came out. `ratio`: ours to the best peer, with its middle half; `share`: floor divided by ours;
    `filled`: what its parts need one after the other, divided by ours."""

    grid: str
    work: Work
    ours: Timing | None
    peers: tuple[Timing, ...]
    best: str
    ratio: tuple[float, float, float] | None
    floor: float
    share: float | None
    rate: float
    notes: tuple[str, ...]
    filled: float | None = None


class Participant:
    """A process that runs one peer on one row."""

    def __init__(
        self, peer: Peer, work: Work, weights: dict[str, np.ndarray] | None, cores: tuple[int, ...]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.peer, self.cores = peer, cores
        pipe, other = context.Pipe()
        self.pipe: Connection = pipe
        self.process: BaseProcess = context.Process(
            target=serve, args=(other, peer, work, weights, cores), daemon=True
        )
        self.process.start()
        other.close()
        self.rounds: list[float] = []
        self.rates: list[float] = []

    def answer(self, limit: float) -> tuple[str, Any]:
        """What the process says next, or why it says nothing."""
        try:
            if not self.pipe.poll(limit):
                return "skip", f"not ready after {limit:.0f} s"
            found: tuple[str, Any] = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return "skip", "its process ended"
        return found

    def turn(self, seconds: float, processor: bool) -> None:
        """One turn; its median is kept, or its time of processor."""
        self.pipe.send(seconds)
        kind, value = self.answer(PATIENCE)
        if kind == "times":
            found: Turn = value
            self.rounds.append(found.processor if processor else found.seconds)
            self.rates.append(found.rate)

    def stop(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()

    def timing(self, note: str) -> Timing:
        """The figures of all rounds."""
        low, middle, high = quarters(self.rounds)
        return Timing(self.peer.name, middle, low, high, tuple(self.rounds), note)


def quarters(values: list[float]) -> tuple[float, float, float]:
    """Lower quarter, median, upper quarter."""
    ordered = sorted(values)
    count = len(ordered)
    return ordered[count // 4], statistics.median(ordered), ordered[(3 * count) // 4]


def clean_environment() -> None:
    """One thread unless a row says more, and nothing that ties a library's hands."""
    for name in [each for each in os.environ if each.startswith("OPENBLAS_")]:
        del os.environ[name]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def cores_of(work: Work) -> tuple[int, ...]:
    """The last cores that this process may use, as many as the row has threads."""
    if not hasattr(os, "sched_getaffinity"):
        return tuple(range(work.threads))
    return tuple(sorted(os.sched_getaffinity(0)))[-work.threads :]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to run rows: seconds of turns a row; `compiled` lets torch.compile take part; `processor` counts the time that the
    processor worked instead of the time that passed, for machines that others use too (rows of one thread only)."""

    budget: float
    compiled: bool = False
    processor: bool = False


def run(grid: str, work: Work, manner: Manner, say: Callable[[str], None]) -> Result:
    """One row: prepares all, checks that they agree, lets them take turns."""
    notes: list[str] = []
    cores = cores_of(work)
    ours = Participant(OURS, work, None, cores)
    kind, facts = ours.answer(PATIENCE)
    participants, said = [], {}
    weights, outcome = None, None
    if kind == "ready":
        participants.append(ours)
        weights, outcome = facts["weights"], facts["outcome"]
        notes += stream_check(work, facts)
        notes += [f"seqc: {facts['note']}"] if facts["note"] else []
    else:
        notes.append(str(facts))
        ours.stop()
        weights = start_of(replace(work, precision="f32"), cores) if work.precision != "f32" else None
        if weights is None:
            return Result(grid, work, None, (), "", None, 0.0, None, 0.0, tuple(notes))
    for peer in partners(work, manner.compiled):
        missing = peer.missing()
        if missing:
            notes.append(f"{peer.name}: {', '.join(missing)} is not installed")
            continue
        mine = replace(work, threads=1) if peer is OURS else work
        other = Participant(peer, mine, weights, cores_of(mine))
        kind, found = other.answer(PATIENCE)
        if kind == "skip":
            notes.append(f"{peer.name}: {found}")
            other.stop()
            continue
        if outcome is not None and work.kind != "ragged":
            notes += compare(work, peer, outcome, found["outcome"])
        said[peer.name] = found["note"]
        participants.append(other)
    say(", ".join(each.peer.name for each in participants))
    rates = take_turns(work, participants, manner)
    for each in participants:
        each.stop()
    return conclude(grid, work, participants, rates, said, notes)


def start_of(work: Work, cores: tuple[int, ...]) -> dict[str, np.ndarray] | None:
    """Weights for peers where we do not take part ourselves: those of the same row in single precision."""
    found = Participant(OURS, work, None, cores)
    kind, facts = found.answer(PATIENCE)
    found.stop()
    return facts["weights"] if kind == "ready" else None


def take_turns(work: Work, participants: list[Participant], manner: Manner) -> Rates:
    """Rounds until the time is over; what the first participant read of the multiply-add rate stands in the result."""
    base, budget = measured(), manner.budget
    processor = manner.processor and work.threads == 1
    slice_ = min(0.05, budget / 20 / max(1, len(participants)))
    end, count = time.perf_counter() + budget, 0
    while True:
        for each in participants:
            each.turn(slice_, processor)
        count += 1
        if time.perf_counter() > end and count >= 5:
            break
        if time.perf_counter() > end + 3 * budget:
            break
    rate = statistics.median(participants[0].rates or [base.operations])
    return replace(base, operations=rate, dots=base.dots * rate / base.operations)


def conclude(
    grid: str,
    work: Work,
    participants: list[Participant],
    rates: Rates,
    said: dict[str, str],
    notes: list[str],
) -> Result:
    """The figures of a row."""
    mine = participants[0] if participants and participants[0].peer is OURS else None
    others = participants[1:] if mine is not None else participants
    timings = []
    for each in others:
        timing = each.timing(said.get(each.peer.name, ""))
        if each.peer is OURS:
            timing = replace(timing, name="ours padded" if work.kind == "ragged" else "ours on one core")
        timings.append(timing)
    ours = mine.timing("") if mine is not None else None
    least = floor.seconds(work, rates)
    ratio, best = None, ""
    if timings:
        fastest = min(range(len(timings)), key=lambda number: timings[number].median)
        best = timings[fastest].name
        if ours is not None:
            pairs = zip(ours.rounds, timings[fastest].rounds, strict=False)
            ratio = quarters([a / b for a, b in pairs])
    share = least / ours.median if ours is not None else None
    filled = floor.parts(work, rates) / ours.median if ours is not None else None
    timed = (ours, tuple(timings), best, ratio, least, share, rates.operations, tuple(notes), filled)
    return Result(grid, work, *timed)


def compare(work: Work, peer: Peer, ours: np.ndarray, theirs: np.ndarray) -> list[str]:
    """A note if results differ by more than the precision explains."""
    shape = ours.reshape(theirs.shape) if ours.size == theirs.size else ours
    if shape.shape != theirs.shape:
        return [f"DISAGREES with {peer.name}: shape {theirs.shape} against {ours.shape}"]
    worst = float(np.max(np.abs(shape - theirs)) / max(1e-30, float(np.max(np.abs(theirs)))))
    low = work.precision if work.precision != "f32" else peer.precision
    if not worst <= TOLERANCE[low]:
        return [f"DISAGREES with {peer.name}: {worst:.1e} of the largest value"]
    return [f"{peer.name}: equal to {worst:.0e}"]


def stream_check(work: Work, facts: dict[str, Any]) -> list[str]:
    """Streams of samples against the equations in float64."""
    if work.kind not in ("samples", "block"):
        return []
    weights, found = facts["weights"], facts["outcome"]
    hidden = cells.reference(work.cell, weights, "cell0", found[:, :1, None])
    wanted = hidden[:, 0] @ weights["out.W"][0].astype(np.float64) + float(weights["out.b"][0])
    scale = float(np.max(np.abs(wanted)))
    worst = float(np.max(np.abs(found[:, 1] - wanted))) / scale
    limit = "" if worst <= 1e-6 else "ABOVE 1e-6: "
    return [f"{limit}error {worst:.1e} of full scale after {len(found)} samples"]
