"""What is made of a loop's matrices, and is smaller, is made in the loop: step by step, while they lie in the cache, and without memory
for those of all steps. What only reads those of a loop that is over waits for the next one that reads them, too: on the way back.

    for t: S[t] = …; then h = S q of all steps      →      for t: S[t] = …; h[t] = S[t] q[t]

Takes a `Graph` with uses; changes the phase of such values, and of elementwise ones that they alone read.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.flow.types import Axis
from seqc.plan.graph import MEMORY, Graph

MATRIX = 2
"""Dims of a value from which it is worth while: rows of every step are vectors as a rule, and are made across all steps quicker."""


def shrink_in_loops(graph: Graph) -> bool:
    """Move contractions and sums of matrices into the loops that make these; whether there were any."""
    wanted = [index for index in graph.computed() if shrinks(graph, index)]
    homes: dict[int, int] = {}
    while wanted:
        own = with_own(graph, wanted)
        made = {index: made_from(graph, index, own) for index in wanted}
        loops = {index: loop_of(graph, members) for index, members in made.items()}
        homes = {each: loop for index, loop in loops.items() if loop is not None for each in made[index]}
        kept = [index for index in wanted if all(homes.get(each) == loops[index] for each in made[index])]
        if kept == wanted:
            break
        wanted, homes = kept, {}
    for index, phase in homes.items():
        graph.phase[index] = phase
    return bool(homes)


def shrinks(graph: Graph, index: int) -> bool:
    """Whether a value of each cell, made across all steps, sums up a matrix of that cell."""
    if graph.is_pointwise(index) or index in graph.segments or graph.cyclic(graph.phase[index]):
        return False
    type = graph.type(index)
    if graph.op[index] not in ("contract", "reduce") or Axis.TIME not in type.axes:
        return False
    types = [graph.type(each) for each in graph.args[index]]
    return all(each.axes <= type.axes for each in types) and any(
        len(each.dims) >= MATRIX and each.size > type.size for each in types
    )


def with_own(graph: Graph, wanted: list[int]) -> set[int]:
    """Some values, and what is computed element by element for them alone, in their phases."""
    members = set(wanted)
    while own := {each for each in inputs(graph, members) if is_own(graph, each, members)}:
        members |= own
    return members


def is_own(graph: Graph, index: int, members: set[int]) -> bool:
    """Whether a value is computed element by element at each step, in the phase of the members, and nobody else reads it."""
    if not (graph.is_computed(index) and graph.is_pointwise(index)):
        return False
    users = {use.user for use in graph.uses[index]}
    near = users <= members and {graph.phase[each] for each in users} == {graph.phase[index]}
    return near and Axis.TIME in graph.type(index).axes


def made_from(graph: Graph, index: int, own: set[int]) -> set[int]:
    """A value and those of the others that it is made from."""
    members = {index}
    while more := {each for each in inputs(graph, members) if each in own}:
        members |= more
    return members


def inputs(graph: Graph, members: set[int]) -> Iterator[int]:
    """What holds the elements that some values read of others."""
    for member in sorted(members):
        for source in graph.sources(member):
            base, _ = graph.ref[source]
            if base not in members and not graph.inline_always(base):
                yield base


def loop_of(graph: Graph, members: set[int]) -> int | None:
    """The loop that makes a matrix which the members read, if all else that they read is there by then."""
    read = list(inputs(graph, members))
    phase = max((made_in(graph, each) for each in read), default=-1)
    if phase < 0 or not graph.cyclic(phase) or any(phase >= graph.phase[each] for each in members):
        return None
    near = [each for each in read if made_in(graph, each) == phase]
    within = all(graph.op[each] != "final" and Axis.TIME in graph.type(each).axes for each in near)
    return phase if within and any(is_matrix(graph, each) for each in read) else None


def is_matrix(graph: Graph, index: int) -> bool:
    """Whether a value is a matrix of each step."""
    type = graph.type(index)
    return len(type.dims) >= MATRIX and Axis.TIME in type.axes


def wait_for_loops(graph: Graph) -> bool:
    """Move contractions and sums of the matrices of a loop that is over into the next loop that reads these, and what is made of them
    behind it; whether there were any."""
    moved = False
    for index in graph.computed():
        if not shrinks(graph, index):
            continue
        users = depending(graph, index)
        loop = next_reader(graph, index)
        if loop is None or any(
            graph.phase[each] <= loop and graph.cyclic(graph.phase[each]) for each in users
        ):
            continue
        graph.phase[index] = loop
        for each in users:
            graph.phase[each] = max(graph.phase[each], loop + 1)
        moved = True
    return moved


def next_reader(graph: Graph, index: int) -> int | None:
    """The first loop behind a value that reads a matrix of the same state, if something is made behind that loop."""
    mine = {state for each in inputs(graph, {index}) for state in states_at(graph, each)}
    for phase in range(graph.phase[index] + 1, len(graph.phases) - 1):
        if not graph.cyclic(phase) or graph.cyclic(phase + 1):
            continue
        read = inputs(graph, {each for each in graph.computed() if graph.phase[each] == phase})
        if mine & {state for each in read for state in states_at(graph, each)}:
            return phase
    return None


def states_at(graph: Graph, index: int) -> set[int]:
    """The states of matrices that a value is an instant of."""
    if not is_matrix(graph, index):
        return set()
    if graph.op[index] == "prev":
        return {graph.state(index)}
    return {number for number, state in enumerate(graph.flow.states) if graph.ref[state.next][0] == index}


def depending(graph: Graph, index: int) -> set[int]:
    """All that is made of a value."""
    found = {index}
    for each in graph.in_order():
        if graph.live[each] and not found.isdisjoint(graph.before(each)):
            found.add(each)
    return found - {index}


def made_in(graph: Graph, index: int) -> int:
    """The phase that makes what a value holds; -1 for what is there from the beginning."""
    if graph.op[index] in ("prev", "final"):
        return graph.phase[graph.flow.states[graph.state(index)].next]
    return -1 if graph.op[index] in MEMORY else graph.phase[index]
