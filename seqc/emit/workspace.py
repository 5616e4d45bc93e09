"""How many bytes of workspace an entry point asks for, as `runtime/entry.hpp` divides it.

The library tells the same at run time; here it becomes a constant of the header, for callers without a heap.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.emit.memory import written_buffers
from seqc.emit.model import Model, aligned, bytes_of
from seqc.flow.types import Axis, Type
from seqc.plan.types import Plan

POINTER = 8


class Count:
    """Adds up pieces as the runtime's Carver does."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, size: int) -> None:
        """A piece at a multiple of 64 bytes."""
        self.used = (aligned(self.used) if size else self.used) + size

    def squeeze(self, size: int) -> None:
        """A small table at a multiple of 8 bytes."""
        self.used = -(-self.used // 8) * 8 + size


def workspace_bytes(model: Model, plans: Mapping[str, Plan], entry: str, steps: int, batch: int) -> int:
    """Bytes for one call; `step` and `generate` take one step at a time."""
    steps = 1 if entry in ("apply", "step", "generate") else steps
    batch = 1 if entry == "apply" else batch
    plan, count = plans[entry], Count()
    rules = plans["apply"].arena.bytes(1, 1) if entry == "update" and "apply" in plans else 0
    inputs, outputs, states = len(model.inputs), len(model.outputs), len(model.states)
    count.take(max(plan.arena.bytes(steps, batch), rules))
    for number in (inputs, outputs, states, states, states, inputs, states):
        count.squeeze(POINTER * number)
    for size in (4 * batch, batch, inputs, batch, batch, 8 * batch, 8 * (1 + len(model.metrics))):
        count.squeeze(size)
    if plan.length:
        for size in (8 * (steps + 1), 4 * batch, 4 * batch):
            count.squeeze(size)
    _stand_ins(count, model, plan, entry, steps, batch)
    if entry in ("gradients", "update"):
        count.take(model.plain_bytes)
    if entry == "generate":
        _own_state(count, model, batch)
    return aligned(count.used)


def _stand_ins(count: Count, model: Model, plan: Plan, entry: str, steps: int, batch: int) -> None:
    """New states, and arrays for what a caller may leave out."""
    homes = [plan.buffers[number].home for number in written_buffers(plan)]
    advanced = {home.name for home in homes if home.role == "carried"}
    others, largest = entry == "gradients", 0
    for state in model.states:
        size = _size(model, state.type, steps, batch)
        largest = max(largest, size)
        count.take(size if state.name in advanced else 0)
        count.take(size if others else 0)
    for each in model.inputs:
        if each.default:
            largest = max(largest, _size(model, each.type, 1, batch))
        count.take(_size(model, each.type, steps, batch) if others else 0)
    for port in model.outputs if entry in ("infer", "step", "generate") else ():
        count.take(_size(model, port.type, steps, batch))
    count.take(largest)
    count.take(8 * len(model.hypers) if others else 0)


def _size(model: Model, kind: Type, steps: int, batch: int) -> int:
    times = (steps if Axis.TIME in kind.axes else 1) * (batch if Axis.BATCH in kind.axes else 1)
    return times * max(1, kind.size) * bytes_of(kind.kind, model.real_bytes)


def _own_state(count: Count, model: Model, batch: int) -> None:
    count.squeeze(POINTER * (2 * len(model.states) + 1))
    for state in model.states:
        count.take(_size(model, state.type, 1, batch))
        count.squeeze(batch)
    count.squeeze(8 * batch)
