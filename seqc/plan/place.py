"""Addresses in the workspace: buffers that are alive at different times share memory.

Takes a Plan; gives it with `offsets` and `arena`. Each of four classes (fixed, growing with B, with T, with T * B) is filled
by first fit in plain numbers, so that T and B may change from call to call. A state's extra slot grows with B alone.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from seqc.flow.types import Axis
from seqc.plan.buffers import Buffer, Operand
from seqc.plan.chain import LOCAL, Chain
from seqc.plan.roots import MAY_BE_NULL
from seqc.plan.target import Arena, Target
from seqc.plan.types import (
    Categorical,
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
    Reduce,
    Reverse,
    Scan,
    Scatter,
    Transpose,
)

ALIGNMENT = 64
SMALL = 8
HANDED_IN = frozenset({"carried", "fresh", "started", "active"})
"""Roles of what the caller hands in if he likes; what stands in for them is filled before the first kernel."""


def element_bytes(buffer: Buffer, target: Target) -> int:
    """Bytes of one element where it lies."""
    return 8 if buffer.home.role in ("score", "grad.hyper") else buffer.element_bytes(target.real_bytes)


def rounded(number: int, to: int) -> int:
    """The next multiple."""
    return -(-number // to) * to


@dataclass(frozen=True, slots=True)
class Access:
    """One kernel reads or writes an operand; `scan` is the number of the scan in whose loop it stands, or -1."""

    position: int
    scan: int
    operand: Operand
    written: bool


def reads_and_writes(plan: Plan, node: Node) -> tuple[list[Operand], list[Operand]]:
    """The operands that a kernel reads, and those that it writes."""
    match node:
        case Pointwise():
            loads = [operand for _, operand, _ in node.loads]
            return [*loads, *indices(loads)], [operand for _, operand in node.stores]
        case Chain():
            return chain_reads_and_writes(plan, node)
        case Product():
            matrices = [plan.packs[each.pack].buffer for each in node.segments]
            packed = [Operand(number, plan.buffers[number].size) for number in matrices if number >= 0]
            read = [*(each.operand for each in node.segments), *packed]
            if node.epilogue is None:
                return read, [Operand(node.out, plan.buffers[node.out].size, 0, node.shift)]
            loads, stores = reads_and_writes(plan, node.epilogue)
            return [*read, *(each for each in loads if each.buffer != node.out)], stores
        case Outer() | Einsum():
            return [node.left, node.right], [node.out]
        case Outers():
            outs = [out for right in node.rights for out in right.outs]
            return [node.left, *(right.operand for right in node.rights)], [*outs, *node.sums]
        case Reduce() | Move() | Transpose():
            return [node.operand], [node.out]
        case Gather():
            return [node.table, node.index], [node.out]
        case Scatter():
            return [node.index, node.operand], [node.out]
        case Reverse():
            return [node.operand, *([node.length] if node.length else [])], [node.out]
        case Categorical():
            return [node.logits, node.temperature, node.draw], [node.out]
        case Pack():
            number = plan.packs[node.pack].buffer
            return list(node.operands), [Operand(number, plan.buffers[number].size)]
        case Guard():
            return [node.condition], []
        case Scan():
            return [], []


def indices(operands: Iterable[Operand]) -> list[Operand]:
    """What says which rows are looked up, each once."""
    return [
        Operand(number, 1) for number in dict.fromkeys(each.lookup.index for each in operands if each.lookup)
    ]


def chain_reads_and_writes(plan: Plan, node: Chain) -> tuple[list[Operand], list[Operand]]:
    """What a chain asks of memory beyond its own, and what it leaves there."""
    read: list[Operand] = []
    written: list[Operand] = []
    for sweep in node.sweeps:
        loads = [*(operand for _, operand, _ in sweep.loads), *(pick.table for pick in sweep.picks)]
        read += [part for each in loads for part in missing(each, written)]
        written += [operand for _, operand in sweep.stores]
    own = {each.buffer for each in (*read, *written) if plan.buffers[each.buffer].home.role == LOCAL}
    return [each for each in read if each.buffer not in own], [
        each for each in written if each.buffer not in own
    ]


def missing(operand: Operand, written: list[Operand]) -> list[Operand]:
    """The parts of an operand that are not among those written, at the same instant."""
    same = [
        each
        for each in written
        if (each.buffer, each.shift, each.at) == (operand.buffer, operand.shift, operand.at)
        and each.gate in (None, operand.gate)
    ]
    if not same:
        return [operand]
    found = []
    reached, end = operand.offset, operand.offset + operand.size
    for each in sorted(same, key=lambda each: each.offset):
        if reached < min(each.offset, end):
            found.append(replace(operand, offset=reached, size=min(each.offset, end) - reached))
        reached = max(reached, each.offset + each.size)
    return [*found, replace(operand, offset=reached, size=end - reached)] if reached < end else found


def flat(nodes: tuple[Node, ...]) -> Iterator[tuple[int, Node]]:
    """All kernels in order, each with the number of the scan in whose loop it stands, or -1."""
    scans = 0
    for node in nodes:
        if isinstance(node, Scan):
            for kernel in node.before:
                yield -1, kernel
            for kernel in node.kernels:
                yield scans, kernel
            for kernel in node.after:
                yield -1, kernel
            scans += 1
        else:
            yield -1, node


def accesses(plan: Plan) -> list[Access]:
    """Every read and write, in running order."""
    found = []
    for position, (scan, node) in enumerate(flat(plan.nodes)):
        read, written = reads_and_writes(plan, node)
        found += [Access(position, scan, operand, False) for operand in read]
        found += [Access(position, scan, operand, True) for operand in written]
    return found


def lifetimes(plan: Plan) -> dict[int, tuple[int, int]]:
    """First and last kernel that needs each buffer. What a scan uses lives for the whole of it: threads that run it for
    different rows do not go step by step together."""
    spans: dict[int, tuple[int, int]] = {}
    bounds: list[tuple[int, int]] = []
    for node in plan.nodes:
        count = len(node.all) if isinstance(node, Scan) else 1
        bounds += [(len(bounds), len(bounds) + count - 1)] * count
    last = max(0, len(bounds) - 1)
    for access in accesses(plan):
        number = access.operand.buffer
        first, end = bounds[access.position]
        known = spans.get(number, (first, end))
        spans[number] = (min(known[0], first), max(known[1], end))
    for number in spans:
        if plan.buffers[number].home.role in HANDED_IN:
            spans[number] = (0, last)
    return spans


@dataclass(frozen=True, slots=True)
class Box:
    """A buffer to be placed in its class: bytes that grow with the class, further bytes a row, and its life."""

    number: int
    size: int
    extra: int
    span: tuple[int, int]

    def meets(self, other: Box) -> bool:
        """Whether both are alive at one time."""
        return self.span[0] <= other.span[1] and other.span[0] <= self.span[1]


def class_of(buffer: Buffer) -> str:
    """What the size of a buffer grows with."""
    time, batch = Axis.TIME in buffer.axes and not buffer.ring, Axis.BATCH in buffer.axes
    return {(False, False): "fixed", (False, True): "row", (True, False): "step", (True, True): "cell"}[
        time, batch
    ]


def boxes(plan: Plan, target: Target) -> dict[str, list[Box]]:
    """The buffers that need workspace, by class, in order of their lives, large ones first."""
    found: dict[str, list[Box]] = {"fixed": [], "row": [], "step": [], "cell": []}
    written = {access.operand.buffer for access in accesses(plan) if access.written}
    for number, span in sorted(lifetimes(plan).items()):
        buffer = plan.buffers[number]
        role = buffer.home.role
        if role != "workspace" and not (role in MAY_BE_NULL and (number in written or role in HANDED_IN)):
            continue
        once = buffer.stride * element_bytes(buffer, target)
        size = once * max(1, buffer.ring)
        size = rounded(size, ALIGNMENT if size >= ALIGNMENT else SMALL)
        extra = 0 if buffer.ring else rounded(buffer.slots * once, SMALL)
        found[class_of(buffer)].append(Box(number, size, extra, span))
    for each in found.values():
        each.sort(key=lambda box: (box.span[0], -box.size, box.number))
    return found


def first_fit(boxes: list[Box]) -> dict[int, tuple[int, int]]:
    """(offset, extra offset) of each box. Boxes come by the start of their lives; each takes the lowest gap among
    those that are still alive, which are kept in order of their offsets."""
    alive: list[tuple[int, int, int]] = []
    found: dict[int, int] = {}
    for box in boxes:
        alive = [each for each in alive if each[2] >= box.span[0]]
        offset, alignment = 0, ALIGNMENT if box.size >= ALIGNMENT else SMALL
        for at, end, _ in alive:
            if at - offset >= box.size:
                break
            offset = max(offset, rounded(end, alignment))
        insort(alive, (offset, offset + box.size, box.span[1]))
        found[box.number] = offset
    return with_extras(boxes, found)


def with_extras(boxes: list[Box], offsets: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Extra bytes pile up along the offsets, so that what lies above stays above for any T and B."""
    found: dict[int, tuple[int, int]] = {}
    beyond = 0
    for box in sorted(boxes, key=lambda box: (offsets[box.number], box.number)):
        found[box.number] = offsets[box.number], beyond
        beyond += box.extra
    return found


def place(plan: Plan, target: Target) -> Plan:
    """The plan with every buffer of the workspace at its address."""
    offsets: dict[int, Arena] = {}
    fixed = row = step = 0
    per_cell = 0
    found = boxes(plan, target)
    for name in ("fixed", "row", "step", "cell"):
        spots = first_fit(found[name])
        size, extra = 0, 0
        for box in found[name]:
            at, beyond = spots[box.number]
            size, extra = max(size, at + box.size), max(extra, beyond + box.extra)
            offsets[box.number] = {
                "fixed": Arena(at, 0, 0, 0),
                "row": Arena(fixed, at, 0, 0),
                "step": Arena(fixed + beyond, row, at, 0),
                "cell": Arena(fixed, row + beyond, step, at),
            }[name]
        size, extra = rounded(size, ALIGNMENT), rounded(extra, ALIGNMENT)
        if name == "fixed":
            fixed = size
        elif name == "row":
            row = size
        elif name == "step":
            step, fixed = size, fixed + extra
        else:
            per_cell, row = size, row + extra
    return replace(plan, offsets=dict(sorted(offsets.items())), arena=Arena(fixed, row, step, per_cell))


def workspace_bytes(plan: Plan, steps: int, batch: int) -> int:
    """Bytes of workspace for one call."""
    return plan.arena.bytes(steps, batch)
