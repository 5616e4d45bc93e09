"""Gradients of small matrices that share their left side, the slopes of all gates, are summed by one kernel.

    outer  dU_f = z.f h                               outers of z:
    outer  dW_f = z.f x                                 dU_f dU_i by h
    reduce db_f = z.f                        →          dW_f dW_i by x
    outer  dU_i = z.i h                                 db_f db_i by 1
    outer  dW_i = z.i x
    reduce db_i = z.i

Takes a Plan; gives it with `Outers`. Each matrix alone has a few columns, which fill no vector, and reads the slopes again;
together their rows are long. Legal where slices of the left side lie one behind the other in one buffer, and where nobody asks
for a gradient between the first and the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from seqc.plan.buffers import Operand
from seqc.plan.place import reads_and_writes
from seqc.plan.share import WHOLE, by_column
from seqc.plan.target import Target
from seqc.plan.types import Kernel, Node, Outer, Outers, Plan, Reduce, Right, Scan

MOST_BYTES = 49152
"""Sums that a kernel holds on its stack; more would not stay in the first cache."""


@dataclass(frozen=True, slots=True)
class Family:
    """What one kernel sums: `members` are the numbers of the nodes that it takes the place of."""

    node: Outers
    members: frozenset[int]


def put_beside(plan: Plan, target: Target) -> Plan:
    """The plan with small gradients of one left side put together."""
    if target.math != "real" and not target.tiles:
        return plan
    nodes: list[Node] = []
    for node in joined(plan, plan.nodes, target):
        if isinstance(node, Scan):
            after = joined(plan, node.after, target)
            node = replace(node, after=tuple(each for each in after if isinstance(each, Kernel)))
        nodes.append(node)
    return replace(plan, nodes=tuple(nodes))


def joined(plan: Plan, nodes: Sequence[Node], target: Target) -> tuple[Node, ...]:
    """One run of nodes; each family stands where its last member stood."""
    places: dict[int, Outers] = {}
    gone: set[int] = set()
    for family in families(plan, nodes, target):
        if undisturbed(plan, nodes, family):
            places[max(family.members)] = family.node
            gone |= family.members
    kept = ((number, places.get(number, node)) for number, node in enumerate(nodes))
    return tuple(node for number, node in kept if number in places or number not in gone)


def families(plan: Plan, nodes: Sequence[Node], target: Target) -> list[Family]:
    """All that could be put together, each node in one of them at most."""
    found: dict[tuple[object, ...], dict[Operand, dict[int, int]]] = {}
    for number, node in enumerate(nodes):
        if isinstance(node, Outer) and plain(plan, node):
            left = node.left
            key = (left.buffer, left.shift, left.at, left.size)
            found.setdefault(key, {}).setdefault(node.right, {})[left.offset] = number
    made: list[Family] = []
    taken: frozenset[int] = frozenset()
    for rights in found.values():
        starts: dict[tuple[int, ...], list[Operand]] = {}
        for right, numbers in rights.items():
            starts.setdefault(tuple(sorted(numbers)), []).append(right)
        for offsets, together in starts.items():
            sides = {each: rights[each] for each in together}
            family = family_of(plan, nodes, target, offsets, sides, taken)
            if family is not None:
                made.append(family)
                taken |= family.members
    return made


def plain(plan: Plan, node: Outer) -> bool:
    """Whether an outer product sums over all cells, of vectors that lie in one piece."""
    sides = (node.left, node.right)
    axes = [plan.buffers[each.buffer].axes for each in sides]
    whole = all(each == WHOLE for each in axes) and not any(each.at for each in sides)
    return node.rows == 1 and node.axes == WHOLE and whole and all(each.gate is None for each in sides)


def family_of(
    plan: Plan,
    nodes: Sequence[Node],
    target: Target,
    offsets: tuple[int, ...],
    rights: dict[Operand, dict[int, int]],
    taken: frozenset[int],
) -> Family | None:
    """The kernel for slices of the left side that begin at `offsets`, unless they lie apart or it does not pay.

    Sums in `taken` belong to another family: those of gates that some right sides share and others do not.
    """
    first = next(iter(rights.values()))[offsets[0]]
    head = nodes[first]
    assert isinstance(head, Outer)
    units, lanes = head.left.size, target.lanes
    if len(offsets) < 2 or any(b - a != units for a, b in pairwise(offsets)):
        return None
    wide = sum(right.size for right in rights)
    width = -(-units * len(offsets) // lanes) * lanes
    joining = [nodes[number] for numbers in rights.values() for number in numbers.values()]
    tiled = all(isinstance(each, Outer) and each.strategy == "tiles" for each in joining)
    held = target.math == "real" and not tiled
    if held and (wide + 1) * width * target.real_bytes > MOST_BYTES:
        return None
    outs = []
    members: set[int] = set()
    for right, numbers in rights.items():
        outers = [nodes[numbers[each]] for each in offsets]
        outs.append(Right(right, tuple(each.out for each in outers if isinstance(each, Outer))))
        members |= {numbers[each] for each in offsets}
    sums = sums_of(plan, nodes, head.left, offsets)
    if sums is not None and not taken.isdisjoint(sums):
        sums = None
    members |= set(sums or ())
    left = replace(head.left, size=units * len(offsets))
    totals = tuple(nodes[each] for each in sums or ())
    node = Outers(
        head.axes,
        left,
        len(offsets),
        tuple(outs),
        tuple(each.out for each in totals if isinstance(each, Reduce)),
        head.origin,
        "split" if tiled else "real",
    )
    return Family(node, frozenset(members))


def sums_of(plan: Plan, nodes: Sequence[Node], left: Operand, offsets: tuple[int, ...]) -> list[int] | None:
    """The numbers of the nodes that sum the slices alone, in order, if there is one for each."""
    found: dict[int, int] = {}
    for number, node in enumerate(nodes):
        if isinstance(node, Reduce) and node.axes == node.summed == WHOLE and by_column(plan, node):
            found.update(
                (offset, number) for offset in offsets if node.operand == replace(left, offset=offset)
            )
    return [found[offset] for offset in offsets] if len(found) == len(offsets) else None


def undisturbed(plan: Plan, nodes: Sequence[Node], family: Family) -> bool:
    """Whether nothing between its members reads what they make or changes what they read or make."""
    read, written = ({each.buffer for each in operands} for operands in reads_and_writes(plan, family.node))
    for number in range(min(family.members), max(family.members)):
        if number in family.members:
            continue
        node = nodes[number]
        inner: Sequence[Node] = (node, *(node.all if isinstance(node, Scan) else ()))
        for each in inner:
            theirs = [{one.buffer for one in some} for some in reads_and_writes(plan, each)]
            if theirs[1] & (read | written) or theirs[0] & written:
                return False
    return True
