"""The rows of the grid: what is computed, at which sizes, and the target that it is held against.

A `Work` is plain data, so that it can be sent to a process; `rows(grid)` lists those of one grid in the order of the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

REFERENCE = 240e9
"""Multiply-add rate (a multiply-add being two operations) of the core for which targets in nanoseconds were written."""

GRIDS = (
    "streaming",
    "sequence",
    "batch",
    "training",
    "cells",
    "vocabulary",
    "threads",
    "ragged",
    "pendulum",
    "compile",
)


@dataclass(frozen=True, slots=True)
class Work:
    """One row.

    kind: "training" (one update: embedding or dense input, cell, dense, cross entropy, SGD), "sequence" (all hidden states
    of a sequence), "samples" (one sample in, cell, one number out, called from C), "block" (the same, 64 samples a call),
    "step" (the same, called from Python), "ragged" (training with lengths), "pendulum" (training in closed loop), "build".
    `target`: ours divided by the best peer's time may be at most this; `nanoseconds`: an absolute time, for a core that
    reads `REFERENCE` operations a second, longer on a slower one.
    `floor`: where no ratio is named, the share of the multiply-add rate that shall be reached.
    """

    kind: str
    cell: str = "LSTM"
    hidden: int = 32
    steps: int = 100
    batch: int = 1
    layers: int = 1
    vocabulary: int = 64
    given: str = "index"
    precision: str = "f32"
    threads: int = 1
    clip: float = 0.0
    target: float | None = None
    nanoseconds: float | None = None
    floor: float | None = None

    @property
    def name(self) -> str:
        """The row's text in the table."""
        layers = f"{self.layers} × " if self.layers > 1 else ""
        parts = [f"{self.kind} {layers}{self.cell}({self.hidden})"]
        if self.kind in ("training", "ragged", "pendulum"):
            parts.append(f"B {self.batch}, T {self.steps}")
        if self.kind == "sequence":
            parts.append(f"B {self.batch}, T {self.steps}")
        if self.kind == "training" and self.given == "real":
            parts.append("dense input")
        if self.kind == "training" and self.vocabulary != 64:
            parts.append(f"{self.vocabulary} words")
        if self.precision != "f32":
            parts.append(self.precision)
        if self.threads > 1:
            parts.append(f"{self.threads} threads")
        return ", ".join(parts)


def _by_size(pairs: dict[tuple[int, ...], float]) -> dict[int, float]:
    return {size: target for sizes, target in pairs.items() for size in sizes}


def streaming() -> Iterator[Work]:
    """One sample per call, from C and from Python."""
    block = {8: 32, 16: 43, 32: 88, 64: 340, 128: 1530}
    call = {8: 36, 16: 46, 32: 90, 64: 345, 128: 1540}
    for cell in ("LSTM", "GRU"):
        for hidden in block:
            row = Work("block", cell, hidden)
            yield replace(row, nanoseconds=block[hidden] if cell == "LSTM" else None)
            yield replace(row, kind="samples", nanoseconds=call[hidden] if cell == "LSTM" else None)
    for cell in ("LSTM", "GRU"):
        for hidden in (8, 16, 32, 64):
            yield Work("step", cell, hidden, target=0.2)


def sequence() -> Iterator[Work]:
    """Batch 1, T = 100."""
    targets = _by_size({(8, 16, 32): 0.4, (64, 128, 256): 0.6, (512,): 0.62, (1024,): 0.88})
    for cell in ("LSTM", "GRU"):
        for hidden, target in targets.items():
            yield Work("sequence", cell, hidden, target=target)
    for precision, low in (
        ("bf16", {256: 0.5, 512: 0.22, 1024: 0.43}),
        ("int8", {256: 0.15, 512: 0.11, 1024: 0.2}),
    ):
        for cell in ("LSTM", "GRU"):
            for hidden, target in low.items():
                yield Work("sequence", cell, hidden, precision=precision, target=target)


def batch() -> Iterator[Work]:
    """Batch 32, T = 100."""
    for cell in ("LSTM", "GRU"):
        for hidden in (8, 16, 32, 64, 128, 256, 512, 1024):
            target = 0.4 if hidden <= 32 else 0.65 if hidden == 64 else None
            yield Work(
                "sequence", cell, hidden, batch=32, target=target, floor=0.88 if target is None else None
            )
    for cell in ("LSTM", "GRU"):
        for hidden in (64, 128, 256, 512, 1024):
            target = 0.45 if hidden <= 128 else 0.55
            yield Work("sequence", cell, hidden, batch=32, precision="bf16", target=target)


def training() -> Iterator[Work]:
    """One update of a character model: B = 32, T = 64."""
    targets = _by_size({(16, 32): 0.3, (64, 128): 0.4, (256, 512, 1024): 0.48})
    row = Work("training", steps=64, batch=32)
    for cell in ("LSTM", "GRU"):
        for hidden, target in targets.items():
            yield replace(row, cell=cell, hidden=hidden, target=target)
        for hidden in (128, 512):
            yield replace(row, cell=cell, hidden=hidden, given="real", target=0.7)
    for cell in ("LSTM", "GRU"):
        for hidden in (64, 128, 256, 512, 1024):
            yield replace(row, cell=cell, hidden=hidden, precision="bf16", target=0.25)
        for hidden in (128, 512):
            yield replace(row, cell=cell, hidden=hidden, given="real", precision="bf16", target=0.35)


UNTUNED = ("PeepholeLSTM", "MGU", "LayerNormLSTM", "IndRNN", "Leaky")


MATRICES = ("DeltaNet", "DeltaHeads", "SelectiveSSM")
"""Cells of a user's own whose states are matrices."""


def cells() -> Iterator[Work]:
    """Cells that nobody tuned by hand; the LSTM stands among them as the measure of work per operation."""
    for cell in ("LSTM", *UNTUNED):
        target = None if cell == "LSTM" else 0.5
        yield Work("training", cell, 128, steps=64, batch=32, target=target)
    for cell in MATRICES:
        yield Work("training", cell, 64, steps=64, batch=32, given="real", target=0.5)
    for cell in ("LSTM", *UNTUNED):
        yield Work("samples", cell, 32)


def vocabulary() -> Iterator[Work]:
    """The small model of Zaremba et al. 2014."""
    yield Work("training", "LSTM", 200, steps=20, batch=20, layers=2, vocabulary=10_000, clip=5.0, target=0.6)


def threads() -> Iterator[Work]:
    """The same work on one core and on two."""
    for hidden in (128, 256, 512):
        yield Work("training", "LSTM", hidden, steps=64, batch=32, threads=2, target=1 / 1.85)
    for hidden in (256, 512, 1024):
        yield Work("sequence", "LSTM", hidden, threads=2, target=1 / 1.6)


def ragged() -> Iterator[Work]:
    """Lengths uniform in 1 … T, against the same batch padded."""
    for hidden in (64, 128, 256):
        yield Work("ragged", "LSTM", hidden, steps=64, batch=32, target=0.6)


def pendulum() -> Iterator[Work]:
    """The controller of `examples/pendulum.seq`, trained through the dynamics."""
    yield Work("pendulum", "LSTM", 20, steps=100, batch=64, layers=2, target=0.3)


def compile() -> Iterator[Work]:
    """How long a cold `seqc build` takes."""
    for hidden in (32, 512):
        yield Work("build", "LSTM", hidden)
    for cell in ("GRU", *UNTUNED):
        yield Work("build", cell, 128)
    yield Work("build", "LSTM", 200, layers=2, vocabulary=10_000)


QUICK = (8, 32, 128, 200, 256, 20)
"""Sizes of a quick run."""


def rows(grid: str, quick: bool = False) -> list[Work]:
    """The rows of a grid, those of a few sizes only where it shall be quick."""
    found = list(globals()[grid]())
    return [each for each in found if each.hidden in QUICK or grid in ("pendulum",)] if quick else found
