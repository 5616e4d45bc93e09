"""Which states live on between calls: what the roots of a whole model say of it."""

from __future__ import annotations

from seqc.flow.order import state_of
from seqc.flow.types import Flow, State

SCORING = ("evaluate", "gradients", "update")
"""Entries that compute the loss."""


def group_roots(flow: Flow, entry: str) -> tuple[int, ...]:
    """What decides which states an entry advances: run entries share their states, and so do training entries."""
    prefixes = ("loss", "metric.") if entry in SCORING else ("output.", "until", "default.")
    return tuple(root for name, root in flow.roots.items() if name.startswith(prefixes))


def is_carried(flow: Flow, entry: str) -> bool:
    """Whether states live on between the calls of an entry. What turns time round has none that could: an output in those that
    run the model, anything at all in training."""
    values = flow.values if entry in SCORING else [flow.values[index] for index in behind_outputs(flow)]
    return all(value.op != "reverse" for value in values)


def carried_states(flow: Flow) -> tuple[State, ...]:
    """The states that live on between calls, of whatever entries."""
    if is_carried(flow, "gradients"):
        return tuple(state for state in flow.states if state.carried)
    if not is_carried(flow, "infer"):
        return ()
    readers = (flow.values[index] for index in behind_outputs(flow))
    read = {state_of(value) for value in readers if value.op in ("prev", "final")}
    return tuple(state for number, state in enumerate(flow.states) if state.carried and number in read)


def behind_outputs(flow: Flow) -> set[int]:
    """All values that entries which run the model may compute, first values of states included."""
    found: set[int] = set()
    pending = list(group_roots(flow, "infer"))
    while pending:
        index = pending.pop()
        if index in found:
            continue
        found.add(index)
        value = flow.values[index]
        pending += value.args
        if value.op in ("prev", "final"):
            state = flow.states[state_of(value)]
            pending += (state.init, state.next)
    return found
