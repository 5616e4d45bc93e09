"""What a step costs, counted in a Flow: operations and bytes for one step of one row.

Takes the Flow of an entry point after its passes; gives a `Cost`. It says what a model asks for, not what a plan makes of
it: padding, values computed twice and caches are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import Axis, Flow, Value
from seqc.ops.product import parse_spec
from seqc.ops.table import ELEMENTWISE_NAMES

FREE = frozenset({"cast", "select", "stop", "clipped", "broadcast"})
"""Elementwise operations that compute nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`flops`: operations; `bytes`: each parameter that a step reads once, each state in once and out once."""

    flops: int
    bytes: int


def cost(flow: Flow, real_bytes: int = 4) -> Cost:
    """The cost of one step of one row, for reals of `real_bytes` bytes.

    A product's multiplication and addition count as two, every elementwise operation as one, exp and tanh included. What
    is the same for all steps (values made of parameters alone, values of a sequence) is not counted. Of a table that is
    looked up, one row counts.
    """
    timed = any(Axis.TIME in each.type.axes for each in flow.values)
    per_step = [(Axis.TIME if timed else Axis.BATCH) in each.type.axes for each in flow.values]
    flops = sum(operations(flow, each) for each, counts in zip(flow.values, per_step, strict=True) if counts)
    elements = sum(parameter_elements(flow).values())
    memory = [each.type.size for each in flow.states] or [
        each.type.size for each in flow.values if each.op == "carried" and each.type.kind.is_real
    ]
    return Cost(flops, (elements + 2 * sum(memory)) * real_bytes)


def operations(flow: Flow, value: Value) -> int:
    """Operations of one value."""
    if value.op in ELEMENTWISE_NAMES:
        return 0 if value.op in FREE else value.type.size
    if value.op in ("reduce", "argmax"):
        return flow.values[value.args[0]].type.size
    if value.op == "contract":
        spec = parse_spec(str(value.attr("spec")))
        extents: dict[str, int] = {}
        for letters, argument in zip((spec.first, spec.second), value.args, strict=True):
            extents |= zip(letters, flow.values[argument].type.dims, strict=True)
        count = 2
        for extent in extents.values():
            count *= extent
        return count
    return 0


def parameter_elements(flow: Flow) -> dict[int, int]:
    """How many elements of each parameter a step reads, by its number in the graph.

    A parameter that is only chosen is the first value of a state, which is read once for a sequence.
    """
    found: dict[int, int] = {}
    for value in flow.values:
        if value.op == "select":
            continue
        for position, argument in enumerate(value.args):
            source = flow.values[argument]
            if source.op == "param":
                looked_up = value.op == "gather" and position == 0
                size = source.type.size // source.type.dims[0] if looked_up else source.type.size
                found[argument] = max(found.get(argument, 0), size)
    return found
