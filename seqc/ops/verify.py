"""The laws of Flow, checked after every pass.

Takes a Flow; gives nothing, or raises a `FlowError` that names the value, state or root at fault.
"""

from __future__ import annotations

from seqc.flow.order import faults, is_held
from seqc.flow.types import ONCE, STREAM, Axis, Flow, Kind, State, Type
from seqc.ops.op import FlowError, ShapeError
from seqc.ops.rule import result_type
from seqc.ops.table import TABLE


def verify(flow: Flow) -> None:
    """Raise unless the graph obeys all laws."""
    for index in range(len(flow.values)):
        verify_value(flow, index)
    for place, state in enumerate(flow.states):
        verify_state(flow, place, state)
    names = [state.name for state in flow.states if state.carried]
    if len(set(names)) != len(names):
        doubled = next(name for place, name in enumerate(names) if name in names[:place])
        raise FlowError(f"two carried states are named {doubled}")
    for name, root in flow.roots.items():
        if not 0 <= root < len(flow.values):
            raise FlowError(f"root {name} names value {root}, which does not exist")
    for fault in faults(flow):
        raise FlowError(f"value %{fault.value}: {fault.reason.value}")


def verify_value(flow: Flow, index: int) -> None:
    """Arguments before their user, and the type that the rule gives."""
    value = flow.values[index]
    where = f"value %{index} = {value.op} ({value.origin})"
    if any(not 0 <= arg < index for arg in value.args):
        raise FlowError(f"{where}: an argument of {value.args} does not stand before it")
    if value.op not in TABLE:
        raise FlowError(f"{where}: there is no such operation")
    types = tuple(flow.values[arg].type for arg in value.args)
    given = value.type if TABLE[value.op].typed else None
    try:
        found = result_type(value.op, types, dict(value.attrs), given)
    except ShapeError as error:
        raise FlowError(f"{where}: {error}") from None
    if found != value.type:
        raise FlowError(f"{where}: the type is {value.type}, its rule gives {found}")
    if (value.type.bound is not None) and value.type.kind is not Kind.INDEX:
        raise FlowError(f"{where}: {value.type.kind.value} has a bound")
    if value.op in ("prev", "final"):
        verify_reader(flow, index, where)


def verify_reader(flow: Flow, index: int, where: str) -> None:
    """`prev` has the type of its state, `final` the same without time."""
    value = flow.values[index]
    place = value.attr("state")
    if not isinstance(place, int) or not 0 <= place < len(flow.states):
        raise FlowError(f"{where}: there is no state {place}")
    expected = flow.states[place].type
    if value.op == "final":
        expected = expected.with_axes(expected.axes - {Axis.TIME})
    if value.type != expected:
        raise FlowError(f"{where}: the type is {value.type}, its state gives {expected}")


def verify_state(flow: Flow, place: int, state: State) -> None:
    """`next` has the type of the state, `init` the same without time."""
    where = f"state {place} {state.name}"
    held = 0 <= state.next < len(flow.values) and is_held(flow, state.next)
    if state.type.axes != STREAM and not (held and state.type.axes == ONCE):
        raise FlowError(f"{where}: its axes are time and batch, found {state.type}")
    once = state.type.with_axes(state.type.axes - {Axis.TIME})
    for part, index, expected in (("init", state.init, once), ("next", state.next, state.type)):
        if not 0 <= index < len(flow.values):
            raise FlowError(f"{where}: {part} names value {index}, which does not exist")
        found = flow.values[index].type
        if not fits(found, expected):
            raise FlowError(f"{where}: {part} is {found}, not {expected}")


def fits(found: Type, expected: Type) -> bool:
    """Whether a value may be stored in a state: equal types, where the bound of an index may be smaller."""
    if (found.kind, found.dims, found.axes) != (expected.kind, expected.dims, expected.axes):
        return False
    return expected.bound is None or (found.bound is not None and found.bound <= expected.bound)
