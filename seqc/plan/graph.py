"""The Flow as the planner sees it: live values by phase, with names for the same memory resolved.

Takes a Flow; gives a `Graph`: a mutable working copy in which reshapes, parts and other views point to the value that
holds their elements, scalars of the whole call are set apart, and every use of a value is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from seqc.flow.order import Block, order, reachable, state_of
from seqc.flow.types import Attribute, Axis, Flow, Kind, Type, Way
from seqc.ops.table import ELEMENTWISE_NAMES
from seqc.plan.buffers import Spread

MEMORY = frozenset({"input", "param", "prev", "final", "carried", "fresh", "started", "active"})
"""Values that lie in memory already: they are read, never computed."""

POINTWISE = ELEMENTWISE_NAMES | {"const", "draw", "instant"}
"""Values that a loop over elements computes."""

UNIFORM_LEAVES = frozenset({"hyper", "steps", "rows", "step", "given", "const"})
WHOLE_NUMBERS = frozenset({Kind.INT, Kind.INDEX})


@dataclass(slots=True)
class Segment:
    """One summand of a product: `matrix` (rows or columns form) times `vector`, or times each of `rows` vectors that lie
    in one matrix without axes."""

    form: str
    matrix: int
    vector: int
    units: int
    depth: int
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a value: by value `user`, or by `user` < 0 for a root or a state. `whole`: all elements, in place."""

    user: int
    whole: bool
    phase: int


@dataclass(slots=True)
class Graph:
    """`ref` leads from a value to (the value that holds its elements, offset of the first); `position` is a running
    order of all live values; `settled` are uniforms that must lie in memory for a kernel. `spread`: for each argument of some
    elementwise values, which elements of it they read (`Operand.spread`)."""

    flow: Flow
    phases: tuple[Block, ...]
    live: list[bool]
    op: list[str]
    args: list[tuple[int, ...]]
    phase: list[int]
    ref: list[tuple[int, int]]
    uniform: list[bool]
    position: list[int]
    settled: set[int] = field(default_factory=set)
    spread: dict[int, tuple[Spread | None, ...]] = field(default_factory=dict)
    segments: dict[int, tuple[Segment, ...]] = field(default_factory=dict)
    uses: list[list[Use]] = field(default_factory=list)

    def type(self, index: int) -> Type:
        """The type of a value."""
        return self.flow.values[index].type

    def size(self, index: int) -> int:
        """Elements at one instant of one sequence."""
        return self.flow.values[index].type.size

    def attr(self, index: int, name: str) -> Attribute:
        """An attribute of a value."""
        return self.flow.values[index].attr(name)

    def whole(self, index: int, name: str) -> int:
        """An attribute that is a whole number."""
        value = self.attr(index, name)
        assert isinstance(value, int)
        return value

    def wholes(self, index: int, name: str) -> tuple[int, ...]:
        """An attribute that is a tuple of whole numbers."""
        value = self.attr(index, name)
        assert isinstance(value, tuple)
        return value

    def origin(self, index: int) -> str:
        """Where the value comes from."""
        return str(self.flow.values[index].origin)

    def state(self, index: int) -> int:
        """The state that a `prev` or `final` reads."""
        return state_of(self.flow.values[index])

    def cyclic(self, phase: int) -> bool:
        """Whether the phase is a scan."""
        return self.phases[phase].cyclic

    def local_axes(self, index: int) -> frozenset[Axis]:
        """The axes over which the value's kernel runs: in a scan, time is the loop around it."""
        axes = self.type(index).axes
        return axes - {Axis.TIME} if self.cyclic(self.phase[index]) else axes

    def in_order(self) -> Iterator[int]:
        """Live values in running order."""
        for block in self.phases:
            yield from block.values

    def is_computed(self, index: int) -> bool:
        """Whether some kernel computes the value: it is no other name, no leaf in memory, no uniform unless settled."""
        if not self.live[index] or self.ref[index] != (index, 0) or self.op[index] in MEMORY:
            return False
        return not self.uniform[index] or index in self.settled

    def computed(self) -> list[int]:
        """The values that some kernel computes, in running order."""
        return [index for index in self.in_order() if self.is_computed(index)]

    def is_pointwise(self, index: int) -> bool:
        """Whether a loop over elements computes the value."""
        return index not in self.segments and (self.op[index] in POINTWISE or self.uniform[index])

    def through(self, index: int) -> int:
        """The value whose elements an elementwise user may read instead: broadcasts happen while loading."""
        while True:
            base, offset = self.ref[index]
            if offset == 0 and base != index and self.size(base) == self.size(index):
                index = base
            elif self.op[index] == "broadcast" and not self.uniform[index]:
                index = self.args[index][0]
            else:
                return index

    def sources(self, index: int) -> tuple[int, ...]:
        """The values that a computed value reads, as its kernel will: (views of) stored values or group members."""
        if self.uniform[index]:
            return ()
        if self.is_pointwise(index):
            return tuple(self.through(arg) for arg in self.args[index])
        if index in self.segments:
            return tuple(part for each in self.segments[index] for part in (each.matrix, each.vector))
        return self.args[index]

    def spreads(self, index: int) -> tuple[Spread | None, ...]:
        """For each source of a value how many neighbours read one element of it; 0 where each reads its own."""
        return self.spread.get(index) or (None,) * len(self.sources(index))

    def before(self, index: int) -> tuple[int, ...]:
        """What must have run before a value can be read: its sources, or what makes the state that it reads."""
        if self.op[index] in ("prev", "final"):
            state = self.flow.states[self.state(index)]
            cyclic = self.op[index] == "prev" and self.cyclic(self.phase[index])
            return () if cyclic else tuple(each for each in (state.init, state.next) if self.live[each])
        return () if self.op[index] in MEMORY else self.sources(index)

    def inline_always(self, index: int) -> bool:
        """Numbers that cost nothing to have in any loop."""
        return self.uniform[index] or self.op[index] in ("const", "instant")


def make_graph(flow: Flow) -> Graph:
    """The working copy."""
    count = len(flow.values)
    live = reachable(flow, flow.roots.values())
    blocks = [kept_block(block, live) for block in order(flow)]
    phases = tuple(block for block in blocks if block.values)
    phase = [-1] * count
    for number, block in enumerate(phases):
        for index in block.values:
            phase[index] = number
    position = [-1] * count
    for place, index in enumerate(index for block in phases for index in block.values):
        position[index] = place
    graph = Graph(
        flow,
        phases,
        live,
        [value.op for value in flow.values],
        [value.args for value in flow.values],
        phase,
        [(index, 0) for index in range(count)],
        [False] * count,
        position,
    )
    for index in range(count):
        graph.uniform[index] = is_uniform(graph, index)
        if not graph.uniform[index]:
            graph.ref[index] = view(graph, index)
        if graph.op[index] == "reshape" and graph.ref[index] == (index, 0):
            graph.op[index] = "broadcast"
    settle(graph)
    return graph


def settle(graph: Graph) -> None:
    """Find the uniforms that kernels, states or roots read from memory."""
    read = [root for root in graph.flow.roots.values()]
    for number in live_states(graph):
        state = graph.flow.states[number]
        read += [each for each in (state.init, state.next) if graph.live[each]]
    for index in graph.in_order():
        if not graph.uniform[index] and graph.op[index] not in POINTWISE:
            read += graph.args[index]
    graph.settled = {graph.ref[index][0] for index in read if graph.uniform[graph.ref[index][0]]}


def kept_block(block: Block, live: list[bool]) -> Block:
    """The block without its dead values."""
    return Block(tuple(v for v in block.values if live[v]), block.states, block.way, block.cyclic)


def is_uniform(graph: Graph, index: int) -> bool:
    """Whether a value is one number for the whole call that depends on nothing but hypers, sizes and counters."""
    type, op = graph.type(index), graph.op[index]
    if type.axes or type.dims:
        return False
    if op in UNIFORM_LEAVES:
        return True
    return op in ELEMENTWISE_NAMES and all(graph.uniform[arg] for arg in graph.args[index])


def view(graph: Graph, index: int) -> tuple[int, int]:
    """(holder of the elements, offset) of a value; itself unless it is only another name or a part in one piece."""
    op = graph.op[index]
    if op not in ("reshape", "stop", "clipped", "broadcast", "cast", "pick"):
        return index, 0
    source = graph.args[index][0]
    if graph.uniform[source]:
        return index, 0
    base, offset = graph.ref[source]
    here, there = graph.type(index), graph.type(source)
    if op == "pick":
        start = contiguous_start(there.dims, graph.whole(index, "dim"), graph.wholes(index, "indices"))
        return (index, 0) if start is None else (base, offset + start)
    if here.axes != there.axes or here.size != there.size:
        return index, 0
    same_kind = here.kind is there.kind or {here.kind, there.kind} <= WHOLE_NUMBERS
    return (base, offset) if same_kind else (index, 0)


def contiguous_start(dims: tuple[int, ...], dim: int, indices: tuple[int, ...]) -> int | None:
    """The first element of a selection that lies in one piece; None if it does not."""
    inner, outer = 1, 1
    for each in dims[dim + 1 :]:
        inner *= each
    for each in dims[:dim]:
        outer *= each
    ascending = all(b - a == 1 for a, b in pairwise(indices))
    if not indices or not ascending or (outer > 1 and len(indices) != dims[dim]):
        return None
    return indices[0] * inner


def collect_uses(graph: Graph, recomputed: dict[int, list[int]] | None = None) -> None:
    """Fill `uses`: who reads each holder; values without any are dead. `recomputed` gives, by phase, the values that
    this phase computes again for itself."""
    graph.uses = [[] for _ in graph.live]
    inlined = recomputed or {}
    marks = {phase: set(values) for phase, values in inlined.items()}

    def add(source: int, user: int, phase: int, spread: Spread | None = None) -> None:
        base, offset = graph.ref[source]
        if user >= 0 and graph.is_pointwise(user) and graph.inline_always(base):
            return
        if user >= 0 and not spread and base in marks.get(phase, ()) and graph.phase[base] != phase:
            return
        whole = offset == 0 and graph.size(base) == graph.size(source) and not spread
        graph.uses[base].append(Use(user, whole, phase))

    for root in graph.flow.roots.values():
        add(root, -1, len(graph.phases))
    for number in live_states(graph):
        state = graph.flow.states[number]
        if graph.live[state.init]:
            add(state.init, -1, graph.phase[state.init])
        add(state.next, -1, graph.phase[state.next])
    for phase, values in sorted(inlined.items()):
        for index in values:
            for source, spread in zip(graph.sources(index), graph.spreads(index), strict=True):
                add(source, index, phase, spread)
    for index in reversed(graph.computed()):
        if graph.uses[index]:
            for source, spread in zip(graph.sources(index), graph.spreads(index), strict=True):
                add(source, index, graph.phase[index], spread)


def live_states(graph: Graph) -> list[int]:
    """The states that a live value reads, in order."""
    found = {
        graph.state(index)
        for index, alive in enumerate(graph.live)
        if alive and graph.op[index] in ("prev", "final")
    }
    return sorted(found)


def way_shift(way: Way) -> tuple[int, int]:
    """(shift of `prev`, shift of `next`) in a state's buffer."""
    return (0, 1) if way is Way.FORWARD else (1, 0)
