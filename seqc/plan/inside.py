"""Products so short that a loop over time takes them along rather than to read their results from memory.

    across:  a = W @ x + b                         in the loop:  p = W @ x + U @ prev h
    in the loop:  p = a + U @ prev h          →                  z = p + b

Takes a `Graph` with the segments of single products; moves such products, and the sums on their way, into the phase of the
loop that adds them. With one or two inputs that is cheaper than to store and load a row of sums at every step.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.types import Axis
from seqc.plan.graph import Graph

SHORT = 4
"""Terms of a sum that are multiplied anew sooner than read."""


def take_along(graph: Graph) -> bool:
    """Move short products into loops; whether any was moved. Needs the uses of all values."""
    moved: dict[int, list[int]] = {}
    for index, segments in sorted(graph.segments.items()):
        if graph.cyclic(graph.phase[index]) or segments[0].depth > SHORT or segments[0].rows > 1:
            continue
        found = way_into_loop(graph, index)
        if found is not None:
            phase, values = found
            moved.setdefault(phase, []).extend(each for each in values if each not in moved.get(phase, ()))
    for phase, values in sorted(moved.items()):
        move(graph, phase, values)
    return bool(moved)


def way_into_loop(graph: Graph, index: int) -> tuple[int, list[int]] | None:
    """The phase of the loop that alone adds a product, and the values on the way there; None if there is none."""
    type, values = graph.type(index), [index]
    if Axis.TIME not in type.axes:
        return None
    while True:
        uses = graph.uses[values[-1]]
        if len(uses) != 1 or not uses[0].whole or uses[0].user < 0:
            return None
        user = uses[0].user
        if graph.op[user] != "add" or graph.type(user) != type or graph.uniform[user]:
            return None
        if graph.cyclic(graph.phase[user]):
            return graph.phase[user], values
        values.append(user)


def move(graph: Graph, phase: int, values: list[int]) -> None:
    """Put values, in order, before all others of a phase."""
    ordered = sorted(values, key=lambda index: graph.position[index])
    gone = set(ordered)
    blocks = [
        replace(block, values=tuple(each for each in block.values if each not in gone))
        for block in graph.phases
    ]
    blocks[phase] = replace(blocks[phase], values=(*ordered, *blocks[phase].values))
    graph.phases = tuple(blocks)
    for index in ordered:
        graph.phase[index] = phase
    for place, index in enumerate(each for block in blocks for each in block.values):
        graph.position[index] = place
