"""Values that are known, or equal to others, are replaced by what they are equal to, up to rounding.

Takes a Flow whose gradients are made; gives the same roots. A product with zero stays: its other factor may be NaN.

    before
        %0 : real {time,batch} = input x
        %2 : real {time,batch} = mul x, 1.0
        %4 : bool              = not false
        %5 : real {time,batch} = stop %2
        %6 : real {time,batch} = neg %5
        %7 : real {time,batch} = select %4, %6, %2
        root output.y = %7
    after
        %0 : real {time,batch} = input x
        %1 : real {time,batch} = neg x
        root output.y = %1
"""

from __future__ import annotations

import math

import numpy as np

from seqc.flow.order import state_of
from seqc.flow.types import NO_AXES, Flow, State, Type, Value
from seqc.ops.build import Builder
from seqc.ops.op import Call
from seqc.ops.rewrite import Rebuilder
from seqc.ops.rule import result_type
from seqc.ops.table import ELEMENTWISE_NAMES, TABLE
from seqc.passes.known import below, known
from seqc.passes.prune import prune
from seqc.passes.rules import RULES

ROUNDS = 8
"""At most so many walks; one or two reach the end, a cycle of rules would be a fault."""


def simplify(flow: Flow) -> Flow:
    """Apply all rules until none changes the graph."""
    for _ in range(ROUNDS):
        before = (len(flow.values), flow.states, flow.values)
        flow = prune(once(flow))
        if before == (len(flow.values), flow.states, flow.values):
            break
    return flow


def once(flow: Flow) -> Flow:
    """One walk: each value is replaced by the first rule that fits, or copied."""
    constant = constant_states(flow)
    walk = Rebuilder(flow)
    for index, value in enumerate(flow.values):
        with walk.builder.at(value.origin):
            new = replacement(walk, value, constant)
            if new is None:
                walk.copy(index)
            else:
                walk.put(index, new)
    return walk.finish()


def replacement(walk: Rebuilder, value: Value, constant: dict[int, int]) -> int | None:
    """What a value is equal to, if a rule says so; of the same type."""
    builder = walk.builder
    if value.op in ("prev", "final"):
        source = constant.get(state_of(value))
        if source is None:
            return None
        const = walk.flow.values[source]
        number = const.attr("value")
        assert number is not None and not isinstance(number, str | tuple)
        return builder.broadcast(builder.const(number, const.type.kind), value.type)
    if not value.args:
        return None
    args = tuple(walk.new(arg) for arg in value.args)
    found = fold(builder, value, args)
    if found is None:
        rule = RULES.get(value.op)
        found = rule(builder, value, args) if rule is not None else None
    if found is None and value.op in ELEMENTWISE_NAMES and len(args) > 1:
        found = slim(builder, value, args)
    if found is None:
        return None
    return fitted(builder, found, value)


def fitted(builder: Builder, found: int, value: Value) -> int | None:
    """The replacement brought to the type of the value; None where that would change its meaning."""
    own = builder.type(found)
    if own.kind is not value.type.kind:
        return None
    if own == value.type:
        return found
    if own.dims not in ((), value.type.dims) or not own.axes <= value.type.axes:
        return None
    if own.bound != value.type.bound:
        found = builder.cast(found, value.type.kind, value.type.bound)
    return builder.broadcast(found, value.type)


def constant_states(flow: Flow) -> dict[int, int]:
    """The states that keep one constant for ever, with that constant: they start from it and go on with it."""
    found = {}
    for place, state in enumerate(flow.states):
        first, next = unwrapped(flow, state.init), unwrapped(flow, state.next)
        if flow.values[first].op != "const":
            continue
        same = flow.values[next].op == "const" and flow.values[next].attrs == flow.values[first].attrs
        if same or is_own(flow, place, state):
            found[place] = first
    return found


def is_own(flow: Flow, place: int, state: State) -> bool:
    """Whether a state holds what it has."""
    next = flow.values[state.next]
    return next.op == "prev" and state_of(next) == place


def unwrapped(flow: Flow, index: int) -> int:
    """The value below broadcasts."""
    while flow.values[index].op == "broadcast":
        index = flow.values[index].args[0]
    return index


def fold(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """The result of an elementwise operation on constants; results that are not finite are left to run time."""
    if value.op not in ELEMENTWISE_NAMES or value.op == "broadcast":
        return None
    numbers = [known(builder, arg) for arg in args]
    if any(number is None for number in numbers):
        return None
    meaning = TABLE[value.op].meaning
    assert meaning is not None
    real = np.dtype(np.float64)
    bare = [builder.type(arg).with_axes(NO_AXES) for arg in args]
    types = tuple(type_without_dims(each) for each in bare)
    call = Call(type_without_dims(value.type.with_axes(NO_AXES)), types, dict(value.attrs), 1, 1, real)
    arrays = [call.dtype(each.kind).type(number) for each, number in zip(types, numbers, strict=True)]
    with np.errstate(all="ignore"):
        result = meaning(call)(*arrays)
    number = np.asarray(result).item()
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return builder.const(number, value.type.kind)


def type_without_dims(type: Type) -> Type:
    """The type of one element."""
    return Type(type.kind, (), type.axes, type.bound)


def slim(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """The same operation without broadcasts that its other operands make needless."""
    slimmed = tuple(below(builder, arg) for arg in args)
    if slimmed == args:
        return None
    attrs = dict(value.attrs)
    for candidate in candidates(args, slimmed):
        found = result_type(value.op, tuple(builder.type(arg) for arg in candidate), attrs, None)
        if found == value.type:
            return builder.put(value.op, candidate, attrs)
    return None


def candidates(args: tuple[int, ...], slimmed: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All operands without broadcasts, then one after the other alone."""
    result = [slimmed]
    for place, arg in enumerate(slimmed):
        if arg != args[place]:
            result.append((*args[:place], arg, *args[place + 1 :]))
    return result
