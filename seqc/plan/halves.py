"""What only the way back reads of a loop is kept in bfloat16 where products are made in it: half of the bytes to store and load.
On matrix tiles the equations run on several blocks of units at once where that fills lines, or weights come from far.

    product …, then pointwise … b44 = v27; …  pointwise … v6=mul b44 v5   →   the same    # b44 : half[128]

Takes a Plan; gives it with `Buffer.half`. Gates are the operands of slopes alone, which products round a few operations later;
outputs, losses, states and all that goes into them stay in single precision.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.types import Kind
from seqc.plan.buffers import Operand
from seqc.plan.place import flat, reads_and_writes
from seqc.plan.share import WHOLE
from seqc.plan.target import Target
from seqc.plan.types import Kernel, Node, Plan, Pointwise, Product, Scan

BLOCKS = {True: ((512, 4), (64, 2)), False: ((512, 2),)}
"""Units from which so many blocks of them are taken at once, where halves are stored and where none are."""

RESULTS = frozenset({"output", "score", "carried"})
"""Roles of what a call is for, gradients aside."""


def keep_halves(plan: Plan, target: Target) -> Plan:
    """The plan, what goes back in time alone marked, where products are made in bfloat16."""
    if target.math != "bf16" or target.real_bytes != 4:
        return replace(plan, nodes=tuple(with_blocks(plan, node) for node in plan.nodes))
    halves = kept(plan) - exact(plan) - forward(plan)
    halves = {each for each in halves if plan.buffers[each].size >= target.lanes}
    buffers = tuple(
        replace(buffer, half=True) if number in halves else buffer
        for number, buffer in enumerate(plan.buffers)
    )
    plan = replace(plan, buffers=buffers)
    return replace(plan, nodes=tuple(with_blocks(plan, node) for node in plan.nodes))


def with_blocks(plan: Plan, node: Node) -> Node:
    """A node, the products in it with the blocks that tiles take at once."""
    if isinstance(node, Scan):
        kernels = tuple(with_blocks(plan, kernel) for kernel in node.kernels)
        return replace(node, kernels=tuple(each for each in kernels if isinstance(each, Kernel)))
    if not isinstance(node, Product) or node.epilogue is None:
        return node
    pack = plan.packs[node.segments[0].pack]
    if pack.kind not in ("pairs", "exact", "split", "either"):
        return node
    halves = any(plan.buffers[operand.buffer].half for _, operand in node.epilogue.stores)
    wide = next((blocks for least, blocks in BLOCKS[halves] if pack.units >= least), 1)
    return replace(node, blocks=wide)


def kept(plan: Plan) -> set[int]:
    """Values of all steps that one loop over time stores and nobody else."""
    found: set[int] = set()
    others: set[int] = set()
    for node in plan.nodes:
        stored = {each.buffer for each in reads_and_writes_of(plan, node)[1]}
        (found if isinstance(node, Scan) else others).update(stored)
    return {each for each in found - others if is_plain(plan, each)}


def is_plain(plan: Plan, number: int) -> bool:
    """Whether a buffer holds one vector of reals for each step of each row."""
    buffer = plan.buffers[number]
    own = buffer.home.role == "workspace" and buffer.kind is Kind.REAL and buffer.axes == WHOLE
    return own and not (buffer.slots or buffer.ring or buffer.local or buffer.gates)


def exact(plan: Plan) -> set[int]:
    """Buffers that others than elementwise loops read or write, or not as a whole."""
    found: set[int] = set()
    for _, node in flat(plan.nodes):
        loop = node.epilogue if isinstance(node, Product) else node
        own = loop if isinstance(loop, Pointwise) else None
        loads = [operand for _, operand, _ in own.loads] if own else []
        stores = [operand for _, operand in own.stores] if own else []
        simple = {each for each in (*loads, *stores) if is_whole(plan, each)}
        read, written = reads_and_writes(plan, node)
        found |= {each.buffer for each in (*read, *written) if each not in simple}
    return found


def is_whole(plan: Plan, operand: Operand) -> bool:
    """Whether an operand is the vector of the instant at hand."""
    alone = operand.gate is None and not operand.at and operand.lookup is None and not operand.spread
    return alone and operand.size == plan.buffers[operand.buffer].size


def forward(plan: Plan) -> set[int]:
    """Buffers from which outputs, losses and states of the caller are made."""
    needed = {number for number, each in enumerate(plan.buffers) if each.home.role in RESULTS}
    before = -1
    while before != len(needed):  # within a loop a value goes round
        before = len(needed)
        for node in reversed(plan.nodes):
            for _, each in reversed(list(flat((node,)))):
                read, written = reads_and_writes(plan, each)
                if any(one.buffer in needed for one in written):
                    needed |= {one.buffer for one in read}
    return needed


def reads_and_writes_of(plan: Plan, node: Node) -> tuple[list[Operand], list[Operand]]:
    """The operands of a node and of all inside it."""
    read: list[Operand] = []
    written: list[Operand] = []
    for _, each in flat((node,)):
        some = reads_and_writes(plan, each)
        read += some[0]
        written += some[1]
    return read, written
