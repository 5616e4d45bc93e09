"""The time axis removed, for entry points that run one step at a time.

Takes a Flow of one entry; gives the Flow of a single step: a state before it is what the caller hands in, a state
after it is a value like any other.

    %0 : real[4] {batch} = select …                         # init of state h
    %1 : real[4] {time,batch} = prev h                 →    %1 : real[4] {batch} = tanh %0
    %2 : real[4] {time,batch} = tanh %1                     output.y %1, state.h %1
    output.y %2, state.h = final h
"""

from __future__ import annotations

from seqc.flow.order import state_of
from seqc.flow.types import NO_AXES, Axis, Flow, Kind, Type, Value
from seqc.ops.op import FlowError
from seqc.ops.rewrite import SUMMING, Rebuilder
from seqc.ops.table import TABLE
from seqc.passes.sequence import running_order

TIME = frozenset({Axis.TIME})


def stream(flow: Flow) -> Flow:
    """The Flow of one step. Models that turn time round have none."""

    def needs(index: int) -> tuple[int, ...]:
        value = flow.values[index]
        if value.op == "prev":
            return (flow.states[state_of(value)].init,)
        if value.op == "final":
            return (flow.states[state_of(value)].next,)
        return value.args

    walk = Rebuilder(flow, states=())
    for index in running_order(len(flow.values), tuple(flow.roots.values()), needs):
        value = flow.values[index]
        with walk.builder.at(value.origin):
            rebuild(walk, index, value, needs(index))
    return walk.finish({name: walk.new(root) for name, root in flow.roots.items()})


def rebuild(walk: Rebuilder, index: int, value: Value, needs: tuple[int, ...]) -> None:
    """Put the value of one step."""
    builder = walk.builder
    if value.op in ("prev", "final"):
        walk.put(index, walk.new(needs[0]))
    elif value.op in ("instant", "steps"):
        walk.put(index, builder.const(0 if value.op == "instant" else 1, Kind.INT))
    elif value.op == "reverse":
        raise FlowError("a model that turns time round has no single step")
    else:
        walk.copy(index, timeless(walk, value))


def timeless(walk: Rebuilder, value: Value) -> Type | None:
    """The type to ask for: that of the value without TIME, as far as its arguments have its axes."""
    if not TABLE[value.op].typed:
        return None
    axes = value.type.axes - TIME
    if value.op in (*SUMMING, "cast", "reshape"):
        axes &= NO_AXES.union(*(walk.builder.type(walk.new(arg)).axes for arg in value.args))
    return value.type.with_axes(axes)
