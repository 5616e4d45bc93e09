"""What several numeric tests share: types, a stand-in for leaves, and a slow evaluator that works on demand."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Flow, Kind, Type, Way
from seqc.ops.op import Call
from seqc.ops.table import TABLE

TIME_ONLY = frozenset({Axis.TIME})
ALL_AXES = (NO_AXES, ONCE, TIME_ONLY, STREAM)


def real(*dims: int, axes: frozenset[Axis] = STREAM) -> Type:
    """A real type."""
    return Type(Kind.REAL, dims, axes)


def shape_of(type: Type, T: int, B: int) -> tuple[int, ...]:
    """The shape of the array of a type."""
    axes = [size for axis, size in ((Axis.TIME, T), (Axis.BATCH, B)) if axis in type.axes]
    return (*axes, *type.dims)


class OnDemand:
    """Computes one value at one step by asking for what it needs, with no running order at all."""

    def __init__(self, flow: Flow, leaves: dict[tuple[str, str], Any], T: int, B: int) -> None:
        self.flow, self.leaves, self.T, self.B = flow, leaves, T, B
        self.known: dict[tuple[int, int], Any] = {}

    def whole(self, index: int) -> Any:
        """A value over all of time, if it has time."""
        if Axis.TIME not in self.flow.values[index].type.axes:
            return self.at(index, 0)
        return np.stack([self.at(index, t) for t in range(self.T)])

    def at(self, index: int, t: int) -> Any:
        """A value at step t."""
        if (index, t) not in self.known:
            self.known[index, t] = self.compute(index, t)
        return self.known[index, t]

    def compute(self, index: int, t: int) -> Any:
        value = self.flow.values[index]
        if value.op in ("prev", "final"):
            state = self.flow.states[int(value.attr("state"))]  # type: ignore[arg-type]
            forward = state.way is Way.FORWARD
            if value.op == "final":
                return self.at(state.next, self.T - 1 if forward else 0)
            before = t - 1 if forward else t + 1
            return self.at(state.next, before) if 0 <= before < self.T else self.at(state.init, 0)
        if value.op == "const":
            return np.full(value.type.dims, value.attr("value"))
        if not value.args:
            array = self.leaves[value.op, str(value.attrs[0][1])]
            return np.asarray(array)[t] if Axis.TIME in value.type.axes else np.asarray(array)
        types = [self.flow.values[arg].type for arg in value.args]
        if value.op == "reverse":
            return self.at(value.args[0], self.T - 1 - t)
        if Axis.TIME in frozenset().union(*(each.axes for each in types)) - value.type.axes:
            call = Call(value.type, tuple(types), dict(value.attrs), self.T, self.B, np.dtype(np.float64))
            return TABLE[value.op].meaning(call)(*map(self.whole, value.args))  # type: ignore[misc]
        gone = [each.with_axes(each.axes - TIME_ONLY) for each in types]
        own = value.type.with_axes(value.type.axes - TIME_ONLY)
        call = Call(own, tuple(gone), dict(value.attrs), self.T, self.B, np.dtype(np.float64))
        return TABLE[value.op].meaning(call)(*(self.at(arg, t) for arg in value.args))  # type: ignore[misc]
