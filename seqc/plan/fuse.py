"""Groups of elementwise values that become one loop, and the order of everything within a phase.

Takes a `Graph` with products; gives the level of every computed value. Values of equal axes and size on one level of
a phase are one group: whoever reads a value from outside its group stands on a higher level, so that groups never wait
for each other in a circle. Values that only higher groups read sink to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import NO_AXES, Axis
from seqc.plan.graph import Graph
from seqc.plan.stack import Stack

LAST = 1 << 30
"""A level above all others."""

GroupKey = tuple[int, int, frozenset[Axis], int]
"""Phase, level, axes and size."""


@dataclass(slots=True)
class Levels:
    """`level` of a computed value; `ready`: the first level on which others may read it."""

    graph: Graph
    stacks: dict[int, Stack]
    level: dict[int, int]
    ready: dict[int, int]

    def same_loop(self, index: int, other: int) -> bool:
        """Whether two values may share a loop."""
        graph = self.graph
        if not (graph.is_pointwise(index) and graph.is_pointwise(other)):
            return False
        here, there = graph.type(index), graph.type(other)
        return (
            graph.phase[index] == graph.phase[other] and here.axes == there.axes and here.size == there.size
        )

    def group(self, index: int) -> GroupKey:
        """The group of an elementwise value."""
        type = self.graph.type(index)
        return self.graph.phase[index], self.level[index], type.axes, type.size


def find_levels(graph: Graph, stacks: dict[int, Stack]) -> Levels:
    """The levels of all values that somebody reads."""
    levels = Levels(graph, stacks, {}, {})
    for index in graph.in_order():
        needed = max((wait(levels, index, each) for each in graph.before(index)), default=0)
        if graph.is_computed(index):
            if graph.uses[index]:
                levels.level[index] = needed
                levels.ready[index] = needed + 1
        else:
            # A state may be filled by copies, which stand on the level on which their values are ready.
            copied = graph.op[index] in ("prev", "final") and graph.before(index) != ()
            levels.ready[index] = needed + 1 if copied else needed
    sink(levels)
    return levels


def wait(levels: Levels, index: int, source: int) -> int:
    """The first level on which `index` may run, as far as `source` is concerned."""
    graph = levels.graph
    base, offset = graph.ref[source]
    if graph.phase[base] != graph.phase[index]:
        return 0
    whole = offset == 0 and graph.size(base) == graph.size(source)
    if graph.is_computed(index) and whole and base in levels.level and levels.same_loop(base, index):
        return levels.level[base]
    return levels.ready.get(base, 0)


def sink(levels: Levels) -> None:
    """Move elementwise values to the highest level that still serves all their readers."""
    graph = levels.graph
    for index in reversed(graph.computed()):
        if index not in levels.level or not graph.is_pointwise(index):
            continue
        highest = None
        for use in graph.uses[index]:
            limit = latest(levels, index, use.user, use.whole, use.phase)
            if limit is None:
                highest = None
                break
            highest = limit if highest is None else min(highest, limit)
        if highest is not None and highest > levels.level[index]:
            levels.level[index] = highest
            levels.ready[index] = highest + 1


def latest(levels: Levels, index: int, user: int, whole: bool, phase: int) -> int | None:
    """The highest level on which a value still serves one reader; None for a reader outside the phase.

    What is made of weights for the caller alone comes last, so that it may overwrite them.
    """
    if user < 0 and phase == len(levels.graph.phases) and levels.graph.type(index).axes == NO_AXES:
        return LAST
    if user < 0 or phase != levels.graph.phase[index] or user not in levels.level:
        return None
    same = whole and levels.same_loop(index, user)
    return levels.level[user] if same else levels.level[user] - 1
