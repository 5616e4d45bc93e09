"""Pointwise kernels: the values of one group as loads, statements and stores; and the scalars of a whole call.

Takes a `Graph` with levels and storage; gives `Pointwise` records. Values that the phase computes again are put in
where they are needed; numbers and scalars of the call are statements of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand, Spread, Statement
from seqc.plan.direct import TOGETHER
from seqc.plan.graph import Graph
from seqc.plan.storage import Storage
from seqc.plan.types import Pointwise, Uniform


@dataclass(slots=True)
class Uniforms:
    """The table of scalars, filled as they are asked for."""

    graph: Graph
    table: list[Uniform] = field(default_factory=list)
    number: dict[int, int] = field(default_factory=dict)

    def of(self, index: int) -> int:
        """The number of a scalar; what it is made of comes before it."""
        needed, todo = set(), [self.plain(index)]
        while todo:
            value = todo.pop()
            if value not in self.number and value not in needed:
                needed.add(value)
                todo += [self.plain(arg) for arg in self.graph.args[value]]
        for value in sorted(needed, key=lambda each: self.graph.position[each]):
            self.number[value] = self.add(value)
        return self.number[self.plain(index)]

    def plain(self, index: int) -> int:
        """The scalar behind operations that change nothing."""
        while self.graph.op[index] in ("stop", "clipped", "broadcast"):
            index = self.graph.args[index][0]
        return index

    def add(self, index: int) -> int:
        """Put one scalar into the table."""
        graph, op = self.graph, self.graph.op[index]
        value: float | int | str | None = None
        if op == "const":
            found = graph.attr(index, "value")
            assert isinstance(found, int | float)
            value = found
        elif op in ("hyper", "given"):
            value = str(graph.attr(index, "name"))
        args = tuple(self.number[self.plain(arg)] for arg in graph.args[index])
        uniform = Uniform(op, args, graph.type(index).kind, value)
        if uniform in self.table:
            return self.table.index(uniform)
        self.table.append(uniform)
        return len(self.table) - 1


@dataclass(slots=True)
class Group:
    """A loop while it is put together. `inside` leads from a value to its id in the loop."""

    storage: Storage
    uniforms: Uniforms
    phase: int
    loads: list[tuple[int, Operand, Kind]] = field(default_factory=list)
    draws: list[tuple[int, int]] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    stores: list[tuple[int, Operand]] = field(default_factory=list)
    inside: dict[int, int] = field(default_factory=dict)
    loaded: dict[tuple[Operand, Kind], int] = field(default_factory=dict)
    free: int = 0

    def id(self) -> int:
        """The next id."""
        self.free += 1
        return self.free - 1

    def state(
        self, op: str, args: tuple[int, ...], kind: Kind, value: float | int | bool | None = None
    ) -> int:
        """Add a statement."""
        number = self.id()
        self.statements.append(Statement(number, op, args, kind, value))
        return number

    def load(self, operand: Operand, kind: Kind) -> int:
        """The id of a load; each operand is loaded once."""
        key = operand, kind
        if key not in self.loaded:
            self.loaded[key] = self.id()
            self.loads.append((self.loaded[key], operand, kind))
        return self.loaded[key]

    def argument(self, source: int, spread: Spread | None = None) -> int:
        """The id of what a member reads."""
        graph = self.storage.graph
        base, offset = graph.ref[source]
        if graph.inline_always(base):
            if base not in self.inside:
                self.inside[base] = self.number(base)
            return self.inside[base]
        if base in self.inside and offset == 0 and graph.size(base) == graph.size(source):
            return self.inside[base]
        operand = self.storage.read(source)
        return self.load(
            replace(operand, spread=spread if operand.size > 1 else None), graph.type(source).kind
        )

    def number(self, index: int) -> int:
        """The id of a constant, the step or a scalar of the call."""
        graph, kind = self.storage.graph, self.storage.graph.type(index).kind
        plain = self.uniforms.plain(index) if graph.uniform[index] else index
        if graph.op[plain] == "const":
            value = graph.attr(plain, "value")
            assert isinstance(value, int | float)
            return self.state("const", (), kind, value)
        if graph.op[plain] == "instant":
            return self.state("instant", (), kind)
        return self.state("uniform", (), kind, self.uniforms.of(plain))

    def member(self, index: int) -> None:
        """Add one value of the group."""
        graph, op = self.storage.graph, self.storage.graph.op[index]
        if graph.inline_always(index):
            self.argument(index)
        elif op == "draw":
            self.inside[index] = self.id()
            self.draws.append((self.inside[index], graph.whole(index, "site")))
        elif op in ("broadcast", "stop", "clipped", "reshape"):
            self.inside[index] = self.argument(graph.sources(index)[0])
        else:
            read = zip(graph.sources(index), graph.spreads(index), strict=True)
            args = tuple(self.argument(source, spread) for source, spread in read)
            self.inside[index] = self.state(op, args, graph.type(index).kind)


def members_with_inlined(
    graph: Graph, phase: int, members: Sequence[int], again: frozenset[int]
) -> list[int]:
    """The members of a group and what it computes again for them, in running order."""
    found = set(members)
    todo = list(members)
    while todo:
        user = todo.pop()
        for source, spread in zip(graph.sources(user), graph.spreads(user), strict=True):
            base, offset = graph.ref[source]
            whole = offset == 0 and graph.size(base) == graph.size(source) and not spread
            if whole and base in again and graph.phase[base] != phase and base not in found:
                found.add(base)
                todo.append(base)
    return sorted(found, key=lambda index: graph.position[index])


def build_group(
    storage: Storage, uniforms: Uniforms, members: Sequence[int], again: frozenset[int]
) -> Pointwise:
    """The loop that computes a group."""
    graph = storage.graph
    phase = graph.phase[members[0]]
    group = Group(storage, uniforms, phase)
    for index in members_with_inlined(graph, phase, members, again):
        group.member(index)
    for index in members:
        number = group.inside[index]
        if index in storage.primary:
            group.stores.append((number, storage.primary[index]))
        group.stores += [(number, operand) for operand in storage.extra.get(index, ())]
    last = members[-1]
    return finish(group, graph.local_axes(last), graph.size(last), graph.origin(last))


def store_by_store(kernel: Pointwise) -> list[Pointwise]:
    """A loop that fills many elements of several buffers with what is the same for all, as one for each buffer: these have equal
    bodies, and one loop over tens of buffers would take seconds to compile."""
    if kernel.loads or kernel.draws or kernel.axes or kernel.size <= TOGETHER:
        return [kernel]
    return [replace(kernel, statements=needed(kernel, each[0]), stores=(each,)) for each in kernel.stores]


def needed(kernel: Pointwise, number: int) -> tuple[Statement, ...]:
    """The statements that a value takes."""
    found = {number}
    for statement in reversed(kernel.statements):
        if statement.id in found:
            found.update(statement.args)
    return tuple(statement for statement in kernel.statements if statement.id in found)


def build_copy(storage: Storage, uniforms: Uniforms, index: int, out: Operand, in_scan: bool) -> Pointwise:
    """A loop that copies a value to another place."""
    graph = storage.graph
    group = Group(storage, uniforms, -1)
    number = group.argument(index)
    group.stores.append((number, out))
    axes = graph.type(index).axes | (frozenset() if out.at else storage.buffers[out.buffer].axes)
    axes = axes - {Axis.TIME} if in_scan or out.at else axes
    return finish(group, axes, out.size, graph.origin(index))


def finish(group: Group, axes: frozenset[Axis], size: int, origin: str) -> Pointwise:
    """The record."""
    return Pointwise(
        axes,
        size,
        tuple(group.loads),
        tuple(group.draws),
        tuple(group.statements),
        tuple(group.stores),
        origin,
    )
