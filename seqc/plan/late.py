"""What a loop over time stores for long after it, past the caches where it is much.

    product …, then pointwise … b43 = v24, b44 = v28, b0@t+1 = v29   →   …    # b43 b44 late from 4096 cells

Takes a Plan; gives it with `Pointwise.late` in products of loops. Gates and other values of all steps are read again on the way
back. Where there are more of them than a cache holds till then, to store them there costs reading each line first, and room:
the weights that the loop comes back to at every step have to be fetched from farther away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from seqc.flow.types import Kind
from seqc.plan.buffers import Operand
from seqc.plan.place import element_bytes, reads_and_writes
from seqc.plan.share import WHOLE
from seqc.plan.target import Target
from seqc.plan.types import Kernel, Node, Plan, Product, Scan

LINE = 64
"""Bytes of a cache line: what is stored past the caches are whole ones."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`much`: bytes stored in a call from which they go past the caches; at half as many it makes no difference, at less it
    costs time. `least`: bytes for a cell below which usual calls stay below that, and to ask at each store would cost what is
    gained."""

    much: int
    least: int


LIMITS = {
    "workspace": Limits(16 * 1024 * 1024, 6 * 1024),
    "halves": Limits(8 * 1024 * 1024, 4 * 1024),
    "output": Limits(5 * 1024 * 1024, 2 * 1024),
}
"""For what is read again on the way back, in single precision or in bfloat16, and for what is handed to the caller."""

PARTED = Limits(8 * 1024 * 1024, 5 * 1024)
"""For what is read again, where weights are packed in parts: they are half as large again, and need the room."""


def store_late(plan: Plan, target: Target) -> Plan:
    """The plan with what its loops store for later, where a vector is a whole line."""
    if target.vector_bytes != LINE:
        return plan
    return replace(plan, nodes=tuple(marked(plan, node, target) for node in plan.nodes))


def marked(plan: Plan, node: Node, target: Target) -> Node:
    """A node, its products marked if it is a loop over time."""
    if not isinstance(node, Scan):
        return node
    read = {each.buffer for kernel in node.all for each in reads_and_writes(plan, kernel)[0]}
    return replace(node, kernels=tuple(with_late(plan, kernel, read, target) for kernel in node.kernels))


def with_late(plan: Plan, kernel: Kernel, read: set[int], target: Target) -> Kernel:
    """A product, what it stores and its loop does not read marked as late."""
    if not isinstance(kernel, Product) or kernel.epilogue is None:
        return kernel
    stores = [operand for _, operand in kernel.epilogue.stores if operand.buffer not in read]
    for role, usual in LIMITS.items():
        limits = PARTED if role == "workspace" and kernel.strategy == "tiles" else usual
        late = [each for each in stores if is_late(plan, each, role, target, kernel.blocks)]
        bytes = sum(each.size * element_bytes(plan.buffers[each.buffer], target) for each in late)
        if bytes >= limits.least:
            numbers, cells = tuple(sorted(each.buffer for each in late)), limits.much // bytes
            return replace(kernel, epilogue=replace(kernel.epilogue, late=numbers, late_cells=cells))
    return kernel


def is_late(plan: Plan, operand: Operand, role: str, target: Target, blocks: int) -> bool:
    """Whether a store fills whole lines of memory of a role that holds every step; of halves two vectors do, one after the other."""
    buffer = plan.buffers[operand.buffer]
    whole = (
        operand.size == buffer.stride - buffer.pad
        and operand.size * element_bytes(buffer, target) % LINE == 0
    )
    own = buffer.home.role == role
    if buffer.half:
        own = role == "halves" and blocks % 2 == 0 and blocks > 0
    real = buffer.kind is Kind.REAL and buffer.axes == WHOLE
    return own and real and whole and not buffer.ring and not buffer.local and operand.gate is None
