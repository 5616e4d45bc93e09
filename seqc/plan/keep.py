"""What one phase leaves in memory for a later one, and what the later one rather computes again.

    forward: u = 1 - y * y        backward: d = g * u       →      kept: y;  backward: d = g * (1 - y * y)

Takes a `Graph` with products; gives, by phase, the cheap elementwise values that this phase computes for itself. Results of
transcendental functions and of products are kept; so is a cheap value that would need more memory in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.flow.types import Kind
from seqc.plan.graph import MEMORY, Graph, Use

ARITHMETIC = ("add", "sub", "mul", "neg", "abs", "sign", "floor", "minimum", "maximum", "cast")
LOGIC = ("select", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not")
CHEAP = frozenset((*ARITHMETIC, *LOGIC, "broadcast", "const", "draw"))
LONGEST = 24
"""How many values are computed again for one that is wanted."""

BYTES = {Kind.BOOL: 1, Kind.F64: 8, Kind.INT: 8, Kind.INDEX: 8}


def find_recomputed(graph: Graph) -> dict[int, list[int]]:
    """By phase, the values that it computes again, in order. Needs the uses of all values."""
    keeper = Keeper(graph)
    order = graph.computed()
    wanted = {index: keeper.far_phases(index) for index in order}
    for index in order:
        if wanted[index] and not keeper.is_cheap(index):
            keeper.kept.add(index)
    for index in order:
        if wanted[index] and index not in keeper.kept:
            keeper.decide(index, wanted[index])
    place = graph.position
    return {
        phase: sorted(values, key=lambda index: place[index])
        for phase, values in sorted(keeper.again.items())
    }


@dataclass(slots=True)
class Keeper:
    """`kept` are values that lie in memory for the whole of time anyway; `again` those that a phase computes anew."""

    graph: Graph
    kept: set[int] = field(default_factory=set)
    again: dict[int, set[int]] = field(default_factory=dict)

    def far_phases(self, index: int) -> list[int]:
        """The later phases whose loops of the same kind read the value; empty if it must be stored anyway."""
        graph = self.graph
        if graph.uniform[index]:
            return []
        for use in graph.uses[index]:
            if not self.in_loop(index, use) and (
                use.phase != graph.phase[index] or not graph.cyclic(use.phase)
            ):
                self.kept.add(index)
                return []
        return sorted({use.phase for use in graph.uses[index] if use.phase != graph.phase[index]})

    def in_loop(self, index: int, use: Use) -> bool:
        """Whether the user is a loop over the same elements and axes."""
        graph = self.graph
        if use.user < 0 or not use.whole or not graph.is_pointwise(use.user) or not graph.is_pointwise(index):
            return False
        here, there = graph.type(index), graph.type(use.user)
        return here.axes == there.axes and here.size == there.size

    def is_cheap(self, index: int) -> bool:
        """Whether computing the value again costs less than reading it."""
        graph = self.graph
        if not graph.is_pointwise(index):
            return False
        if graph.op[index] == "div":
            return graph.uniform[graph.through(graph.args[index][1])]
        return graph.op[index] in CHEAP

    def decide(self, index: int, phases: list[int]) -> None:
        """Keep one cheap value, or have it computed again."""
        found = self.expand(index)
        if found is None:
            self.kept.add(index)
            return
        again, needed = found
        for phase in phases:
            self.again.setdefault(phase, set()).update(again)
        self.kept |= needed

    def expand(self, index: int) -> tuple[set[int], set[int]] | None:
        """What has to be computed to have the value again, and what has to be kept for it; None if that costs more.

        What a product computes within a scan is scratch of all its gates, and never kept.
        """
        graph = self.graph
        again: set[int] = set()
        needed: set[int] = set()
        todo = [index]
        while todo:
            value = todo.pop()
            again.add(value)
            if len(again) > LONGEST:
                return None
            for source in graph.sources(value):
                base, offset = graph.ref[source]
                if graph.inline_always(base) or base in self.kept or self.is_there(base):
                    continue
                if base in graph.segments and graph.cyclic(graph.phase[base]):
                    return None
                whole = offset == 0 and graph.size(base) == graph.size(source)
                if whole and self.in_loop(base, Use(index, True, 0)) and self.is_cheap(base):
                    if base not in again:
                        todo.append(base)
                else:
                    needed.add(base)
        cost = sum(self.bytes(each) for each in needed)
        cost += any(graph.op[each] == "prev" for each in needed)  # a loop alone needs two instants of a state
        return (again, needed) if cost <= self.bytes(index) else None

    def is_there(self, index: int) -> bool:
        """Whether a value lies in memory for all steps anyway: it came from the caller, or others than its loop read that state."""
        graph = self.graph
        if graph.op[index] != "prev" or not graph.cyclic(graph.phase[index]):
            return graph.op[index] in MEMORY
        return any(use.phase != graph.phase[index] for use in graph.uses[index])

    def bytes(self, index: int) -> int:
        """Memory of the value at one instant."""
        type = self.graph.type(index)
        return type.size * BYTES.get(type.kind, 4)
