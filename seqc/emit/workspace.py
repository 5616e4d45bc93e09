"""How many bytes of workspace an entry point asks for, as `runtime/entry.hpp` divides it.

The library tells the same at run time; here it becomes a constant of the header, for callers without a heap.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.emit.entry import written_buffers
from seqc.emit.model import Model, aligned, bytes_of
from seqc.flow.types import Axis, Type
from seqc.plan.types import Plan

POINTER = 8


def workspace_bytes(model: Model, plans: Mapping[str, Plan], entry: str, steps: int, batch: int) -> int:
    """Bytes for one call; `step` and `generate` take one step at a time."""
    steps = 1 if entry in ("apply", "step", "generate") else steps
    batch = 1 if entry == "apply" else batch
    plan = plans[entry]
    rules = plans["apply"].arena.bytes(1, 1) if entry == "update" and "apply" in plans else 0
    inputs, outputs, states = len(model.inputs), len(model.outputs), len(model.states)
    tables = [inputs, outputs, states, states, states, inputs, states]
    total = aligned(max(plan.arena.bytes(steps, batch), rules)) + sum(aligned(POINTER * n) for n in tables)
    total += aligned(4 * batch) + aligned(batch) + aligned(inputs) + 2 * aligned(batch)
    total += aligned(8 * batch) + aligned(8 * (1 + len(model.metrics)))
    total += _stand_ins(model, plan, entry, steps, batch)
    if entry in ("gradients", "update"):
        total += model.plain_bytes
    return total + (_own_state(model, batch) if entry == "generate" else 0)


def _stand_ins(model: Model, plan: Plan, entry: str, steps: int, batch: int) -> int:
    """New states, and arrays for what a caller may leave out."""
    homes = [plan.buffers[number].home for number in written_buffers(plan)]
    advanced = {home.name for home in homes if home.role == "carried"}
    others = entry == "gradients"
    total, largest = 0, 0
    for state in model.states:
        size = _size(model, state.type, steps, batch)
        largest = max(largest, size)
        total += aligned(size if state.name in advanced else 0) + aligned(size if others else 0)
    for each in model.inputs:
        if each.default:
            largest = max(largest, _size(model, each.type, 1, batch))
        total += aligned(_size(model, each.type, steps, batch)) if others else 0
    if entry in ("infer", "step", "generate"):
        total += sum(aligned(_size(model, port.type, steps, batch)) for port in model.outputs)
    return total + aligned(largest) + (aligned(8 * len(model.hypers)) if others else 0)


def _size(model: Model, kind: Type, steps: int, batch: int) -> int:
    count = (steps if Axis.TIME in kind.axes else 1) * (batch if Axis.BATCH in kind.axes else 1)
    return count * max(1, kind.size) * bytes_of(kind.kind, model.real_bytes)


def _own_state(model: Model, batch: int) -> int:
    total = aligned(POINTER * (2 * len(model.states) + 1)) + aligned(8 * batch)
    return total + sum(aligned(_size(model, s.type, 1, batch)) + aligned(batch) for s in model.states)
