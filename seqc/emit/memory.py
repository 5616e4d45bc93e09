"""The C++ view of a plan's buffers: element types, and where each one starts.

Gives, for every buffer that an entry point touches, its element type and the expression of its address in terms of
the `Frame` of the call (see `runtime/entry.hpp`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Buffer
from seqc.plan.place import flat, reads_and_writes
from seqc.plan.target import Arena
from seqc.plan.types import Plan

_WORKSPACE = {Kind.INT: "int64_t", Kind.INDEX: "int64_t", Kind.BOOL: "uint8_t"}
_CALLER = {Kind.INT: "int32_t", Kind.INDEX: "int32_t", Kind.BOOL: "uint8_t"}
_REAL = {Kind.REAL: "real", Kind.F32: "float", Kind.F64: "double"}
ELEMENTS = {"real": "real", "rounded": "real", "dots": "Pair", "twins": "Twin"}
"""Kinds of weights in panels, and the type of what these hold."""
HALF = "Half"
"""The type of a real that is kept in bfloat16."""
_FIXED_ROLES = {
    "score": "double",
    "grad.hyper": "double",
    "fresh": "uint8_t",
    "started": "int64_t",
    "lengths": "int32_t",
    "stop": "uint8_t",
    "active": "uint8_t",
    "given": "uint8_t",
}


def element_type(buffer: Buffer) -> str:
    """The type of one element in memory."""
    role = buffer.home.role
    if role in _FIXED_ROLES:
        return _FIXED_ROLES[role]
    if buffer.half:
        return HALF
    if buffer.kind in _REAL:
        return _REAL[buffer.kind]
    return (_WORKSPACE if role == "workspace" else _CALLER)[buffer.kind]


def extent(axes: frozenset[Axis], slots: int = 0) -> str:
    """How many instants of how many sequences a buffer with these axes holds, as an expression; "" for one."""
    factors = []
    if Axis.TIME in axes:
        factors.append(f"(steps + {slots})" if slots else "steps")
    if Axis.BATCH in axes:
        factors.append("batch")
    return " * ".join(factors)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Positions in the arrays of pointers that make up a call, by name: the order of the manifest."""

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    states: Mapping[str, int]
    hypers: Mapping[str, int]
    scores: Mapping[str, int]
    parameters: Mapping[str, int]
    optimizer: Mapping[str, int]

    @staticmethod
    def of(names: Sequence[str]) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(names)}


def address(plan: Plan, number: int, written: bool, numbers: Numbers) -> str:
    """The start of a buffer, of the right pointer type."""
    buffer = plan.buffers[number]
    kind = element_type(buffer)
    constant = "" if written else "const "
    role, name = buffer.home.role, buffer.home.name
    if role == "workspace":
        return f"frame.at<{kind}>({_workspace(plan, number)})"
    if role == "plain":
        return f"frame.{'changed' if written else 'plain'}<{kind}>({numbers.parameters[name]})"
    if role == "grad":
        return f"frame.gradient<{kind}>({numbers.parameters[name]})"
    if role == "optimizer":
        return f"frame.moment<{kind}>({numbers.optimizer[name]})"
    if role == "score":
        return f"frame.scores + {numbers.scores[name]}"
    if role == "grad.hyper":
        return f"frame.hyper_gradients + {numbers.hypers[name]}"
    if role in ("started", "lengths", "given", "active", "stop"):
        return f"frame.{role}"
    if role == "carried":
        table, index = ("next" if written else "carried"), numbers.states[name]
    elif role in ("input", "grad.input"):
        table, index = ("inputs" if role == "input" else "input_gradients"), numbers.inputs[name]
    elif role in ("fresh", "grad.state"):
        table, index = ("fresh" if role == "fresh" else "state_gradients"), numbers.states[name]
    else:
        table, index = "outputs", numbers.outputs[name]
    if table == "fresh":
        return f"frame.fresh[{index}]"
    return f"static_cast<{constant}{kind} *>(frame.{table}[{index}])"


def _workspace(plan: Plan, number: int) -> str:
    """Offset in bytes: a number, and one more for each row, step, and step of a row."""
    return polynomial(plan.offsets[number])


def polynomial(arena: Arena) -> str:
    """`64 + 128 * batch`."""
    factors = (
        (arena.fixed, ""),
        (arena.per_row, " * batch"),
        (arena.per_step, " * steps"),
        (arena.per_cell, " * steps * batch"),
    )
    return " + ".join(f"{number}{tail}" for number, tail in factors if number) or "0"


def written_buffers(plan: Plan) -> list[int]:
    """Buffers of a plan that some node writes."""
    kernels = (node for _, node in flat(plan.nodes))
    return [operand.buffer for node in kernels for operand in reads_and_writes(plan, node)[1]]


def read_inputs(plan: Plan) -> frozenset[str]:
    """Names of the inputs that the nodes of a plan may read."""
    return frozenset(buffer.home.name for buffer in plan.buffers if buffer.home.role == "input")
