"""The caller's arenas: where parameters, optimizer states and packed weights lie.

Takes parameters or the plans of all entry points; gives byte offsets, every one a multiple of 64. Equal packed matrices of
several entry points are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seqc.flow.types import Kind, Type
from seqc.lower.program import Parameter, Program
from seqc.plan.target import Target
from seqc.plan.types import PackedMatrix, Plan

ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets by name, in order, and the size of the whole."""

    offsets: Mapping[str, int]
    bytes: int


def size_of(kind: Kind, target: Target) -> int:
    """Bytes of one element of a weight."""
    return {Kind.F32: 4, Kind.F64: 8, Kind.INT: 4, Kind.INDEX: 4, Kind.BOOL: 1}.get(kind, target.real_bytes)


def lay_out(arrays: Sequence[tuple[str, Type]], target: Target) -> Layout:
    """One row-major array after another."""
    offsets, end = {}, 0
    for name, type in arrays:
        offsets[name] = end
        end += -(-type.size * size_of(type.kind, target) // ALIGNMENT) * ALIGNMENT
    return Layout(offsets, end)


def plain_layout(parameters: Sequence[Parameter], target: Target) -> Layout:
    """The arena of weights, which gradients share."""
    return lay_out([(each.name, each.type) for each in parameters], target)


def optimizer_layout(program: Program, target: Target) -> Layout:
    """The arena of optimizer states: `<parameter>.<state>`, by parameter."""
    arrays = []
    for parameter in program.parameters:
        rule = program.rules.get(parameter.name)
        for state in rule.states if rule is not None else ():
            assert rule is not None
            arrays.append((f"{parameter.name}.{state}", rule.flow.values[rule.flow.roots[state]].type))
    return lay_out(arrays, target)


def pack_layout(
    plans: Sequence[Plan], target: Target
) -> tuple[tuple[Plan, ...], tuple[PackedMatrix, ...], int]:
    """The plans with offsets in the packed arena, all matrices that it holds, and its size in bytes."""
    offsets: dict[PackedMatrix, int] = {}
    held: list[PackedMatrix] = []
    end = 0
    result = []
    for plan in plans:
        packs = []
        for pack in plan.packs:
            bare = replace(pack, offset=-1)
            if pack.sources is not None and bare not in offsets:
                offsets[bare] = end
                held.append(replace(pack, offset=end))
                end += -(-pack.bytes(target.real_bytes) // ALIGNMENT) * ALIGNMENT
            packs.append(replace(pack, offset=offsets.get(bare, -1)))
        result.append(replace(plan, packs=tuple(packs)))
    return tuple(result), tuple(held), end
