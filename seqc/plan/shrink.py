"""What is made of a loop's matrices, and is smaller, is made in the loop: step by step, while they lie in the cache, and without memory
for those of all steps.

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
    moved = False
    for index in graph.computed():
        if not shrinks(graph, index):
            continue
        members = with_own(graph, index)
        phase = loop_of(graph, members)
        if phase is not None:
            for each in members:
                graph.phase[each] = phase
            moved = True
    return moved


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


def with_own(graph: Graph, index: int) -> set[int]:
    """A value, and what is computed element by element for it alone, in its phase."""
    members = {index}
    while own := {each for each in inputs(graph, members) if is_own(graph, each, members)}:
        members |= own
    return members


def is_own(graph: Graph, index: int, members: set[int]) -> bool:
    """Whether a value is computed element by element at each step, in the phase of the members, and nobody else reads it."""
    near = graph.phase[index] == graph.phase[max(members)]
    if not (near and graph.is_computed(index) and graph.is_pointwise(index)):
        return False
    alone = members.issuperset(use.user for use in graph.uses[index])
    return alone and Axis.TIME in graph.type(index).axes


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
    return phase if within and any(len(graph.type(each).dims) >= MATRIX for each in near) else None


def made_in(graph: Graph, index: int) -> int:
    """The phase that makes what a value holds; -1 for what is there from the beginning."""
    if graph.op[index] in ("prev", "final"):
        return graph.phase[graph.flow.states[graph.state(index)].next]
    return -1 if graph.op[index] in MEMORY else graph.phase[index]
