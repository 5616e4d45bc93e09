"""What no root reaches is dropped; states that nobody reads go with it.

Takes a Flow; gives the smaller one and, for each of its values, the index that it had.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.order import sources, state_of
from seqc.flow.types import Flow, State, Value


def prune(flow: Flow) -> tuple[Flow, list[int]]:
    """The part of a flow that its roots need, in the same order."""
    needed: set[int] = set()
    pending = list(flow.roots.values())
    while pending:
        index = pending.pop()
        if index not in needed:
            needed.add(index)
            pending.extend(sources(flow, index))
            if flow.values[index].op == "final":
                pending.append(flow.states[state_of(flow.values[index])].init)
    kept = sorted(needed)
    place = {old: new for new, old in enumerate(kept)}
    alive = sorted(
        {state_of(flow.values[index]) for index in kept if flow.values[index].op in ("prev", "final")}
    )
    number = {old: new for new, old in enumerate(alive)}
    values = tuple(moved(flow.values[index], place, number) for index in kept)
    states = tuple(moved_state(flow.states[index], place) for index in alive)
    roots = {name: place[index] for name, index in flow.roots.items()}
    return Flow(values, states, roots), kept


def moved(value: Value, place: dict[int, int], number: dict[int, int]) -> Value:
    """A value with its arguments and state renumbered."""
    attrs = value.attrs
    if value.op in ("prev", "final"):
        attrs = tuple((key, number[state_of(value)] if key == "state" else each) for key, each in attrs)
    return replace(value, args=tuple(place[arg] for arg in value.args), attrs=attrs)


def moved_state(state: State, place: dict[int, int]) -> State:
    """A state with its values renumbered."""
    return replace(state, init=place[state.init], next=place[state.next])
