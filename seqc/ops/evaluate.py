"""The interpreter: runs a Flow in numpy. It is the meaning of the language and the oracle of every later stage.

Takes a Flow, arrays for its leaves, sizes and a precision; gives an array for each root. Whole arrays run across time;
only what lies in a cycle runs step by step. A Flow is compiled once to lists of numpy calls for each T and B.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqc.flow.order import order
from seqc.flow.types import Flow, Kind
from seqc.ops.compile import Compiler, Memory, Program
from seqc.ops.environment import Environment, Leaves
from seqc.ops.op import Array, FlowError


def evaluate(
    flow: Flow,
    leaves: Leaves,
    T: int = 1,
    B: int = 1,
    dtype: Any = np.float64,
    seed: int = 0,
    call: int = 0,
    started: Any = None,
    first_row: int = 0,
    roots: Sequence[str] | None = None,
) -> dict[str, Array]:
    """The arrays of all roots, or of those named; each is a fresh array that shares memory with nothing.

    `leaves` leads from (operation, name) to arrays of the shape [T, B, *dims] less the axes that the leaf lacks. Left
    out, rows are fresh, inputs given, and nothing trains.
    """
    if T < 1 or B < 1:
        raise FlowError(f"cannot run {T} steps of {B} rows")
    return compile_flow(flow).run(leaves, T, B, dtype, seed, call, started, first_row, roots)


class Runner:
    """A Flow with the programs that were made of it; `run` makes one where it is needed."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.blocks = order(flow)
        self._programs: OrderedDict[tuple[object, ...], Program] = OrderedDict()

    def run(
        self,
        leaves: Leaves,
        steps: int,
        batch: int,
        dtype: Any,
        seed: int = 0,
        call: int = 0,
        started: Any = None,
        first_row: int = 0,
        roots: Sequence[str] | None = None,
    ) -> dict[str, Array]:
        """See `evaluate`."""
        names = tuple(self.flow.roots) if roots is None else tuple(roots)
        real = np.dtype(dtype)
        program = self.program(names, steps, batch, real)
        begun = np.zeros(batch, dtype=np.int64) if started is None else np.asarray(started, dtype=np.int64)
        environment = Environment(leaves, steps, batch, seed, call, begun, first_row)
        memory: Memory = [None] * len(self.flow.values)
        with np.errstate(all="ignore"):
            for action, freed in program.actions:
                action(memory, environment)
                for index in freed:
                    memory[index] = None
        result = {}
        for name, index in program.roots:
            value = self.flow.values[index]
            kind = real if value.type.kind is Kind.REAL else None
            result[name] = np.array(memory[index], dtype=kind, order="C")
        return result

    def program(self, roots: tuple[str, ...], steps: int, batch: int, real: np.dtype[Any]) -> Program:
        """The program for these sizes; the last few are kept."""
        key = (roots, steps, batch, real)
        found = self._programs.get(key)
        if found is None:
            found = Compiler(self.flow, self.blocks, steps, batch, real).program(roots)
            self._programs[key] = found
            while len(self._programs) > KEPT_PROGRAMS:
                self._programs.popitem(last=False)
        return found


KEPT_PROGRAMS = 16
KEPT_RUNNERS = 64
_runners: OrderedDict[int, Runner] = OrderedDict()


def compile_flow(flow: Flow) -> Runner:
    """The runner of a Flow; the last ones are kept by identity (a runner holds its Flow, so no identity returns)."""
    found = _runners.get(id(flow))
    if found is None:
        found = _runners[id(flow)] = Runner(flow)
        while len(_runners) > KEPT_RUNNERS:
            _runners.popitem(last=False)
    return found
