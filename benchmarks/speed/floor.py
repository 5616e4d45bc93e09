"""The least time that a row can take on a machine of given rates.

`seconds` is the floor: products at the rate of whatever multiplies quickest, multiply-adds, vectors of pairs or matrix tiles, or the weights of the loop out of the caches that hold them,
whichever is longer. `parts` adds up what one core cannot do at once: products outside the loop, those of the loop or its
weights, and elementary functions. Both count what a perfect program needs, not what anybody computes: products with a table
of few symbols are made on the table.
"""

from __future__ import annotations

from seqc.plan.rates import Rates
from seqc.plan.strategies.product import PRODUCTS
from speed.work import Work

GATES = {"LSTM": (4, 4), "GRU": (3, 3), "PeepholeLSTM": (4, 4), "MGU": (2, 2), "LayerNormLSTM": (4, 4)}
GATES |= {
    "IndRNN": (1, 0),
    "Leaky": (1, 1),
    "DeltaNet": (2, 1.5),
    "DeltaHeads": (3, 0.75),
    "SelectiveSSM": (4, 0.5),
}
"""For each cell, the matrices [H, D] that see the input and those [H, H] that see the state, or as many multiply-adds for it."""

DOT = {"int8": 4}
"""How many multiply-adds of few bits take the place of one in single precision."""

FUNCTIONS = {"LSTM": 5, "GRU": 3, "PeepholeLSTM": 5, "MGU": 2, "LayerNormLSTM": 5, "IndRNN": 0, "Leaky": 1}
FUNCTIONS |= {"DeltaNet": 1, "DeltaHeads": 2, "SelectiveSSM": 19}
"""For each cell, the values of tanh and sigmoid that a unit needs at a step."""

EXACT, TWINS = 3, 2
"""Numbers of bfloat16 for each of single precision in a row that is not rounded, on matrix tiles and on vectors of pairs."""

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


def loop_bytes(work: Work) -> float:
    """Bytes of weights that one core reads at every step of the loop."""
    past = GATES[work.cell][1]
    return past * work.hidden * work.hidden * work.layers * BYTES[work.precision] / work.threads


def resident(bytes: float, rates: Rates) -> float:
    """Seconds to read bytes again that were read a step before: the caches hold what fits, each level for itself."""
    total, left = 0.0, bytes
    for size, rate in zip((*rates.sizes, float("inf")), rates.reads, strict=True):
        total += min(left, size) / rate
        left = max(0.0, left - size)
    return total


def _rate(work: Work, rates: Rates) -> float:
    rate = rates.operations * DOT.get(work.precision, 1)
    halves = max(rates.tiles, rates.dots)
    if work.kind == "sequence" and work.batch == 1:  # weights are rounded, rows are not
        halves = max(rates.tiles / EXACT, rates.dots / TWINS)
    quicker = {"bf16": halves, "f32": rates.tiles / PRODUCTS}.get(work.precision, 0.0)
    alone = work.kind in ("samples", "block", "step")  # a row alone would leave tiles empty
    return (rate if alone else max(rate, quicker)) * work.threads


def seconds(work: Work, rates: Rates) -> float:
    """The floor of one call."""
    least = operations(work) / _rate(work, rates)
    if work.kind == "sequence" and work.batch == 1:
        return max(least, work.steps * resident(loop_bytes(work), rates))
    if work.kind in ("samples", "block", "step"):
        return max(least, resident(loop_bytes(work), rates))
    return least


def parts(work: Work, rates: Rates) -> float:
    """What is needed one after the other: products, or weights where they take longer, and elementary functions."""
    rate, values = _rate(work, rates), rates.tanh * work.threads
    if work.kind == "pendulum":
        return operations(work) / rate + work.steps * work.batch * 2 * 20 * FUNCTIONS["LSTM"] / values
    cells = work.steps * work.batch if work.kind not in ("samples", "block", "step") else 1
    functions = FUNCTIONS[work.cell] * cells * work.hidden * work.layers / values
    if work.kind in ("training", "ragged"):
        share = 0.5 if work.kind == "ragged" else 1.0
        scores = cells * work.vocabulary / (rates.exp * work.threads)
        return operations(work) / rate + share * (functions + scores)
    weights = resident(loop_bytes(work), rates) * (work.steps if work.kind == "sequence" else 1)
    within = 2.0 * cells * GATES[work.cell][1] * work.hidden**2 * work.layers
    inside = max(within / rate, weights) if work.batch == 1 else within / rate
    return (operations(work) - within) / rate + inside + functions
