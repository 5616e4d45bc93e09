"""Products so short that a loop over time takes them along rather than to read their results from memory.

    across:  a = W @ x + b                         in the loop:  p = W @ x + U @ prev h
    in the loop:  p = a + U @ prev h          →                  z = p + b
    across:  y = V @ h + c                                       y = V @ h + c

Takes a `Graph` with the segments of single products; moves such products, and the sums on their way, into the phase of the
loop that adds them, or that makes what they multiply. With one or two inputs that is cheaper than to store and load a
row of sums at every step; and what gives one or two outputs costs nothing while a loop waits for itself.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.types import Axis
from seqc.plan.graph import MEMORY, Graph
from seqc.plan.sums import is_inner_sum, may_join, sum_terms

SHORT = 4
"""Terms of a sum that are multiplied anew sooner than read; results of which a loop makes some more in passing."""

LONE = 128
"""Terms of a product that joins no other, up to which its results are sooner read than multiplied in a pass of their own."""

LONG = 16
"""Terms of a result that a loop makes in passing."""


def take_along(graph: Graph, along: int = 0) -> bool:
    """Move short products into loops; whether any was moved. Needs the uses of all values. Products of up to `along` terms are
    moved where all that share their operand join products of the loop."""
    before: dict[int, list[int]] = {}
    behind: dict[int, list[int]] = {}
    joining = all_joining(graph, along)
    for index, segments in sorted(graph.segments.items()):
        if graph.cyclic(graph.phase[index]) or segments[0].rows > 1:
            continue
        short = segments[0].depth <= SHORT or index in joining
        found = way_into_loop(graph, index) if short else None
        moved = before
        if found is None and segments[0].units <= SHORT:
            found, moved = way_behind_loop(graph, index), behind
        if found is not None:
            phase, values = found
            moved.setdefault(phase, []).extend(each for each in values if each not in moved.get(phase, ()))
    for phase in sorted(before | behind):
        move(graph, phase, before.get(phase, []), behind.get(phase, []))
    return bool(before or behind)


def all_joining(graph: Graph, most: int) -> set[int]:
    """The products of up to `most` terms that would join products of one loop, or at least go there with some that do, as would
    all others with the same operand."""
    groups: dict[tuple[int, tuple[int, int]], list[int]] = {}
    for index, segments in sorted(graph.segments.items()):
        if SHORT < segments[0].depth <= most and segments[0].rows == 1 and len(segments) == 1:
            groups.setdefault((graph.phase[index], graph.ref[segments[0].vector]), []).append(index)
    found: set[int] = set()
    for members in groups.values():
        loops = {joined_loop(graph, index) for index in members}
        ways = {(way_into_loop(graph, index) or (None, None))[0] for index in members}
        depth = graph.segments[members[0]][0].depth
        if len(ways) == 1 and None not in ways and loops != {None} and (None not in loops or depth > LONE):
            found.update(members)
    return found


def joined_loop(graph: Graph, index: int) -> int | None:
    """The phase of the loop in which a product would join another; None if there is none."""
    found = None if graph.cyclic(graph.phase[index]) else way_into_loop(graph, index)
    if found is None:
        return None
    phase, values = found
    (use,) = graph.uses[values[-1]]
    total = use.user
    while is_inner_sum(graph, total):
        total = graph.uses[total][0].user
    terms = sum_terms(graph, total)[1]
    return (
        phase if any(graph.phase[each] == phase and may_join(graph, each, total) for each in terms) else None
    )


def way_behind_loop(graph: Graph, index: int) -> tuple[int, list[int]] | None:
    """The phase of the loop that makes what a product multiplies, and the values that may follow it there: the product
    and sums with what does not change; None if there is none."""
    (segment,) = graph.segments[index]
    type, values = graph.type(index), [index]
    source, _ = graph.ref[segment.vector]
    phase = graph.phase[source]
    if not graph.cyclic(phase) or Axis.TIME not in type.axes or graph.op[source] in MEMORY:
        return None
    if segment.depth > LONG or graph.op[graph.ref[segment.matrix][0]] != "param":
        return None
    while True:
        uses = graph.uses[values[-1]]
        user = uses[0].user if len(uses) == 1 and uses[0].whole else -1
        if user < 0 or graph.op[user] != "add" or graph.type(user) != type or graph.cyclic(graph.phase[user]):
            return phase, values
        others = [graph.through(arg) for arg in graph.args[user]]
        if any(each != values[-1] and graph.type(each).axes for each in others):
            return phase, values
        values.append(user)


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


def move(graph: Graph, phase: int, before: list[int], behind: list[int]) -> None:
    """Put values, in order, before and behind all others of a phase."""
    first = sorted(before, key=lambda index: graph.position[index])
    last = sorted(behind, key=lambda index: graph.position[index])
    gone = {*first, *last}
    blocks = [
        replace(block, values=tuple(each for each in block.values if each not in gone))
        for block in graph.phases
    ]
    blocks[phase] = replace(blocks[phase], values=(*first, *blocks[phase].values, *last))
    graph.phases = tuple(blocks)
    for index in gone:
        graph.phase[index] = phase
    for place, index in enumerate(each for block in blocks for each in block.values):
        graph.position[index] = place
