"""The builder: the one mutable thing of Flow. It computes types, keeps origins and hands out an immutable graph.

Operations are added one by one, arguments first; equal values are never merged. Arithmetic methods take values (whole
numbers: indices) or numbers written as floats, which become constants of the other operand's kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from seqc.flow.types import (
    NO_AXES,
    Attribute,
    Axis,
    Flow,
    Kind,
    Origin,
    State,
    Type,
    Value,
    Way,
)
from seqc.ops.arithmetic import Arithmetic
from seqc.ops.op import FlowError
from seqc.ops.rule import ordered, result_type

UNDEFINED = -1


class Builder(Arithmetic):
    """Collects values and states; `finish` gives the Flow."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.states: list[State] = []
        self._origin = Origin()

    @contextmanager
    def at(self, origin: Origin) -> Iterator[None]:
        """Within this context, values that name no origin get this one."""
        before, self._origin = self._origin, origin
        try:
            yield
        finally:
            self._origin = before

    def value(self, index: int) -> Value:
        """The value with this index."""
        return self.values[index]

    def type(self, index: int) -> Type:
        """The type of a value."""
        return self.values[index].type

    def args(self, index: int) -> tuple[int, ...]:
        """The arguments of a value."""
        return self.values[index].args

    def put(
        self,
        op: str,
        args: tuple[int, ...],
        attrs: Mapping[str, Attribute],
        type: Type | None = None,
        origin: Origin | None = None,
    ) -> int:
        """Add a value and give its index. `type` is what leaves, broadcast, cast and sums over axes ask for."""
        if any(not 0 <= arg < len(self.values) for arg in args):
            raise FlowError(f"{op}: an argument of {args} does not exist")
        types = tuple(self.values[arg].type for arg in args)
        found = result_type(op, types, attrs, type)
        value = Value(op, args, ordered(op, attrs), found, self._origin if origin is None else origin)
        self.values.append(value)
        return len(self.values) - 1

    def const(self, value: float | int | bool, kind: Kind = Kind.REAL, dims: tuple[int, ...] = ()) -> int:
        """A constant, filled if it has dims; the number is brought to the kind. An index gets the least bound."""
        if kind.is_real:
            return self.add("const", type=Type(kind, dims), value=float(value))
        if kind is Kind.BOOL:
            return self.add("const", type=Type(kind, dims), value=bool(value))
        bound = int(value) + 1 if kind is Kind.INDEX else None
        return self.add("const", type=Type(kind, dims, NO_AXES, bound), value=int(value))

    def state(self, name: str, type: Type, way: Way = Way.FORWARD, carried: bool = True) -> int:
        """Announce a state; `define` must follow before `finish`."""
        self.states.append(State(name, UNDEFINED, UNDEFINED, way, type, carried))
        return len(self.states) - 1

    def prev(self, state: int) -> int:
        """The leaf that reads a state one step ago."""
        return self.add("prev", type=self.states[state].type, state=state)

    def final(self, state: int) -> int:
        """The value of a state after the last step in its way."""
        type = self.states[state].type
        return self.add("final", type=type.with_axes(type.axes - {Axis.TIME}), state=state)

    def define(self, state: int, init: int, next: int) -> None:
        """Give a state its first and its following value, both broadcast to its type where they are smaller."""
        record = self.states[state]
        once = record.type.with_axes(record.type.axes - {Axis.TIME})
        self.states[state] = replace(
            record, init=self.broadcast(init, once), next=self.broadcast(next, record.type)
        )

    def finish(self, roots: Mapping[str, int]) -> Flow:
        """The graph."""
        for state in self.states:
            if UNDEFINED in (state.init, state.next):
                raise FlowError(f"state {state.name} was never defined")
        for name, root in roots.items():
            if not 0 <= root < len(self.values):
                raise FlowError(f"root {name} names value {root}, which does not exist")
        return Flow(tuple(self.values), tuple(self.states), roots)


def sum_to(builder: Builder, part: int, type: Type) -> int:
    """A contribution to a gradient, summed over the axes and dims that what receives it does not have."""
    own = builder.type(part)
    dims = tuple(range(len(own.dims))) if own.dims and not type.dims else ()
    axes = own.axes & type.axes
    if not dims and axes == own.axes:
        return part
    return builder.reduce("sum", part, dims, axes)
