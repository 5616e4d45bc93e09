"""Rows of different lengths: only what is alive takes time and memory.

    scan forward  h                               scan forward  h, kept
    outer W = left, prev h of all steps     →     outer W = left, kept
    output y = …                                  b9 = …; output y = b9, row by row

Takes a Plan whose kernels hold states and mask sums past the end of a row; gives it with `length` set, if all its kernels can run on
sorted rows. Then rows lie in the workspace by their lengths, the longest first, and kernels run for steps that exist: at step t for
the first n(t) rows. Buffers with TIME and BATCH hold no others: (t, b) lies at start(t) + b, where start(t) is the number of cells
before step t. "last" is the end of each row by itself. Masks stay, so the plan still is right on padded rows, one by one.

States live in rings, so nobody may look for them by the step: those who did get what the loop saw of them. The caller's arrays are in
his order: they are read and written row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from seqc.flow.types import Axis, Way
from seqc.plan.buffers import Buffer, Home, Operand
from seqc.plan.place import accesses, reads_and_writes
from seqc.plan.types import Einsum, Kernel, Node, Plan, Pointwise, Product, Reduce, Reverse, Scan, Scatter

WHOLE = frozenset({Axis.TIME, Axis.BATCH})
ROW = frozenset({Axis.BATCH})
TIME = frozenset({Axis.TIME})
WORKSPACE = Home("workspace")


def make_ragged(plan: Plan, length: str | None) -> Plan:
    """The plan on sorted rows, where it reads lengths and all its kernels can."""
    if length is None or all(buffer.home != Home("input", length) for buffer in plan.buffers):
        return plan
    made = with_views(plan)
    if made is None:
        return plan
    made = replace(with_twins(made), length=length)
    return made if all(sortable(made, kernel) for kernel in kernels_of(made.nodes)) else plan


def kernels_of(nodes: Sequence[Node]) -> Iterator[Node]:
    """All nodes but scans, and the kernels of these."""
    for node in nodes:
        yield from node.all if isinstance(node, Scan) else (node,)


# ---- what later steps and the text ask --------------------------------------------------------------------------------


def foreign(plan: Plan, operand: Operand) -> bool:
    """Whether the rows of an operand lie elsewhere than those of the workspace: in the caller's order, or each at a step
    of its own."""
    buffer = plan.buffers[operand.buffer]
    return Axis.BATCH in buffer.axes and (buffer.home.role != "workspace" or operand.at == "last")


def row_by_row(plan: Plan, node: Node) -> bool:
    """Whether a loop on sorted rows is called for each row by itself: for foreign operands, or for draws, which go by the
    caller's number of a row."""
    if not plan.length or not isinstance(node, Pointwise) or Axis.BATCH not in node.axes:
        return False
    read, written = reads_and_writes(plan, node)
    return bool(node.draws) or any(foreign(plan, operand) for operand in (*read, *written))


def sums_rows(plan: Plan, axes: frozenset[Axis], summed: frozenset[Axis]) -> bool:
    """Whether a kernel of sorted rows adds up the steps of each row; `axes` are those of its result."""
    return bool(plan.length) and axes == ROW and summed == TIME


def sortable(plan: Plan, node: Node) -> bool:
    """Whether a kernel can run on the cells that exist."""
    if isinstance(node, Reverse):
        both = [plan.buffers[each.buffer].axes == WHOLE for each in (node.operand, node.out)]
        return all(both) and node.length is not None
    if not isinstance(node, Reduce | Scatter | Einsum) or Axis.TIME not in node.summed:
        return True
    if node.axes == TIME:
        return True
    read, _ = reads_and_writes(plan, node)
    whole = node.axes == WHOLE and all(plan.buffers[each.buffer].axes == WHOLE for each in read)
    return whole and (node.summed == WHOLE or not isinstance(node, Einsum))


# ---- states -----------------------------------------------------------------------------------------------------------


def with_views(plan: Plan) -> Plan | None:
    """The plan in which only its own scan uses a state by the step; None if there is a state with two scans, or none."""
    homes: dict[int, int] = {}
    number = 0
    for place, node in enumerate(plan.nodes):
        for _ in node.all if isinstance(node, Scan) else (node,):
            homes[number] = place
            number += 1
    timed = {
        number for number, buffer in enumerate(plan.buffers) if buffer.slots and Axis.BATCH in buffer.axes
    }
    owner: dict[int, int] = {}
    for access in accesses(plan):
        buffer, place = access.operand.buffer, homes[access.position]
        if buffer not in timed or not access.written or access.operand.at:
            continue
        if access.scan < 0 or owner.setdefault(buffer, place) != place:
            return None
    views = Views(plan, owner)
    nodes = [views.away(place, node) for place, node in enumerate(plan.nodes)]
    if any(view[0] not in owner for view in views.made):
        return None
    nodes = [views.kept(place, node) for place, node in enumerate(nodes)]
    return replace(plan, buffers=tuple(views.buffers), nodes=tuple(nodes))


class Views:
    """Buffers of what a loop sees of its states: `made` leads from a state's buffer and a shift to one."""

    def __init__(self, plan: Plan, owner: dict[int, int]) -> None:
        self.plan, self.owner = plan, owner
        self.buffers = list(plan.buffers)
        self.made: dict[tuple[int, int], int] = {}

    def away(self, place: int, node: Node) -> Node:
        """A node that reads views of the states of other nodes."""

        def view(operand: Operand) -> Operand:
            buffer = self.plan.buffers[operand.buffer]
            known = self.owner.get(operand.buffer) == place or operand.at
            if not buffer.slots or Axis.BATCH not in buffer.axes or known:
                return operand
            key = operand.buffer, operand.shift
            if key not in self.made:
                self.buffers.append(Buffer(buffer.name, buffer.kind, buffer.size, buffer.axes, WORKSPACE))
                self.made[key] = len(self.buffers) - 1
            return replace(operand, buffer=self.made[key], shift=0)

        seen: Node = substituted(node, view)
        return seen

    def kept(self, place: int, node: Node) -> Node:
        """The scan that fills the views of its states as well."""
        if not isinstance(node, Scan):
            return node
        kernels = list(node.kernels)
        for (state, shift), number in sorted(self.made.items()):
            if self.owner[state] != place:
                continue
            source = Operand(state, self.buffers[state].size, 0, shift)
            before = shift == (0 if node.way is Way.FORWARD else 1)
            if not store_too(kernels, source, Operand(number, source.size), before):
                copy = copied(self.buffers, source, Operand(number, source.size), ROW)
                kernels.insert(0 if before else len(kernels), copy)
        return replace(node, kernels=tuple(kernels))


def store_too(kernels: list[Kernel], source: Operand, target: Operand, loaded: bool) -> bool:
    """Have a loop that loads, or stores, a whole state store it in a second place; whether there is one."""
    for place, kernel in enumerate(kernels):
        if not isinstance(kernel, Pointwise) or kernel.axes != ROW or kernel.size != source.size:
            continue
        if loaded:
            ids = [number for number, operand, _ in kernel.loads if operand == source]
        else:
            ids = [number for number, operand in kernel.stores if operand == source]
        if ids:
            kernels[place] = replace(kernel, stores=(*kernel.stores, (ids[0], target)))
            return True
    return False


def copied(buffers: Sequence[Buffer], source: Operand, target: Operand, axes: frozenset[Axis]) -> Pointwise:
    """A loop that copies all of an operand."""
    kind = buffers[source.buffer].kind
    name = buffers[source.buffer].name
    return Pointwise(axes, source.size, ((0, source, kind),), (), (), ((0, target),), name)


# ---- the caller's arrays ----------------------------------------------------------------------------------------------


def with_twins(plan: Plan) -> Plan:
    """The plan in which only loops across touch foreign operands; other nodes use buffers of sorted rows, which such
    loops fill before or hand on behind them. Loops that write a part of what others write use the same buffer."""
    buffers = list(plan.buffers)
    last: dict[tuple[int, str], int] = {}
    shared: set[tuple[int, str]] = set()
    for place, node in enumerate(plan.nodes):
        for operand in touched(plan, node)[1]:
            last[operand.buffer, operand.at] = place
            if not across(node) and foreign(plan, operand):
                shared.add((operand.buffer, operand.at))
    twins: dict[tuple[int, str], int] = {}
    filled: set[tuple[int, str]] = set()
    nodes: list[Node] = []
    for place, node in enumerate(plan.nodes):
        read, written = touched(plan, node)
        if across(node) and not any((each.buffer, each.at) in shared for each in written):
            nodes.append(node)
            continue
        before: list[Node] = []
        behind: list[Node] = []
        for operand, out in [*((each, False) for each in read), *((each, True) for each in written)]:
            key = operand.buffer, operand.at
            if not foreign(plan, operand) or (key in filled and not out):
                continue
            if key not in twins:
                twins[key] = len(buffers)
                buffers.append(twin_of(buffers[operand.buffer], operand))
            far = Operand(operand.buffer, buffers[operand.buffer].size, at=operand.at)
            near = Operand(twins[key], far.size)
            axes = buffers[near.buffer].axes
            if out:
                copy = copied(buffers, near, far, axes)
                behind += [] if copy in behind or last[key] > place else [copy]
            else:
                filled.add(key)
                before.append(copied(buffers, far, near, axes))

        def near_by(operand: Operand) -> Operand:
            number = twins.get((operand.buffer, operand.at), operand.buffer)
            return operand if number == operand.buffer else replace(operand, buffer=number, at="")

        nodes += [*before, substituted(node, near_by), *behind]
    return replace(plan, buffers=tuple(buffers), nodes=tuple(nodes))


def across(node: Node) -> bool:
    """Whether a node is a loop that may go row by row."""
    return isinstance(node, Pointwise) and Axis.BATCH in node.axes


def twin_of(buffer: Buffer, operand: Operand) -> Buffer:
    """A buffer of the workspace for a foreign operand."""
    axes = buffer.axes - TIME if operand.at else buffer.axes
    return Buffer(buffer.name, buffer.kind, buffer.size, axes, WORKSPACE)


def touched(plan: Plan, node: Node) -> tuple[list[Operand], list[Operand]]:
    """What a node and the kernels in it read and write."""
    read: list[Operand] = []
    written: list[Operand] = []
    for kernel in kernels_of([node]):
        reads, writes = reads_and_writes(plan, kernel)
        read += reads
        written += writes
    return read, written


def substituted(node: Any, change: Callable[[Operand], Operand]) -> Any:
    """A node, or a part of one, with other operands."""
    if isinstance(node, Operand):
        return change(node)
    if isinstance(node, tuple):
        return tuple(substituted(each, change) for each in node)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    new = {each.name: substituted(getattr(node, each.name), change) for each in fields(node)}
    if isinstance(node, Product):
        new["out"] = change(Operand(node.out, 1, 0, node.shift)).buffer
    return replace(node, **new)
