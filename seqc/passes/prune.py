"""What no root needs is dropped: values, and states that nobody reads.

Takes a Flow; gives the same roots over fewer values, in the old order.

    before
        %0 : real {batch} = input x
        %1 : real {batch} = exp x
        %2 : real {batch} = neg x
        root output.y = %2
    after
        %0 : real {batch} = input x
        %1 : real {batch} = neg x
        root output.y = %1
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.order import reachable, state_of
from seqc.flow.types import Flow, Value


def prune(flow: Flow) -> Flow:
    """Keep what the roots depend on."""
    kept = needed(flow)
    if all(kept) and len(states_read(flow, kept)) == len(flow.states):
        return flow
    places: list[int] = []
    count = 0
    for keep in kept:
        places.append(count)
        count += keep
    numbers = {old: new for new, old in enumerate(states_read(flow, kept))}
    values = [
        renumbered(value, places, numbers) for value, keep in zip(flow.values, kept, strict=True) if keep
    ]
    states = [
        replace(flow.states[old], init=places[flow.states[old].init], next=places[flow.states[old].next])
        for old in numbers
    ]
    roots = {name: places[root] for name, root in flow.roots.items()}
    return Flow(tuple(values), tuple(states), roots)


def needed(flow: Flow) -> list[bool]:
    """What the roots depend on. A state that is read by its end alone is kept with its first value."""
    wanted = list(flow.roots.values())
    while True:
        found = reachable(flow, wanted)
        inits = [flow.states[number].init for number in states_read(flow, found)]
        missing = [init for init in inits if not found[init]]
        if not missing:
            return found
        wanted += missing


def states_read(flow: Flow, kept: list[bool]) -> list[int]:
    """The states that a kept value reads, in order."""
    found = {
        state_of(value)
        for value, keep in zip(flow.values, kept, strict=True)
        if keep and value.op in ("prev", "final")
    }
    return sorted(found)


def renumbered(value: Value, places: list[int], numbers: dict[int, int]) -> Value:
    """The value with its arguments, and its state, under their new numbers."""
    if value.op in ("prev", "final"):
        return replace(value, attrs=(("state", numbers[state_of(value)]),))
    return replace(value, args=tuple(places[arg] for arg in value.args))
