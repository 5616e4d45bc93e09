"""Rows of different lengths: steps past the end of a row do not exist.

Takes a Flow of whole sequences and the name of its length input; gives the Flow in which states hold past the end,
inputs and outputs there are zero, and reducers over time or batch skip what is not there.

    before
        %0 : real {time,batch} = input x
        %1 : real {time,batch} = exp x
        %2 : real {time,batch} = exp x
        %3 : real              = reduce how=sum dims=()  %2
        root output.y = %1
        root loss = %3
    after
        %0  : int {batch}       = input n
        %1  : int {time}        = instant
        %2  : bool {time,batch} = lt %1, n
        %3  : real {time,batch} = input x
        %5  : real {time,batch} = select %2, x, 0.0
        %6  : real {time,batch} = exp %5
        %7  : real {time,batch} = exp %5
        %9  : real {time,batch} = select %2, %7, 0.0
        %10 : real              = reduce how=sum dims=()  %9
        %12 : real {time,batch} = select %2, %6, 0.0
        root output.y = %12
        root loss = %10
"""

from __future__ import annotations

import math

from seqc.flow.types import ONCE, STREAM, Axis, Flow, Kind, Type, Value
from seqc.ops.build import Builder
from seqc.ops.op import join_axes
from seqc.ops.rewrite import SUMMING, Rebuilder

TIME = frozenset({Axis.TIME})
FAR = 2**62


def ragged(flow: Flow, length: str | None) -> Flow:
    """Apply the rule of padding, where there is a length. Comes before `differentiate`."""
    return flow if length is None else Padding(flow, length).run()


def neutral(how: str, type: Type) -> float | int:
    """What a maximum or minimum over this type is not changed by."""
    if type.kind is Kind.INDEX and type.bound is not None:
        return 0 if how == "max" else type.bound - 1
    size = math.inf if type.kind.is_real else FAR
    return -size if how == "max" else size


class Padding:
    """The walk; `alive` says whether a step of a row exists."""

    def __init__(self, flow: Flow, length: str) -> None:
        self.flow = flow
        self.walk = Rebuilder(flow)
        self.name = length
        builder = self.walk.builder
        self.length = builder.add("input", type=Type(Kind.INT, (), ONCE), name=length)
        instant = builder.add("instant", type=Type(Kind.INT, (), TIME))
        self.alive = builder.lt(instant, self.length)

    def run(self) -> Flow:
        """Rebuild all values, let states hold, and empty the outputs."""
        walk, builder = self.walk, self.walk.builder
        for index, value in enumerate(self.flow.values):
            with builder.at(value.origin):
                self.rebuild(index, value)
        for number, state in enumerate(self.flow.states):
            with builder.at(self.flow.values[state.next].origin):
                next = walk.new(state.next)
                if Axis.TIME in state.type.axes:
                    next = builder.select(self.alive, next, builder.prev(walk.states[number]))
                walk.define(number, walk.new(state.init), next)
        roots = {}
        for name, root in self.flow.roots.items():
            new = walk.new(root)
            roots[name] = self.masked(new) if name.startswith("output.") else new
        return walk.finish(roots)

    def rebuild(self, index: int, value: Value) -> None:
        """Put one value."""
        walk = self.walk
        if value.op == "input" and value.attr("name") == self.name:
            walk.put(index, self.length)
        elif value.op == "input":
            walk.put(index, self.masked(walk.copy(index)))
        elif value.op == "reverse" and Axis.TIME in value.type.axes:
            walk.put(index, walk.builder.reverse(walk.args(index)[0], self.length))
        elif value.op in SUMMING and self.sums_steps(value):
            walk.put(index, self.skipping(index, value))
        else:
            walk.copy(index)

    def sums_steps(self, value: Value) -> bool:
        """Whether an operation joins steps of several rows or of one."""
        union = join_axes([self.flow.values[arg].type for arg in value.args])
        return union == STREAM and value.type.axes != STREAM

    def masked(self, value: int, instead: float | int | bool = 0) -> int:
        """The value where the step exists, elsewhere `instead`; values that are not streams stay."""
        builder = self.walk.builder
        type = builder.type(value)
        if type.axes != STREAM:
            return value
        zero = builder.const(instead, type.kind)
        return builder.cast(builder.select(self.alive, value, zero), type.kind, type.bound)

    def skipping(self, index: int, value: Value) -> int:
        """The same reduction over operands that are neutral past the end; over nothing it gives 0."""
        walk, builder = self.walk, self.walk.builder
        how = value.attr("how") if value.op == "reduce" else "sum"
        args = walk.args(index)
        if how == "sum":
            masked = [self.masked(arg) for arg in args]
            return builder.put(value.op, tuple(masked), dict(value.attrs), value.type)
        type = value.type
        low = self.masked(args[0], neutral(str(how), builder.type(args[0])))
        found = builder.put(value.op, (low,), dict(value.attrs), type)
        return builder.select(self.any_alive(builder, type), found, builder.zero(found))

    def any_alive(self, builder: Builder, like: Type) -> int:
        """Whether there is a step at all among those that a reduction to this type joins."""
        counted = builder.cast(self.alive, Kind.INT)
        count = builder.reduce("max", counted, (), like.axes)
        return builder.gt(count, builder.const(0, Kind.INT))
