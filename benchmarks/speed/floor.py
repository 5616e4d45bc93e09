"""The least time that a row can take on a machine of given rates: its products at the multiply-add rate, or the weights
of its loop out of the cache level that holds them, whichever is longer.

Counts what a perfect program needs, not what anybody computes: products with a table of few symbols are made on the table.
"""

from __future__ import annotations

from seqc.plan.rates import Rates
from speed.work import Work

GATES = {"LSTM": (4, 4), "GRU": (3, 3), "PeepholeLSTM": (4, 4), "MGU": (2, 2), "LayerNormLSTM": (4, 4)}
GATES |= {"IndRNN": (1, 0), "Leaky": (1, 1)}
"""For each cell, the matrices [H, D] that see the input and those [H, H] that see the state."""

DOT = {"int8": 4}
"""How many multiply-adds of few bits take the place of one in single precision."""

BYTES = {"f32": 4, "bf16": 2, "int8": 1}


def operations(work: Work) -> float:
    """Floating-point operations of one call, a multiply-add being two."""
    if work.kind == "pendulum":
        first, second = 4 * 20 * (4 + 20), 4 * 20 * (20 + 20)
        return 6.0 * work.steps * work.batch * (first + second + 2 * 20)
    seen, past = GATES[work.cell]
    hidden, width = work.hidden, 1 if work.kind in ("samples", "block", "step") else work.hidden
    cells = work.steps * work.batch
    if work.kind == "ragged":
        cells = cells // 2
    if work.kind in ("samples", "block", "step"):
        return 2.0 * (seen * hidden * width + past * hidden * hidden + hidden)
    if work.kind == "sequence":
        return 2.0 * cells * work.layers * hidden * hidden * (seen + past)
    rows = min(work.vocabulary, cells) if work.given == "index" else cells
    passes = 3 if work.given == "index" else 2
    total = 2.0 * passes * rows * seen * hidden * hidden
    total += 6.0 * cells * past * hidden * hidden
    total += 6.0 * cells * (work.layers - 1) * hidden * hidden * (seen + past)
    return total + 6.0 * cells * hidden * work.vocabulary


def seconds(work: Work, rates: Rates) -> float:
    """The floor of one call."""
    rate = rates.operations * DOT.get(work.precision, 1)
    if work.precision == "bf16":
        rate = max(rate, rates.tiles)
    least = operations(work) / (rate * work.threads)
    past = GATES[work.cell][1]
    loop = past * work.hidden * work.hidden * work.layers * BYTES[work.precision]
    shared = rates.read(1.0, loop / work.threads)
    if work.kind == "sequence":
        least = max(least, work.steps * loop / work.threads * shared)
    elif work.kind in ("samples", "block", "step"):
        least = max(least, loop * shared)
    return least
