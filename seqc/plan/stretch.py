"""What leads up to a loop over time goes along with it, stretch by stretch of steps.

    product f_y = W x      over all steps           stretches of 256 cells
    scan forward           reads f_y at t     →       product f_y = W x
                                                    scan forward

Takes a Plan; gives it with `Scan.before`. What a product makes for all steps does not fit the second cache where steps,
rows and units are many: it is written to a slower one and read back from there, step by step. Made for a few steps at a
time it stays near.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.plan.place import accesses, element_bytes, reads_and_writes
from seqc.plan.share import WHOLE, by_row, by_step, kept_axes
from seqc.plan.target import Target
from seqc.plan.types import Gather, Guard, Kernel, Move, Node, Plan, Pointwise, Product, Reduce, Scan

LEAST_BYTES = 512
"""Bytes for a step of a row below which all steps of usual calls fit the second cache."""

FEWEST, MOST = 64, 1024
"""Cells of a stretch: enough for the weights to be read rarely, and no more than helps."""


def make_stretches(plan: Plan, target: Target, cells: int | None = None) -> Plan:
    """The plan with stretches where they pay; with `cells` with such of this size wherever they are legal, 0 for none."""
    if cells == 0:
        return plan
    least = LEAST_BYTES if cells is None else 1
    used: dict[int, set[int]] = {}  # the nodes that use a buffer; -1 where one asks for a certain step
    homes = node_numbers(plan)
    for access in accesses(plan):
        home = -1 if access.operand.at else homes[access.position]
        used.setdefault(access.operand.buffer, set()).add(home)
    taken: dict[int, tuple[int, ...]] = {}
    for number, node in enumerate(plan.nodes):
        if isinstance(node, Scan) and all(by_row(plan, kernel) for kernel in node.kernels):
            found = leading(plan, number, used)
            if bytes_of(plan, found, target) >= least:
                taken[number] = found
    return with_stretches(plan, taken, target, cells)


def node_numbers(plan: Plan) -> list[int]:
    """For each kernel in running order the number of the node that it is or stands in."""
    found: list[int] = []
    for number, node in enumerate(plan.nodes):
        found += [number] * (len(node.all) if isinstance(node, Scan) else 1)
    return found


def leading(plan: Plan, scan: int, used: dict[int, set[int]]) -> tuple[int, ...]:
    """The nodes before a scan that work for it alone, in order; nothing where no product is among them."""
    chosen: set[int] = set()
    between: set[int] = set()
    for number in range(scan - 1, -1, -1):
        node = plan.nodes[number]
        if isinstance(node, Scan | Guard):
            break
        read, written = reads_and_writes(plan, node)
        alone = all(used[each.buffer] <= {*chosen, scan, number} for each in written)
        if alone and may_lead(plan, node) and not between & {each.buffer for each in read}:
            chosen.add(number)
        else:
            between |= {each.buffer for each in written}
    if not any(isinstance(plan.nodes[number], Product) for number in chosen):
        return ()
    return tuple(sorted(chosen))


def may_lead(plan: Plan, node: Node) -> bool:
    """Whether a kernel makes every cell from that cell alone, into memory of its own that is read where it was written."""
    if not isinstance(node, Product | Pointwise | Gather | Move | Reduce) or kept_axes(node) != WHOLE:
        return False
    if (isinstance(node, Reduce) and node.summed) or not by_row(plan, node) or by_step(plan, node):
        return False
    _, written = reads_and_writes(plan, node)
    buffers = [plan.buffers[each.buffer] for each in written]
    return all(each.home.role == "workspace" and not each.slots for each in buffers)


def bytes_of(plan: Plan, chosen: tuple[int, ...], target: Target) -> int:
    """What the chosen nodes write for a step of a row."""
    buffers = {each.buffer for number in chosen for each in reads_and_writes(plan, plan.nodes[number])[1]}
    return sum(
        plan.buffers[each].stride * element_bytes(plan.buffers[each], target) for each in sorted(buffers)
    )


def with_stretches(plan: Plan, taken: dict[int, tuple[int, ...]], target: Target, cells: int | None) -> Plan:
    """The nodes put before the loops of their scans."""
    moved = {number for numbers in taken.values() for number in numbers}
    local = {each.buffer for number in moved for each in reads_and_writes(plan, plan.nodes[number])[1]}
    nodes: list[Node] = []
    for number, node in enumerate(plan.nodes):
        if number in moved:
            continue
        if isinstance(node, Scan) and taken.get(number):
            before = [plan.nodes[each] for each in taken[number]]
            kernels: list[Kernel] = [each for each in before if not isinstance(each, Scan | Guard)]
            fitting = target.l2_bytes // 4 // bytes_of(plan, taken[number], target)
            fitting = min(MOST, max(FEWEST, fitting)) // 16 * 16
            node = replace(node, before=tuple(kernels), stretch=cells or fitting)
        nodes.append(node)
    buffers = [
        replace(buffer, local=True) if number in local else buffer
        for number, buffer in enumerate(plan.buffers)
    ]
    return replace(plan, nodes=tuple(nodes), buffers=tuple(buffers))
