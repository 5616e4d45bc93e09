"""Which loops may write weights, optimizer states and carried states in place, and so need no copy of them.

Takes the groups of elementwise values; gives those whose stored values nobody but the caller reads. They run behind the guard, after
every kernel that reads what they change; where two of them would disturb each other, the first writes by a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqc.flow.types import NO_AXES
from seqc.lower.program import Program
from seqc.plan.buffers import Home
from seqc.plan.fuse import GroupKey, Levels
from seqc.plan.graph import MEMORY, Graph
from seqc.plan.roots import IN_PLACE, leaf_home, root_home

Groups = dict[GroupKey, list[list[int]]]
TOGETHER = 16
"""Loops over fewer elements stay together though they have nothing in common."""


def find_groups(levels: Levels) -> Groups:
    """The loops by phase, level, axes and size. Long loops without axes fall apart into what belongs together, so
    that the updates of equal parameters have equal bodies."""
    graph = levels.graph
    groups: dict[GroupKey, list[int]] = {}
    for index in graph.computed():
        if index in levels.level and graph.is_pointwise(index):
            groups.setdefault(levels.group(index), []).append(index)
    return {
        key: components(graph, members) if key[2] == NO_AXES and key[3] > TOGETHER else [members]
        for key, members in groups.items()
    }


def components(graph: Graph, members: Sequence[int]) -> list[list[int]]:
    """Members that read each other or the same long operands, in order of the first of each."""
    parent: dict[int, int] = {}

    def find(index: int) -> int:
        while parent.setdefault(index, index) != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index in members:
        for source in graph.sources(index):
            base, _ = graph.ref[source]
            if graph.size(source) == graph.size(index) and not graph.inline_always(base):
                parent[find(base)] = find(index)
    found: dict[int, list[int]] = {}
    for index in members:
        found.setdefault(find(index), []).append(index)
    return list(found.values())


def find_direct(levels: Levels, groups: Groups, program: Program, entry: str) -> set[int]:
    """The values whose loops may write the caller's memory in place."""
    graph = levels.graph
    written: dict[int, list[Home]] = {}
    for name, root in graph.flow.roots.items():
        home = root_home(name, program)
        base, offset = graph.ref[root]
        if home is not None and home.role in IN_PLACE and not offset and graph.size(base) == graph.size(root):
            written.setdefault(base, []).append(home)
    candidates = [
        members for each in groups.values() for members in each if is_candidate(levels, members, written)
    ]
    readers: dict[Home, list[int]] = {}
    for number, members in enumerate(candidates):
        for home in dict.fromkeys(home for home, _ in homes_read(graph, members, entry)):
            readers.setdefault(home, []).append(number)
    found: set[int] = set()
    for number, members in enumerate(candidates):
        homes = [home for member in members for home in written.get(member, ())]
        alone = all(set(readers.get(home, ())) <= {number} for home in homes)
        if alone and reads_in_step(graph, members, homes, entry):
            found.update(members)
    return found


def is_candidate(levels: Levels, members: Sequence[int], written: dict[int, list[Home]]) -> bool:
    """Whether a loop writes something in place, and nobody but the caller reads what it stores, and he all of it: a part is
    copied to him before such loops run."""
    graph = levels.graph
    if graph.cyclic(graph.phase[members[0]]) or not any(member in written for member in members):
        return False
    inside = set(members)
    finite = graph.flow.roots.get("finite", -1)
    for member in members:
        for use in graph.uses[member]:
            to_caller = use.user < 0 and use.phase == len(graph.phases) and use.whole
            if use.user not in inside and not to_caller:
                return False
        if finite >= 0 and graph.ref[finite][0] == member:
            return False
    return True


def homes_read(graph: Graph, members: Iterable[int], entry: str) -> list[tuple[Home, bool]]:
    """The caller's memory that a loop reads and some root may change, and whether it is read element by element."""
    found = []
    for member in members:
        for source in graph.sources(member):
            base, offset = graph.ref[source]
            if graph.op[base] in MEMORY and graph.op[base] not in ("prev", "final"):
                attrs = graph.flow.values[base].attrs
                home = leaf_home(graph.op[base], str(attrs[0][1]) if attrs else "", entry)
                whole = offset == 0 and graph.size(source) == graph.size(base) == graph.size(member)
                if home.role in IN_PLACE:
                    found.append((home, whole))
    return found


def reads_in_step(graph: Graph, members: Sequence[int], homes: Sequence[Home], entry: str) -> bool:
    """Whether what a loop both reads and writes is read at the very element that is written."""
    return all(whole for home, whole in homes_read(graph, members, entry) if home in homes)
