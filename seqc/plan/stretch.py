"""What leads up to a loop over time and what sums up after it go along with it, stretch by stretch of steps.

    product f_y = W x      over all steps           stretches of 256 cells
    scan forward           reads f_y at t     →       product f_y = W x
                                                    scan forward
    scan backward          makes d at t             scan backward
    pointwise e = d * y    over all steps     →     after each stretch
    reduce dp = sum e      over all steps             pointwise e = d * y
                                                      reduce dp = sum e

Takes a Plan; gives it with `Scan.before` and `Scan.after`. What is made for all steps does not fit the second cache where
steps, rows and units are many: it is written to a slower one and read back from there. Made and used a few steps at a time
it stays near.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from seqc.flow.types import Axis, Kind
from seqc.plan.chain import Chain
from seqc.plan.place import accesses, element_bytes, reads_and_writes
from seqc.plan.share import WHOLE, by_column, by_row, by_step, kept_axes
from seqc.plan.target import Target
from seqc.plan.types import (
    Einsum,
    Gather,
    Guard,
    Kernel,
    Move,
    Node,
    Outer,
    Outers,
    Plan,
    Pointwise,
    Product,
    Reduce,
    Scan,
    Scatter,
)

LEAST_BYTES = 512
"""Bytes for a step of a row below which all steps of usual calls fit the second cache."""

FEWEST, MOST = 64, 1024
"""Cells of a stretch: enough for the weights to be read rarely, and no more than helps; in between multiples of the least,
which is what weight gradients sum up at a time."""

LONG, LARGE, LARGE_FOR_NARROW = 256, 8, 2
"""The least where weight gradients are summed on matrix tiles, or in pairs, so fast that what they add to is what takes time; or
where they are so many times as large as the second cache that this does anyway: on vectors of 64 bytes, and on narrower ones."""

SHARE = 8
"""A stretch of what passes takes an eighth of the second cache: weights and results are there, too."""

DEEP = 16 * FEWEST
"""Values summed for a result from which reading large weights anew for each stretch takes longer than what it saves."""


@dataclass(frozen=True, slots=True)
class Company:
    """The nodes that go along with a scan, by number and in order, and the buffers that only they and it use."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    local: tuple[int, ...]
    bytes: int


def make_stretches(plan: Plan, target: Target, cells: int | None = None) -> Plan:
    """The plan with stretches where they pay; with `cells` with such of this size wherever they are legal, 0 for none."""
    if cells == 0:
        return plan
    least = LEAST_BYTES if cells is None else 1
    used = users(plan)
    found: dict[int, Company] = {}
    for number, node in enumerate(plan.nodes):
        if isinstance(node, Scan) and all(by_row(plan, kernel) for kernel in node.kernels):
            company = company_of(plan, number, node, used, target)
            if company.bytes >= least:
                found[number] = company
    return with_stretches(plan, found, target, cells)


def users(plan: Plan) -> dict[int, set[int]]:
    """The numbers of the nodes that use each buffer; -1 among them where one asks for the first or last step."""
    homes: list[int] = []
    for number, node in enumerate(plan.nodes):
        homes += [number] * (len(node.all) if isinstance(node, Scan) else 1)
    used: dict[int, set[int]] = {}
    for access in accesses(plan):
        home = -1 if access.operand.at else homes[access.position]
        used.setdefault(access.operand.buffer, set()).add(home)
    return used


def company_of(plan: Plan, number: int, scan: Scan, used: dict[int, set[int]], target: Target) -> Company:
    """What may go along with a scan; `bytes` for a step of a row pass from one to the other."""
    before, after = leading(plan, number, target), following(plan, number, scan, target)
    makers = (each for each in (*before, *after) if may_lead(plan, plan.nodes[each], target))
    own = written_by(plan, (*(plan.nodes[each] for each in makers), *scan.kernels))
    read = {each.buffer for later in after for each in reads_and_writes(plan, plan.nodes[later])[0]}
    passed = {each for each in own if used[each] & {*before} or each in read}
    circle = {*before, number, *after}
    local = (each for each in own if used[each] <= circle and used[each] != {number} and fits(plan, each))
    sizes = [plan.buffers[each].stride * element_bytes(plan.buffers[each], target) for each in passed]
    return Company(before, after, tuple(sorted(local)), sum(sizes))


def written_by(plan: Plan, nodes: tuple[Node, ...]) -> set[int]:
    """Buffers that some nodes write."""
    return {each.buffer for node in nodes for each in reads_and_writes(plan, node)[1]}


def fits(plan: Plan, number: int) -> bool:
    """Whether a buffer holds one value for each cell, and is ours to lay out."""
    buffer = plan.buffers[number]
    return buffer.home.role == "workspace" and not buffer.slots and not buffer.ring and buffer.axes == WHOLE


def leading(plan: Plan, scan: int, target: Target) -> tuple[int, ...]:
    """The nodes before a scan that make its cells, in order, if a product or a chain is among them."""
    chosen: set[int] = set()
    wait = Wait()
    for number in range(scan - 1, -1, -1):
        node = plan.nodes[number]
        if isinstance(node, Scan | Guard):
            break
        if may_lead(plan, node, target) and wait.lets(plan, node) and feeds(plan, node, scan, chosen):
            chosen.add(number)
        else:
            wait.add(plan, node)
    if not any(isinstance(plan.nodes[number], Product | Chain) for number in chosen):
        return ()
    return tuple(sorted(chosen))


def feeds(plan: Plan, node: Node, scan: int, chosen: set[int]) -> bool:
    """Whether a scan, or what leads up to it, reads what a node makes."""
    loop = plan.nodes[scan]
    assert isinstance(loop, Scan)
    readers = (*loop.kernels, *(plan.nodes[each] for each in chosen))
    read = {each.buffer for reader in readers for each in reads_and_writes(plan, reader)[0]}
    return bool(read & written_by(plan, (node,)))


@dataclass(slots=True)
class Wait:
    """What nodes that stay where they are read and write: others must not pass them if they touch it, too."""

    read: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)

    def add(self, plan: Plan, node: Node) -> None:
        """One more node stays."""
        read, written = reads_and_writes(plan, node)
        self.read |= {each.buffer for each in read}
        self.written |= {each.buffer for each in written}

    def lets(self, plan: Plan, node: Node) -> bool:
        """Whether a node may pass."""
        read, written = ({each.buffer for each in some} for some in reads_and_writes(plan, node))
        return not (self.written & (read | written) or self.read & written)


def may_lead(plan: Plan, node: Node, target: Target) -> bool:
    """Whether a kernel makes every cell from that cell alone, into memory of its own that is read where it was written;
    and a product with weights beyond the second cache does not sum so many values that its weights are what counts."""
    if not isinstance(node, Product | Pointwise | Chain | Einsum | Gather | Move | Reduce):
        return False
    if kept_axes(node) != WHOLE:
        return False
    if (isinstance(node, Einsum | Reduce) and node.summed) or not by_row(plan, node) or by_step(plan, node):
        return False
    if isinstance(node, Product):
        packs = [plan.packs[each.pack] for each in node.segments]
        far = sum(each.bytes(target.real_bytes) for each in packs) > target.l2_bytes
        if far and sum(each.depth for each in packs) > DEEP:
            return False
    return all(fits(plan, each.buffer) for each in reads_and_writes(plan, node)[1])


def is_maker(plan: Plan, node: Node, target: Target) -> bool:
    """Whether a kernel makes every cell from that cell alone, and is no product."""
    return not isinstance(node, Product) and may_lead(plan, node, target)


def following(plan: Plan, scan: int, loop: Scan, target: Target) -> tuple[int, ...]:
    """The nodes after a scan that sum up what it makes, and wait for nothing else; and what is made of it to be summed."""
    found = passing(plan, scan, loop, target, set(range(len(plan.nodes))))
    while (summed := leading_to_sums(plan, found)) != found:
        found = passing(plan, scan, loop, target, set(summed))
    return makers_first(plan, found)


def makers_first(plan: Plan, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """The same nodes, those that make cells before all sums that they need not wait for, as members meet in between."""
    early: list[int] = []
    wait = Wait()
    for number in numbers:
        node = plan.nodes[number]
        if may_follow(plan, node) or not wait.lets(plan, node):
            wait.add(plan, node)
        else:
            early.append(number)
    return (*early, *(number for number in numbers if number not in early))


def passing(plan: Plan, scan: int, loop: Scan, target: Target, wanted: set[int]) -> tuple[int, ...]:
    """Those of the wanted nodes that can go along with a scan, in order."""
    own = written_by(plan, loop.kernels)
    chosen: list[int] = []
    wait = Wait()
    for number in range(scan + 1, len(plan.nodes)):
        node = plan.nodes[number]
        if isinstance(node, Scan | Guard):
            break
        read, written = ({each.buffer for each in some} for some in reads_and_writes(plan, node))
        made = is_maker(plan, node, target)
        if number in wanted and (made or may_follow(plan, node)) and read & own and wait.lets(plan, node):
            chosen.append(number)
            own |= written if made else set()
        else:
            wait.add(plan, node)
    return tuple(chosen)


def leading_to_sums(plan: Plan, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """The sums among some nodes, and those of the others that make what they read."""
    kept: list[int] = []
    read: set[int] = set()
    for number in reversed(numbers):
        node = plan.nodes[number]
        if may_follow(plan, node) or written_by(plan, (node,)) & read:
            kept.append(number)
            read |= {each.buffer for each in reads_and_writes(plan, node)[0]}
    return tuple(reversed(kept))


def may_follow(plan: Plan, node: Node) -> bool:
    """Whether a kernel sums over all cells, one after the other, and can go on later."""
    match node:
        case Outer():
            sums = node.axes == WHOLE
        case Scatter():
            sums = node.axes == node.summed == WHOLE
        case Reduce():
            sums = node.axes == node.summed == WHOLE and by_column(plan, node)
        case _:
            return False
    read, written = reads_and_writes(plan, node)
    axes = [plan.buffers[each.buffer].axes - ({Axis.TIME} if each.at else set()) for each in read]
    kinds = [plan.buffers[each.buffer].kind for each in written]
    roles = [plan.buffers[each.buffer].home.role for each in written]
    whole = all(each == WHOLE for each in axes) and not any(plan.buffers[each.buffer].ring for each in read)
    return sums and whole and kinds == [Kind.REAL] and roles in (["workspace"], ["grad"])


def with_stretches(plan: Plan, found: dict[int, Company], target: Target, cells: int | None) -> Plan:
    """The nodes put before and after the loops of their scans."""
    moved = {each for company in found.values() for each in (*company.before, *company.after)}
    local = {each for company in found.values() for each in company.local}
    nodes: list[Node] = []
    for number, node in enumerate(plan.nodes):
        if number in moved:
            continue
        if isinstance(node, Scan) and number in found:
            company = found[number]
            times = LARGE if target.vector_bytes > 32 else LARGE_FOR_NARROW
            large = summed_bytes(plan, company.after, target) >= times * target.l2_bytes
            least = LONG if target.whole_tiles or target.halves or large else FEWEST
            fitting = min(MOST, max(least, target.l2_bytes // SHARE // company.bytes))
            fitting -= fitting % least
            before, after = kernels(plan, company.before), kernels(plan, company.after)
            node = replace(node, before=before, after=after, stretch=cells or fitting)
        nodes.append(node)
    buffers = [
        replace(buffer, local=True) if number in local else buffer
        for number, buffer in enumerate(plan.buffers)
    ]
    return replace(plan, nodes=tuple(nodes), buffers=tuple(buffers))


def kernels(plan: Plan, numbers: tuple[int, ...]) -> tuple[Kernel, ...]:
    """Nodes that are kernels."""
    nodes = [plan.nodes[number] for number in numbers]
    return tuple(each for each in nodes if not isinstance(each, Scan | Guard))


def summed_bytes(plan: Plan, numbers: tuple[int, ...], target: Target) -> int:
    """Bytes of what the weight gradients among some nodes add to."""
    outs = [
        operand
        for node in kernels(plan, numbers)
        if isinstance(node, Outer | Outers)
        for operand in reads_and_writes(plan, node)[1]
    ]
    return sum(operand.size for operand in outs) * target.real_bytes
