"""Rows of tables that the loop on the sums of a product reads where they lie, rather than from a copy.

    for t: g = table[k[t]]                             for t: product b2 = m0 h, then h' from its sums and table[k[t]]
           product b2 = m0 h, then h' from g     →
           and its sums

Takes a Plan; gives it without such gathers. Legal where the index is an input, whose every number is checked on entry, nobody
but the loops of products reads the copy, and the table stays as it is meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from seqc.flow.types import Kind
from seqc.lower.program import Program
from seqc.plan.buffers import Lookup, Operand
from seqc.plan.place import flat, reads_and_writes
from seqc.plan.types import Gather, Kernel, Node, Plan, Pointwise, Product, Scan


def look_up(plan: Plan, program: Program) -> Plan:
    """The plan with every gather in a loop over time gone that need not be."""
    bounds = {each.name: each.type.bound or 0 for each in program.inputs if not each.target}
    while (found := first_to_go(plan, bounds)) is not None:
        scan, gather = found
        gone = replace(scan, kernels=without(scan.kernels, gather))
        plan = replace(plan, nodes=tuple(gone if node is scan else node for node in plan.nodes))
    return plan


def first_to_go(plan: Plan, bounds: Mapping[str, int]) -> tuple[Scan, Gather] | None:
    """A gather that need not be, and the loop over time in which it stands."""
    for scan in (node for node in plan.nodes if isinstance(node, Scan)):
        for gather in (each for each in scan.kernels if isinstance(each, Gather)):
            if may_go(plan, scan, gather, bounds):
                return scan, gather
    return None


def may_go(plan: Plan, scan: Scan, gather: Gather, bounds: Mapping[str, int]) -> bool:
    """Whether nothing is lost without the copy."""
    index, table = plan.buffers[gather.index.buffer], plan.buffers[gather.table.buffer]
    out = plan.buffers[gather.out.buffer]
    checked = index.home.role == "input" and 0 < bounds.get(index.home.name, 0) <= gather.count
    here = gather.index == Operand(gather.index.buffer, 1) and gather.axes <= index.axes
    plain = not (table.axes or table.gates or out.gates or out.slots) and gather.table.offset == 0
    private = out.home.role == "workspace" and gather.out == Operand(gather.out.buffer, gather.width)
    if not (checked and here and plain and private and table.kind is out.kind is Kind.REAL):
        return False
    place = scan.kernels.index(gather)
    for _, node in flat(plan.nodes):
        read, written = reads_and_writes(plan, node)
        if any(each.buffer == gather.table.buffer for each in written) and node in scan.kernels:
            return False
        if any(each.buffer == gather.out.buffer for each in written) and node is not gather:
            return False
        touches = any(each.buffer == gather.out.buffer for each in read)
        if touches and (node not in scan.kernels[place:] or not takes_rows(node, gather)):
            return False
    return True


def takes_rows(node: Node, gather: Gather) -> bool:
    """Whether a node reads the copy element by element on the sums of a product alone."""
    if not isinstance(node, Product) or node.epilogue is None or node.axes != gather.axes:
        return False
    if any(each.operand.buffer == gather.out.buffer for each in node.segments):
        return False
    loads = [each for _, each, _ in node.epilogue.loads if each.buffer == gather.out.buffer]
    return all(1 < each.size == node.epilogue.size and not (each.shift or each.at) for each in loads)


def without(kernels: Sequence[Kernel], gather: Gather) -> tuple[Kernel, ...]:
    """The kernels of a scan, which look rows up themselves."""
    lookup = Lookup(gather.index.buffer, gather.count, gather.width)

    def found(operand: Operand) -> Operand:
        if operand.buffer != gather.out.buffer:
            return operand
        return replace(operand, buffer=gather.table.buffer, lookup=lookup)

    def read(loop: Pointwise) -> Pointwise:
        loads = tuple((number, found(operand), kind) for number, operand, kind in loop.loads)
        return replace(loop, loads=loads)

    return tuple(
        replace(each, epilogue=read(each.epilogue)) if isinstance(each, Product) and each.epilogue else each
        for each in kernels
        if each is not gather
    )
