"""The time axis removed, for entry points that run one step at a time.

Takes a Flow of one entry; gives the Flow of a single step: a state before it is what the caller hands in, a state
after it is a value like any other.

    before
        %0 : real {time,batch} = prev h             # state 0
        %1 : real {time,batch} = input x
        %2 : real {time,batch} = add %0, x
        %4 : real {batch}      = broadcast 0.0
        %5 : bool {batch}      = fresh h
        %6 : real {batch}      = carried h
        %7 : real {batch}      = select %5, %4, %6
        %8 : real {batch}      = final h            # state 0
        state 0 h : real {time,batch}, forward = init %7, next %2
        root output.y = %2
        root state.h = %8
    after
        %0 : real {batch} = input x
        %2 : real {batch} = broadcast 0.0
        %3 : bool {batch} = fresh h
        %4 : real {batch} = carried h
        %5 : real {batch} = select %3, %2, %4
        %6 : real {batch} = add %5, x
        root output.y = %6
        root state.h = %6
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
