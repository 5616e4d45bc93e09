"""The loop over time of the interpreter: numpy calls on numbered slots, once for each step.

Takes whole arrays of what the loop reads; leaves whole arrays of what is read after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from seqc.ops.environment import Environment
from seqc.ops.op import Array, Run


class SlotCode(NamedTuple):
    """One call: slots of its arguments, slot of its result."""

    result: int
    function: Run
    args: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """One loop.

    `once`: (slot, value, scalar type to convert to or None) loaded before it; `streams`: (slot, value) loaded at each
    step; `states`: (slot, value at the start, slot that follows); `stored`: (slot, value, shape, element type).
    """

    steps: int
    forward: bool
    slots: int
    once: tuple[tuple[int, int, Any], ...]
    streams: tuple[tuple[int, int], ...]
    states: tuple[tuple[int, int, int], ...]
    code: tuple[SlotCode, ...]
    stored: tuple[tuple[int, int, tuple[int, ...], Any], ...]

    def run(self, memory: list[Array], env: Environment) -> None:
        """All steps."""
        slots: list[Array] = [None] * self.slots
        for slot, index, convert in self.once:
            slots[slot] = memory[index] if convert is None else convert(memory[index])
        for slot, init, _ in self.states:
            slots[slot] = memory[init]
        streams = [(slot, memory[index]) for slot, index in self.streams]
        outputs = []
        for slot, index, shape, dtype in self.stored:
            memory[index] = np.empty(shape, dtype=dtype)
            outputs.append((slot, memory[index]))
        moves = [(slot, following) for slot, _, following in self.states]
        code = self.code
        instants = range(self.steps) if self.forward else range(self.steps - 1, -1, -1)
        for instant in instants:
            for slot, array in streams:
                slots[slot] = array[instant]
            for result, function, args in code:
                slots[result] = function(*[slots[arg] for arg in args])
            for slot, array in outputs:
                array[instant] = slots[slot]
            following = [slots[source] for _, source in moves]
            for (slot, _), array in zip(moves, following, strict=True):
                slots[slot] = array
