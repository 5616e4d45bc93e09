"""Equal values are computed once, and equal states run once. Comes after `differentiate`.

Takes a Flow; gives the same roots over fewer values. Draws of different sites differ by their attribute.

    before
        %0 : real {batch} = input x
        %1 : real {batch} = exp x
        %2 : real {batch} = exp x
        %3 : real {batch} = add %1, %2
        root output.y = %3
    after
        %0 : real {batch} = input x
        %1 : real {batch} = exp x
        %2 : real {batch} = add %1, %1
        root output.y = %2
"""

from __future__ import annotations

from collections.abc import Hashable

from seqc.flow.order import state_of
from seqc.flow.types import Flow, Value
from seqc.passes.prune import prune

COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "and", "or"})
"""Operations whose result is the same bit for bit with operands exchanged."""


def share(flow: Flow) -> Flow:
    """Let the first of equal values stand for all."""
    groups = state_groups(flow)
    first = numbered(flow, groups)
    if first == list(range(len(flow.values))):
        return flow
    values = [
        Value(
            value.op, tuple(first[arg] for arg in value.args), attrs(value, groups), value.type, value.origin
        )
        for value in flow.values
    ]
    states = tuple(
        type(state)(state.name, first[state.init], first[state.next], state.way, state.type, state.carried)
        for state in flow.states
    )
    roots = {name: first[root] for name, root in flow.roots.items()}
    return prune(Flow(tuple(values), states, roots))


def attrs(
    value: Value, groups: list[int]
) -> tuple[tuple[str, int | float | bool | str | tuple[int, ...] | None], ...]:
    """The attributes, with the state that stands for its group."""
    if value.op in ("prev", "final"):
        return (("state", groups[state_of(value)]),)
    return value.attrs


def numbered(flow: Flow, groups: list[int]) -> list[int]:
    """For each value the first one that is equal to it, if states of one group are equal."""
    seen: dict[Hashable, int] = {}
    first: list[int] = []
    for index, value in enumerate(flow.values):
        args = tuple(first[arg] for arg in value.args)
        if value.op in COMMUTATIVE:
            args = tuple(sorted(args))
        first.append(seen.setdefault((value.op, args, marked(attrs(value, groups)), value.type), index))
    return first


def marked(found: tuple[tuple[str, object], ...]) -> Hashable:
    """Attributes as a key that tells 1 from 1.0 and true, and 0.0 from -0.0."""
    return tuple((name, type(each).__name__, repr(each)) for name, each in found)


def state_groups(flow: Flow) -> list[int]:
    """For each state the first one that is equal to it.

    All states of one kind, start and way are taken to be equal, then told apart where what follows them differs,
    until nothing more does.
    """
    groups = [0] * len(flow.states)
    while True:
        first = numbered(flow, groups)
        keys: dict[Hashable, int] = {}
        found = []
        for place, state in enumerate(flow.states):
            key = (groups[place], first[state.init], first[state.next], state.type, state.way)
            found.append(keys.setdefault(key, place))
        if found == groups:
            return groups
        groups = found
