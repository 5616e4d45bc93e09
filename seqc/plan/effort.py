"""How much work a node is, in additions and multiplications: what decides whether a second thread pays, and who takes a task.

Takes a Plan and a node of it; gives numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seqc.flow.types import Axis
from seqc.plan.chain import Chain
from seqc.plan.place import reads_and_writes
from seqc.plan.types import (
    Einsum,
    Gather,
    Guard,
    Move,
    Node,
    Outer,
    Outers,
    Pack,
    Plan,
    Pointwise,
    Product,
    Reverse,
    Scan,
    Scatter,
)


@dataclass(frozen=True, slots=True)
class Effort:
    """Additions and multiplications of a call: some, and so many more for each step of a row."""

    fixed: int
    per_cell: int


def effort(plan: Plan) -> Effort:
    """Of all nodes; what is done once a row counts as if it were done once a step."""
    fixed = sum(work_of(plan, kernel) for kernel in _kernels(plan) if not _axes(kernel))
    return Effort(fixed, sum(work_of(plan, kernel) for kernel in _kernels(plan) if _axes(kernel)))


def effort_of(plan: Plan, node: Node, steps: int, batch: int) -> int:
    """Of one node, for so many steps and rows."""
    kernels = node.all if isinstance(node, Scan) else (node,)
    total = 0
    for kernel in kernels:
        axes = _axes(kernel) | ({Axis.TIME} if isinstance(node, Scan) else set())
        times = (steps if Axis.TIME in axes else 1) * (batch if Axis.BATCH in axes else 1)
        total += work_of(plan, kernel) * times
    return total


def _kernels(plan: Plan) -> Iterator[Node]:
    for node in plan.nodes:
        yield from node.all if isinstance(node, Scan) else (node,)


def _axes(node: Node) -> frozenset[Axis]:
    if isinstance(node, Reverse):
        return frozenset({Axis.TIME, Axis.BATCH})
    return frozenset() if isinstance(node, Pack | Guard | Scan) else node.axes


def work_of(plan: Plan, node: Node) -> int:
    """Of one kernel at one step of one row."""
    if isinstance(node, Product):
        terms = [(each.depth, plan.packs[each.pack]) for each in node.segments]
        own = sum(2 * depth * pack.units * max(1, pack.gates) for depth, pack in terms) * node.rows
        return own + (work_of(plan, node.epilogue) if node.epilogue is not None else 0)
    if isinstance(node, Outer):
        return 2 * node.left.size * node.right.size // node.rows
    if isinstance(node, Outers):
        return 2 * node.left.size * sum(right.operand.size for right in node.rights)
    if isinstance(node, Pointwise):
        return node.size * (2 + 4 * len(node.statements))
    if isinstance(node, Chain):
        return sum(each.size * (2 + 4 * len(each.statements) + 2 * len(each.folds)) for each in node.sweeps)
    if isinstance(node, Einsum):
        size = 2
        for _, count in node.extents:
            size *= count
        return size
    if isinstance(node, Gather | Scatter):
        return 2 * node.width
    if isinstance(node, Move):
        return node.count * sum(width for _, _, width in node.runs)
    _, written = reads_and_writes(plan, node)
    read, _ = reads_and_writes(plan, node)
    return sum(operand.size for operand in (*read, *written))
