"""Rows that products read and that lie whole pages apart are moved a line further from each other.

    b7 : real[1024] {time,batch}   →   b7 : real[1024] {time,batch} 16 apart

Takes a Plan; gives it with `Buffer.pad`. Lines whose addresses differ by whole pages share a few places in the first cache: a
product that takes as many rows at once would find none of them there a moment later, and a gradient of weights would copy them
first. What the caller hands in lies as it lies.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Buffer, Operand
from seqc.plan.place import element_bytes, flat
from seqc.plan.target import Target
from seqc.plan.types import Node, Outer, Outers, Plan, Product

PAGE, LINE = 4096, 64
"""Bytes."""


def keep_apart(plan: Plan, target: Target) -> Plan:
    """The plan with a line between such rows."""
    read = {operand.buffer for _, node in flat(plan.nodes) for operand in sides(node)}
    buffers = tuple(
        replace(buffer, pad=padding(buffer, target)) if number in read else buffer
        for number, buffer in enumerate(plan.buffers)
    )
    return replace(plan, buffers=buffers)


def sides(node: Node) -> list[Operand]:
    """What a product or a gradient of weights multiplies, row by row."""
    match node:
        case Product():
            return [each.operand for each in node.segments]
        case Outer():
            return [node.left, node.right]
        case Outers():
            return [node.left, *(right.operand for right in node.rights)]
        case _:
            return []


def padding(buffer: Buffer, target: Target) -> int:
    """Elements to put behind each row."""
    own = buffer.home.role == "workspace" and buffer.kind is Kind.REAL and not buffer.gates
    bytes = element_bytes(buffer, target)
    pages = buffer.size * bytes % PAGE == 0
    return LINE // bytes if own and pages and Axis.BATCH in buffer.axes else 0
