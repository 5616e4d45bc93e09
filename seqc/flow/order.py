"""Cycles of a Flow and the order in which it can run.

Takes a Flow; gives blocks: what lies in a cycle through `prev` is a scan over time, step by step; everything else runs
across whole arrays. Legality checks, the interpreter and the scheduler share it. Nothing here recurses over the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from seqc.flow.types import Axis, Flow, Value, Way


@dataclass(frozen=True, slots=True)
class Block:
    """Values that run together, in order. `cyclic`: once for each step, in the direction `way`; else as whole arrays.

    `states` are those whose `prev` is among the values. In a block that is not cyclic, `prev` is a shift in time.
    """

    values: tuple[int, ...]
    states: tuple[int, ...]
    way: Way | None
    cyclic: bool


class Reason(Enum):
    """Why a cycle cannot run."""

    WHOLE = "a value over the whole of time is needed at one of its steps"
    REVERSE = "time is turned round inside the loop"
    WAYS = "states that run forward and backward need each other"


@dataclass(frozen=True, slots=True)
class Fault:
    """An illegal cycle: the value at which it breaks, its reason and all of its values and states."""

    value: int
    reason: Reason
    values: tuple[int, ...]
    states: tuple[int, ...]


def state_of(value: Value) -> int:
    """The state that a `prev` or `final` names."""
    state = value.attr("state")
    assert isinstance(state, int)
    return state


def sources(flow: Flow, index: int) -> tuple[int, ...]:
    """All values that a value depends on: its arguments, and through `prev` and `final` what makes the state."""
    value = flow.values[index]
    if value.op == "prev":
        state = flow.states[state_of(value)]
        return (state.init, state.next)
    if value.op == "final":
        return (flow.states[state_of(value)].next,)
    return value.args


def reachable(flow: Flow, wanted: Iterable[int]) -> list[bool]:
    """For each value whether one of the wanted values depends on it."""
    found = [False] * len(flow.values)
    todo = list(wanted)
    while todo:
        index = todo.pop()
        if not found[index]:
            found[index] = True
            todo.extend(sources(flow, index))
    return found


def components(flow: Flow) -> list[list[int]]:
    """Strongly connected components (Tarjan), each in order of its values; those depended on come first."""
    count = len(flow.values)
    edges = [sources(flow, index) for index in range(count)]
    number, low = [-1] * count, [0] * count
    open_, on_stack = [], [False] * count
    result: list[list[int]] = []
    clock = 0
    for root in range(count):
        if number[root] >= 0:
            continue
        path = [(root, 0)]
        while path:
            node, edge = path.pop()
            if edge == 0:
                number[node] = low[node] = clock
                clock += 1
                open_.append(node)
                on_stack[node] = True
            else:
                low[node] = min(low[node], low[edges[node][edge - 1]])
            while edge < len(edges[node]):
                target = edges[node][edge]
                edge += 1
                if number[target] < 0:
                    path.append((node, edge))
                    path.append((target, 0))
                    break
                if on_stack[target]:
                    low[node] = min(low[node], number[target])
            else:
                if low[node] == number[node]:
                    result.append(closed(node, open_, on_stack))
    return result


def closed(node: int, open_: list[int], on_stack: list[bool]) -> list[int]:
    """Take the component that starts at `node` from Tarjan's stack."""
    members = []
    while True:
        member = open_.pop()
        on_stack[member] = False
        members.append(member)
        if member == node:
            return sorted(members)


def is_cycle(flow: Flow, members: list[int]) -> bool:
    """Whether a component is a cycle: several values, or one that needs itself."""
    return len(members) > 1 or members[0] in sources(flow, members[0])


def states_of(flow: Flow, members: Iterable[int]) -> tuple[int, ...]:
    """The states whose `prev` is among the members, in order."""
    found = {state_of(flow.values[index]) for index in members if flow.values[index].op == "prev"}
    return tuple(sorted(found))


def faults(flow: Flow) -> tuple[Fault, ...]:
    """All cycles that cannot run, by their first value."""
    found = []
    for members in components(flow):
        if is_cycle(flow, members):
            fault = fault_of(flow, members)
            if fault is not None:
                found.append(fault)
    return tuple(sorted(found, key=lambda fault: fault.values[0]))


def is_held(flow: Flow, index: int) -> bool:
    """Whether a value reads a state that goes on with itself: what it starts with stays, which `specialise` resolves."""
    value = flow.values[index]
    return value.op == "prev" and flow.states[state_of(value)].next == index


def fault_of(flow: Flow, members: list[int]) -> Fault | None:
    """What is wrong with one cycle, if anything."""
    states = states_of(flow, members)
    if len(members) == 1 and is_held(flow, members[0]):
        return None
    for index in members:
        value = flow.values[index]
        if value.op == "reverse":
            return Fault(index, Reason.REVERSE, tuple(members), states)
        if value.op == "final" or Axis.TIME not in value.type.axes:
            return Fault(index, Reason.WHOLE, tuple(members), states)
    if len({flow.states[state].way for state in states}) > 1:
        first = next(index for index in members if flow.values[index].op == "prev")
        return Fault(first, Reason.WAYS, tuple(members), states)
    return None


def order(flow: Flow) -> tuple[Block, ...]:
    """The blocks in running order.

    All that can run across whole arrays runs before the next scan, so that there are as few blocks as possible;
    among equals the smaller index goes first. Cycles must be legal (see `faults`).
    """
    parts = components(flow)
    part_of = [0] * len(flow.values)
    for place, members in enumerate(parts):
        for index in members:
            part_of[index] = place
    users: list[list[int]] = [[] for _ in parts]
    waiting = [0] * len(parts)
    for place, members in enumerate(parts):
        needed = {part_of[source] for index in members for source in sources(flow, index)} - {place}
        waiting[place] = len(needed)
        for other in sorted(needed):
            users[other].append(place)
    return tuple(running_order(flow, parts, users, waiting))


def running_order(
    flow: Flow, parts: list[list[int]], users: list[list[int]], waiting: list[int]
) -> list[Block]:
    """Kahn's order over components with two queues: across first, then the scans that are ready."""
    cyclic = [is_cycle(flow, members) for members in parts]
    queues: dict[bool, list[tuple[int, int]]] = {False: [], True: []}

    def release(place: int) -> None:
        heapq.heappush(queues[cyclic[place]], (parts[place][0], place))

    def finish(place: int) -> None:
        for user in users[place]:
            waiting[user] -= 1
            if waiting[user] == 0:
                release(user)

    for place, count in enumerate(waiting):
        if count == 0:
            release(place)
    blocks: list[Block] = []
    while queues[False] or queues[True]:
        across: list[int] = []
        while queues[False]:
            index, place = heapq.heappop(queues[False])
            across.append(index)
            finish(place)
        if across:
            blocks.append(Block(tuple(across), states_of(flow, across), None, False))
        ready, queues[True] = queues[True], []
        for _, place in sorted(ready):
            members = parts[place]
            states = states_of(flow, members)
            blocks.append(Block(tuple(members), states, flow.states[states[0]].way, True))
            finish(place)
    return blocks
