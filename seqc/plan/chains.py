"""Loops and sums over the units of a row become one kernel that takes row by row.

    reduce max m = z;  pointwise e = exp(z - m);  reduce sum s = e;  pointwise d = e / s      →      chain

Takes a Plan; gives it with a `Chain` in place of kernels that hand rows on to each other, at least one of them a sum (or
maximum) over units. Other kernels keep their order before or behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand
from seqc.plan.epilogue import touched
from seqc.plan.lanes import is_real, runs_on_vectors
from seqc.plan.overwrite import settle
from seqc.plan.ragged import row_by_row
from seqc.plan.sweeps import build_chain
from seqc.plan.target import Target
from seqc.plan.types import Gather, Kernel, Node, Plan, Pointwise, Reduce, Scan, Scatter

Member = Pointwise | Reduce | Gather | Scatter


def add_chains(plan: Plan, target: Target) -> Plan:
    """The plan with chains, those inside of scans first."""
    nodes: list[Node] = []
    for node in plan.nodes:
        if isinstance(node, Scan):
            kernels = chained(plan, node.kernels)
            node = replace(node, kernels=tuple(each for each in kernels if isinstance(each, Kernel)))
        nodes.append(node)
    return settle(replace(plan, nodes=tuple(chained(plan, nodes))), target)


def chained(plan: Plan, nodes: Sequence[Node]) -> list[Node]:
    """One run of nodes."""
    family = families(plan, nodes)
    return joined(plan, nodes, list(range(len(nodes))), family)


def joined(plan: Plan, nodes: Sequence[Node], places: list[int], family: dict[int, int]) -> list[Node]:
    """The nodes at `places` in a legal order; relatives go together as far as no other node stands between them."""
    first = next((each for each in places if each in family), None)
    if first is None:
        return [nodes[each] for each in places]
    start = places.index(first)
    chain, ahead, behind = [first], places[:start], list[int]()
    for place in places[start + 1 :]:
        waits = conflict(plan, nodes, place, behind)
        if family.get(place) == family[first] and not waits and not crosses(plan, nodes, place, chain):
            chain.append(place)
        elif waits or conflict(plan, nodes, place, chain):
            behind.append(place)
        else:
            ahead.append(place)
    members = [each for place in chain if isinstance(each := nodes[place], Member)]
    worth = len(members) > 1 and any(isinstance(each, Reduce) for each in members)
    middle: list[Node] = [build_chain(plan, members)] if worth else [nodes[place] for place in chain]
    return [*joined(plan, nodes, ahead, family), *middle, *joined(plan, nodes, behind, family)]


def conflict(plan: Plan, nodes: Sequence[Node], place: int, others: Sequence[int]) -> bool:
    """Whether a node has to stand behind one of the others."""
    read, written = touched(plan, nodes[place])
    reads, writes = {each.buffer for each in read}, {each.buffer for each in written}
    for other in others:
        before, made = touched(plan, nodes[other])
        wrote = {each.buffer for each in made}
        if wrote & (reads | writes) or writes & {each.buffer for each in before}:
            return True
    return False


def crosses(plan: Plan, nodes: Sequence[Node], place: int, chain: Sequence[int]) -> bool:
    """Whether a kernel over all steps and some of the chain meet in one state at different instants: rows would have
    to wait for each other."""
    node = nodes[place]
    if not isinstance(node, Member) or Axis.TIME not in node.axes:
        return False
    mine = [each for some in touched(plan, node) for each in some if plan.buffers[each.buffer].slots]
    found = {each.buffer: (each.shift, each.at) for each in mine}
    theirs = [each for other in chain for some in touched(plan, nodes[other]) for each in some]
    inner = any(found[each.buffer] != (each.shift, each.at) for each in mine)
    return inner or any(
        found.get(each.buffer, (each.shift, each.at)) != (each.shift, each.at) for each in theirs
    )


def families(plan: Plan, nodes: Sequence[Node]) -> dict[int, int]:
    """By place of each possible member, the first place of its family: members that read what others wrote."""
    parent: dict[int, int] = {}
    writers: dict[int, list[int]] = {}

    def find(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    for place, node in enumerate(nodes):
        if not is_member(plan, node):
            continue
        parent[place] = place
        read, written = touched(plan, node)
        for operand in read:
            for other in writers.get(operand.buffer, ()):
                if axes_of(nodes[other]) == axes_of(node):
                    parent[find(place)] = find(other)
        for operand in written:
            writers.setdefault(operand.buffer, []).append(place)
    found = {place: find(place) for place in parent}
    summing = {found[place] for place in found if isinstance(nodes[place], Reduce)}
    return {place: root for place, root in found.items() if root in summing}


def axes_of(node: Node) -> frozenset[Axis]:
    """The axes of a member."""
    assert isinstance(node, Member)
    return node.axes


def is_member(plan: Plan, node: Node) -> bool:
    """Whether a node makes of rows what a chain can: loops on vectors, single numbers, sums over units, one element of a
    row by its number, and the other way round."""
    match node:
        case Pointwise():
            counts = any(each.op == "instant" for each in node.statements)
            fits = node.size == 1 or runs_on_vectors(plan, node)
            own = not node.draws and not row_by_row(plan, node)
            return by_rows(node) and own and not counts and fits and stays(plan, node)
        case Reduce():
            over_units = (
                node.outer == node.inner == 1 < node.middle
                and not node.summed
                and node.how in ("sum", "max", "min")
            )
            return by_rows(node) and over_units and real_row(plan, node.operand) and real_row(plan, node.out)
        case Gather():
            rows = Axis.BATCH in plan.buffers[node.table.buffer].axes and real_row(plan, node.table)
            alone = node.width == 1 < node.count
            return by_rows(node) and alone and rows and real_row(plan, node.out)
        case Scatter():
            alone = node.width == 1 < node.count and not node.summed
            return by_rows(node) and alone and real_row(plan, node.operand) and real_row(plan, node.out)
        case _:
            return False


def by_rows(node: Member) -> bool:
    """Whether the rows of a batch are made one by one."""
    return Axis.BATCH in node.axes


def real_row(plan: Plan, operand: Operand) -> bool:
    """Whether an operand is a dense row of reals."""
    return is_real(plan, operand) and not operand.at and plan.buffers[operand.buffer].kind is Kind.REAL


def stays(plan: Plan, node: Pointwise) -> bool:
    """Whether a loop leaves alone what the caller carries on, which is written beside what is read of it."""
    return all(plan.buffers[each.buffer].home.role != "carried" for _, each in node.stores)
