"""A Flow turned into nodes in running order: phases, products, groups, storage and kernels put together.

Takes a Flow and what `plan` knows of its program; gives a Plan whose buffers are not placed yet. Kernels of a phase stand by
level; what changes the caller's memory stands at the end, behind the guard.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.flow.types import Flow
from seqc.lower.program import Program
from seqc.plan.buffers import Operand
from seqc.plan.direct import Groups, find_direct, find_groups
from seqc.plan.fuse import Levels, find_levels
from seqc.plan.graph import Graph, collect_uses, make_graph
from seqc.plan.groups import Uniforms, build_copy, build_group, store_by_store
from seqc.plan.keep import find_recomputed
from seqc.plan.kernels import Packs, build_kernels, build_product
from seqc.plan.order import soon_used
from seqc.plan.roots import IN_PLACE
from seqc.plan.shrink import shrink_in_loops, wait_for_loops
from seqc.plan.sink import sink_rows
from seqc.plan.spread import spread_operands
from seqc.plan.squares import find_squares
from seqc.plan.stack import find_products, find_stacks
from seqc.plan.storage import Storage, find_storage
from seqc.plan.target import Target
from seqc.plan.types import Guard, Kernel, Node, Plan, Pointwise, Scan

Rank = tuple[int, int, int]
"""Level, packs before others, position."""


@dataclass(slots=True)
class Schedule:
    """The kernels of each phase while they are collected."""

    graph: Graph
    levels: Levels
    storage: Storage
    uniforms: Uniforms
    packs: Packs
    recomputed: dict[int, list[int]]
    kernels: dict[int, list[tuple[Rank, Kernel]]] = field(default_factory=dict)

    def put(self, phase: int, rank: Rank, kernel: Kernel) -> None:
        """Add a kernel to a phase."""
        self.kernels.setdefault(phase, []).append((rank, kernel))

    def sorted(self, phase: int) -> list[Kernel]:
        """The kernels of a phase in running order."""
        return [kernel for _, kernel in sorted(self.kernels.get(phase, ()), key=lambda each: each[0])]


def schedule(flow: Flow, program: Program, entry: str, target: Target, recompute: bool = True) -> Plan:
    """The plan of one entry point, before strategies are chosen and buffers placed."""
    graph = make_graph(flow)
    find_squares(graph)
    find_products(graph, target.along)
    spread_operands(graph, target.lanes)
    collect_uses(graph)
    if shrink_in_loops(graph) | wait_for_loops(graph):
        collect_uses(graph)
    recomputed = find_recomputed(graph) if recompute else {}
    collect_uses(graph, recomputed)
    if sink_rows(graph):
        collect_uses(graph, recomputed)
    levels = find_levels(graph, find_stacks(graph))
    groups = find_groups(levels)
    direct = find_direct(levels, groups, program, entry)
    storage = find_storage(levels, program, entry, target.lanes, direct)
    made = Schedule(graph, levels, storage, Uniforms(graph), Packs(storage), recomputed)
    add_groups(made, groups)
    add_kernels(made)
    add_copies(made)
    nodes = tuple([*phase_nodes(made), *tail_nodes(made)])
    return Plan(entry, tuple(storage.buffers), tuple(made.packs.table), tuple(made.uniforms.table), nodes)


def add_groups(made: Schedule, groups: Groups) -> None:
    """The loops over elements; those that write the caller's memory in place form a phase behind all others."""
    graph = made.graph
    for (phase, level, _, _), parts in groups.items():
        again = frozenset(made.recomputed.get(phase, ()))
        for members in parts:
            last = len(graph.phases) if members[0] in made.storage.direct else phase
            for kernel in store_by_store(build_group(made.storage, made.uniforms, members, again)):
                made.put(last, (level, 1, graph.position[members[0]]), kernel)


def add_kernels(made: Schedule) -> None:
    """Everything that is no loop over elements."""
    graph, levels = made.graph, made.levels
    for index in graph.computed():
        if index not in levels.level or graph.is_pointwise(index):
            continue
        phase, rank = graph.phase[index], (levels.level[index], 1, graph.position[index])
        if index in graph.segments:
            stack = levels.stacks[index]
            if stack.members[0] == index:
                made.put(phase, rank, build_product(made.storage, made.packs, stack))
            continue
        for kernel in build_kernels(made.storage, index):
            made.put(phase, rank, kernel)
    for matrix, pack in made.packs.nodes:
        level = levels.ready.get(graph.ref[matrix][0], 0)
        made.put(graph.phase[matrix], (level, 0, graph.position[matrix]), pack)


def add_copies(made: Schedule) -> None:
    """Copies of values to places that their kernels do not write."""
    for copy in made.storage.copies:
        kernel = build_copy(
            made.storage, made.uniforms, copy.value, copy.target, made.graph.cyclic(copy.phase)
        )
        made.put(copy.phase, (copy.level, 2, made.graph.position[copy.value]), kernel)


def phase_nodes(made: Schedule) -> list[Node]:
    """All phases: kernels across, scans around theirs."""
    nodes: list[Node] = []
    for number, block in enumerate(made.graph.phases):
        kernels = made.sorted(number)
        if block.cyclic and kernels:
            assert block.way is not None
            names = ", ".join(made.graph.flow.states[state].name for state in block.states)
            nodes.append(Scan(block.way, tuple(kernels), names))
        else:
            nodes += soon_used(made.storage.buffers, made.packs.table, kernels)
    return nodes


def tail_nodes(made: Schedule) -> list[Node]:
    """Copies to the caller; behind the guard those that change what he handed in."""
    graph, storage = made.graph, made.storage
    outer: list[Node] = []
    inner: list[Node] = []
    for index, operand in storage.tail:
        if storage.buffers[operand.buffer].home.role not in IN_PLACE:
            outer.append(build_copy(storage, made.uniforms, index, operand, False))
            continue
        copy = build_copy(storage, made.uniforms, index, operand, False)
        if any(storage.buffers[load.buffer].home.role in IN_PLACE for _, load, _ in copy.loads):
            before, copy = by_way_of_workspace(made, index, copy)
            outer.append(before)
        inner.append(copy)
    if "finite" in graph.flow.roots:
        outer.append(Guard(guarded(made)))
    return [*outer, *made.sorted(len(graph.phases)), *inner]


def guarded(made: Schedule) -> Operand:
    """The operand of the condition."""
    return made.storage.read(made.graph.flow.roots["finite"])


def by_way_of_workspace(made: Schedule, index: int, copy: Pointwise) -> tuple[Pointwise, Pointwise]:
    """Two copies, where a value lies in memory that another root may overwrite."""
    storage, (number, out) = made.storage, copy.stores[0]
    type = made.graph.type(index)
    middle = storage.scratch(storage.name(index), type, type.axes)
    before = Pointwise(
        copy.axes, copy.size, copy.loads, (), copy.statements, ((number, middle),), copy.origin
    )
    after = Pointwise(copy.axes, copy.size, ((0, middle, type.kind),), (), (), ((0, out),), copy.origin)
    return before, after
