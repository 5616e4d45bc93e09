"""Who does what in a team of threads: the part of each node that a member takes, and where all members meet.

Takes a finished Plan; gives a `Share` for each node that stands outside of scans. Results are the same for any number of
members: rows are independent of each other, and what is summed over rows is divided by its columns, never by its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Buffer, Operand
from seqc.plan.effort import effort_of, work_of
from seqc.plan.place import ALIGNMENT, SMALL, reads_and_writes, rounded
from seqc.plan.ragged import row_by_row
from seqc.plan.target import Arena
from seqc.plan.types import (
    Einsum,
    Guard,
    Kernel,
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
)

WHOLE = frozenset({Axis.TIME, Axis.BATCH})
LEAST = 1 << 15
"""Elementary steps after which the next task is another's: less is not worth a line of code."""

MEETING = 1 << 17
"""Weights of a step that are multiplied in about ten times the time of a meeting."""

BESIDE = 64
"""Columns of which panels of the left side of `Outers` are made, or whole parts, on any machine."""

TOGETHER, LARGE = 16, 1 << 20
"""Rows of a table that a member multiplies at least, which fill a matrix tile, and the elementary steps from which its products
are divided."""

NUMBERS = 12
"""Numbers of tasks: they can be dealt evenly to 2, 3, 4, 6 or 12 members."""


class Split(Enum):
    """How a node is divided.

    ROWS: a stretch of the batch, all steps of it. CELLS: a stretch of all steps of all rows. PART: a stretch of the rows
    (or columns) of the result, each summed over everything. TASK: whole, by one member. ALL: by every member alike.
    """

    ROWS = "rows"
    CELLS = "cells"
    PART = "part"
    TASK = "task"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Share:
    """`meet`: all members meet first. `task`: its number, which picks the member. `count` and `grain`: what a PART
    divides. `units`: a loop by ROWS whose members, if there is one row only, share the units of each step and meet behind
    every kernel of it."""

    split: Split
    meet: bool = False
    task: int = 0
    count: int = 0
    grain: int = 1
    units: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """What a node reads or writes of a buffer: `mode` are two things alike only if each member meets its own alone."""

    buffer: int
    written: bool
    mode: object


ANY = "anything"


def shares(plan: Plan, real_bytes: int, lanes: int) -> list[Share]:
    """A share for each node of the plan."""
    members = Members(plan, real_bytes)
    return [members.share(node, split_of(plan, node, lanes)) for node in plan.nodes]


# ---- how a node may be divided ----------------------------------------------------------------------------------------


def split_of(plan: Plan, node: Node, lanes: int) -> Share:
    """The division of one node, without regard to its neighbours."""
    if isinstance(node, Guard):
        return Share(Split.ALL)
    if isinstance(node, Scan):
        rows = all(by_row(plan, kernel) for kernel in (*node.before, *node.kernels))
        return Share(
            Split.ROWS if rows else Split.TASK, units=rows and not plan.length and worth_meetings(plan, node)
        )
    if isinstance(node, Outer):
        return part_of_outer(plan, node)
    if isinstance(node, Product) and by_table(plan, node):
        return Share(Split.PART, count=node.rows, grain=TOGETHER)
    if isinstance(node, Pointwise) and node.rows >= 2 * lanes:
        return Share(Split.PART, count=node.rows, grain=lanes)
    if isinstance(node, Outers):
        whole = node.left.size < 2 * BESIDE
        return Share(Split.TASK) if whole else Share(Split.PART, count=node.left.size, grain=BESIDE)
    if isinstance(node, Reduce) and by_column(plan, node) and node.outer * node.inner >= 4 * lanes:
        return Share(Split.PART, count=node.outer * node.inner, grain=lanes)
    if isinstance(node, Scatter) and not by_row(plan, node) and node.width >= 4 * lanes:
        return Share(Split.PART, count=node.width, grain=lanes)
    if not by_row(plan, node):
        return Share(Split.TASK)
    across = kept_axes(node) == WHOLE and not by_step(plan, node)
    return Share(Split.CELLS if across else Split.ROWS)


def by_table(plan: Plan, node: Product) -> bool:
    """Whether members can share the rows of a table that a product multiplies, and it pays."""
    enough = node.rows >= 2 * TOGETHER and work_of(plan, node) >= LARGE
    return enough and node.epilogue is None and not node.axes


def worth_meetings(plan: Plan, node: Scan) -> bool:
    """Whether the products of each step of a row take so long that members may meet behind every kernel."""
    products = [kernel for kernel in node.kernels if isinstance(kernel, Product) and by_units(plan, kernel)]
    weights = sum(plan.packs[each.pack].elements for kernel in products for each in kernel.segments)
    return weights >= MEETING * len(node.kernels)


def by_units(plan: Plan, node: Node) -> bool:
    """Whether members can share the units of a product of one row: it runs by panels, and has more than one."""
    if not isinstance(node, Product) or node.strategy not in ("gemm", "either"):
        return False
    pack = plan.packs[node.segments[0].pack]
    return pack.kind in ("real", "either") and pack.units >= 4 * pack.block


def part_of_outer(plan: Plan, node: Outer) -> Share:
    """The rows of the result, by whole blocks where the left side is interleaved."""
    left = plan.buffers[node.left.buffer]
    interleaved = node.left.gate is not None and left.gates > 1
    count, grain = node.left.size // node.rows, left.block if interleaved else 8
    return Share(Split.PART, count=count, grain=grain) if count >= 2 * grain else Share(Split.TASK)


def by_column(plan: Plan, node: Reduce) -> bool:
    """Whether it is the sum of dense vectors, each column by itself."""
    kind = plan.buffers[node.operand.buffer].kind
    return node.how == "sum" and kind is Kind.REAL and node.middle == 1 and Axis.BATCH in node.summed


def kept_axes(node: Kernel) -> frozenset[Axis]:
    """The axes along which results lie."""
    if isinstance(node, Reverse):
        return WHOLE
    if isinstance(node, Pack):
        return frozenset()
    return node.axes - node.summed if isinstance(node, Reduce | Scatter | Einsum) else node.axes


def by_row(plan: Plan, node: Kernel) -> bool:
    """Whether a row of the batch is made from that row alone."""
    if isinstance(node, Outer | Outers | Pack | Reverse) or Axis.BATCH not in kept_axes(node):
        return False
    if isinstance(node, Reduce | Scatter | Einsum) and Axis.BATCH in node.summed:
        return False
    _, written = reads_and_writes(plan, node)
    return all(Axis.BATCH in plan.buffers[operand.buffer].axes for operand in written)


def by_step(plan: Plan, node: Kernel) -> bool:
    """Whether a kernel of all steps is called step by step, as its operands or draws demand."""
    if row_by_row(plan, node):
        return True
    group = node.epilogue if isinstance(node, Product) else node
    if isinstance(group, Pointwise) and (group.draws or any(s.op == "instant" for s in group.statements)):
        return True
    read, written = reads_and_writes(plan, node)
    axes = kept_axes(node)
    for operand in (*read, *written):
        buffer = plan.buffers[operand.buffer]
        have = buffer.axes - {Axis.TIME} if operand.at else buffer.axes
        if have & axes not in (axes, frozenset()) or (buffer.ring and not isinstance(node, Reduce | Scatter)):
            return True
    return False


# ---- who meets whom ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Members:
    """Walks the nodes; `pending` is what has been touched since all members met, `loads` the work of each task since."""

    plan: Plan
    real_bytes: int
    pending: list[Touch] = field(default_factory=list)
    loads: list[int] = field(default_factory=lambda: [0] * NUMBERS)
    task: int = 0
    _known: dict[tuple[int, int], bool] = field(default_factory=dict)

    def share(self, node: Node, wanted: Share) -> Share:
        """The share of the next node."""
        if wanted.split is Split.TASK:
            return self._task(node)
        touches = self._touches(node, wanted)
        meet = any(True for _ in self._conflicts(touches))
        together = isinstance(node, Scan) and bool(node.after)
        return self._done(replace(wanted, meet=meet), touches, together)

    def _task(self, node: Node) -> Share:
        """A task goes to the member that did what it waits for, else to the one with the least to do, if it is worth it."""
        number = self.task
        found = {touch.mode for touch in self._conflicts(self._touches(node, Share(Split.TASK, task=-1)))}
        owners = {mode[1] for mode in found if isinstance(mode, tuple) and mode[0] is Split.TASK}
        meet = bool(found) and (len(owners) != 1 or len(owners) != len(found))
        work = effort_of(self.plan, node, 1024, 32)
        if meet:
            self.loads = [0] * NUMBERS
        if owners and not meet:
            number = min(owners)
        elif work + self.loads[number] >= LEAST:
            number = min(range(NUMBERS), key=self._busy)
        self.loads[number] += work
        self.task = number
        return self._done(
            Share(Split.TASK, meet, number), self._touches(node, Share(Split.TASK, task=number))
        )

    def _busy(self, number: int) -> int:
        """How much the member with a task has to do already, in teams of two, three and four."""
        return sum(members * sum(self.loads[number % members :: members]) for members in (2, 3, 4))

    def _done(self, share: Share, touches: list[Touch], ends_together: bool = False) -> Share:
        if share.meet or ends_together:
            self.pending.clear()
            if share.split is not Split.TASK:
                self.loads = [0] * NUMBERS
        if not ends_together:
            self.pending += touches
        return share

    def _touches(self, node: Node, share: Share) -> list[Touch]:
        kernels = node.all if isinstance(node, Scan) else (node,)
        after = node.after if isinstance(node, Scan) else ()
        sums = [kernel for kernel in after if not by_row(self.plan, kernel)]
        found: dict[Touch, None] = {}
        for kernel in kernels:
            own = Share(Split.PART) if kernel in sums else share
            read, written = reads_and_writes(self.plan, kernel)
            for operand in read:
                found[Touch(operand.buffer, False, self._mode(operand, own))] = None
            for operand in written:
                found[Touch(operand.buffer, True, self._mode(operand, own))] = None
        return list(found)

    def _mode(self, operand: Operand, share: Share) -> object:
        """What decides which elements each member touches."""
        axes = self.plan.buffers[operand.buffer].axes
        if share.split is Split.TASK:
            return (Split.TASK, share.task)
        if share.split is Split.ROWS and Axis.BATCH in axes:
            return (Split.ROWS,)
        if share.split is Split.CELLS and Axis.BATCH in axes:
            return (Split.CELLS, operand.shift)
        return ANY

    def _conflicts(self, touches: list[Touch]) -> Iterator[Touch]:
        """What has been touched by another member in the meantime."""
        for touch in touches:
            for other in self.pending:
                if (touch.written or other.written) and self._differ(touch, other):
                    yield other

    def _differ(self, touch: Touch, other: Touch) -> bool:
        tasks = isinstance(touch.mode, tuple) and touch.mode[0] is Split.TASK
        if touch.mode == other.mode and (tasks or (touch.mode != ANY and touch.buffer == other.buffer)):
            return False
        return touch.buffer == other.buffer or self._overlap(touch.buffer, other.buffer)

    def _overlap(self, first: int, second: int) -> bool:
        key = (min(first, second), max(first, second))
        if key not in self._known:
            self._known[key] = overlap(self.plan, self.real_bytes, *key)
        return self._known[key]


def overlap(plan: Plan, real_bytes: int, first: int, second: int) -> bool:
    """Whether two buffers may share memory, for any numbers of steps and rows."""
    if any(plan.buffers[number].home.role != "workspace" for number in (first, second)):
        return False
    a, b = plan.offsets[first], plan.offsets[second]
    return not (
        beyond(b, a, extent(plan.buffers[first], real_bytes))
        or beyond(a, b, extent(plan.buffers[second], real_bytes))
    )


def extent(buffer: Buffer, real_bytes: int) -> Arena:
    """The bytes of a buffer, as `place` counts them."""
    once = buffer.stride * buffer.element_bytes(real_bytes)
    size = once * max(1, buffer.ring)
    size = rounded(size, ALIGNMENT if size >= ALIGNMENT else SMALL)
    extra = 0 if buffer.ring else rounded(buffer.slots * once, SMALL)
    time, batch = Axis.TIME in buffer.axes and not buffer.ring, Axis.BATCH in buffer.axes
    if not time:
        return Arena(0, size, 0, 0) if batch else Arena(size, 0, 0, 0)
    return Arena(0, extra, 0, size) if batch else Arena(extra, 0, size, 0)


def beyond(above: Arena, below: Arena, size: Arena) -> bool:
    """Whether `above` starts behind the `size` bytes from `below` on, for all steps and rows from 1."""
    fixed = above.fixed - below.fixed - size.fixed
    row = above.per_row - below.per_row - size.per_row
    step = above.per_step - below.per_step - size.per_step
    cell = above.per_cell - below.per_cell - size.per_cell
    return min(fixed + row + step + cell, row + cell, step + cell, cell) >= 0
