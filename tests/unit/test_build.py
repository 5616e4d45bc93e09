"""The builder computes types, keeps origins and refuses what does not fit; rewriting keeps all that it is not told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.flow.print import show
from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Flow, Kind, Origin, Type, Value
from seqc.ops.build import Builder
from seqc.ops.op import FlowError, ShapeError
from seqc.ops.rewrite import Rebuilder, rewrite
from seqc.ops.verify import verify

VECTOR = Type(Kind.REAL, (3,), STREAM)


def example() -> Flow:
    """One recurrent layer with a loss."""
    builder = Builder()
    x = builder.add("input", type=VECTOR, name="x")
    weight = builder.add("param", type=Type(Kind.REAL, (3, 3)), name="layer.U")
    with builder.at(Origin("a.seq:4", "layer.h")):
        state = builder.state("layer.h", VECTOR)
        h = builder.tanh(builder.plus(x, builder.contract("hk,k->h", weight, builder.prev(state))))
        builder.define(state, builder.const(0.0), h)
    loss = builder.reduce("sum", builder.mul(builder.pick(h, 0, (0, 2)), 0.5), axes=NO_AXES)
    return builder.finish({"output.h": h, "loss": loss, "end": builder.final(state)})


GOLDEN = """\
%0  : real[3] {time,batch} = input x
%1  : real[3, 3]           = param layer.U
%2  : real[3] {time,batch} = prev layer.h                                   # state 0, a.seq:4  layer.h
%3  : real[3] {time,batch} = contract hk,k->h  layer.U, %2                  # a.seq:4  layer.h
%4  : real[3] {time,batch} = add x, %3                                      # a.seq:4  layer.h
%5  : real[3] {time,batch} = tanh %4                                        # a.seq:4  layer.h
%7  : real[3] {batch}      = broadcast 0.0                                  # a.seq:4  layer.h
%8  : real[2] {time,batch} = pick dim=0 indices=(0, 2) drop=false  %5
%10 : real[2] {time,batch} = mul %8, 0.5
%11 : real                 = reduce how=sum dims=(0)  %10
%12 : real[3] {batch}      = final layer.h                                  # state 0
state 0 layer.h : real[3] {time,batch}, forward = init %7, next %5
root output.h = %5
root loss = %11
root end = %12
"""


def test_the_printed_form_shows_values_states_and_roots() -> None:
    assert [line.rstrip().split() for line in show(example()).splitlines()] == [
        line.split() for line in GOLDEN.splitlines()
    ]


def test_types_follow_from_arguments() -> None:
    builder = Builder()
    stream = builder.add("input", type=VECTOR, name="x")
    row = builder.add("input", type=Type(Kind.REAL, (), ONCE), name="r")
    k = builder.add("input", type=Type(Kind.INDEX, (), STREAM, 5), name="k")
    table = builder.add("param", type=Type(Kind.REAL, (5, 3)), name="E")
    assert builder.type(builder.mul(row, stream)) == VECTOR
    assert builder.type(builder.lt(row, 1.0)) == Type(Kind.BOOL, (), ONCE)
    assert builder.type(builder.gather(table, k)) == VECTOR
    assert builder.type(builder.add("add", k, k)) == Type(Kind.INT, (), STREAM)
    assert builder.type(builder.add("maximum", k, k)).bound == 5
    assert builder.type(builder.add("argmax", stream)) == Type(Kind.INDEX, (), STREAM, 3)
    assert builder.type(builder.scatter(k, stream, 5, axes=NO_AXES)) == Type(Kind.REAL, (5, 3))
    assert builder.type(builder.concat(stream, stream)) == Type(Kind.REAL, (6,), STREAM)
    assert builder.type(builder.stack(row, row)) == Type(Kind.REAL, (2,), ONCE)


def test_what_does_not_fit_is_refused_with_the_operation_named() -> None:
    builder = Builder()
    a = builder.add("input", type=VECTOR, name="a")
    b = builder.add("input", type=Type(Kind.REAL, (4,), STREAM), name="b")
    n = builder.add("input", type=Type(Kind.INT, (), STREAM), name="n")
    yes = builder.add("training", type=Type(Kind.BOOL))
    before = len(builder.values)
    for refused in (
        lambda: builder.plus(a, b),
        lambda: builder.plus(a, n),
        lambda: builder.exp(n),
        lambda: builder.plus(yes, yes),
        lambda: builder.select(a, b, b),
        lambda: builder.contract("ab,b->a", a, b),
        lambda: builder.contract("a,b->c", a, b),
        lambda: builder.contract("a", a, b),
        lambda: builder.reduce("sum", a, (1,)),
        lambda: builder.reduce("mean", a),
        lambda: builder.gather(a, b),
        lambda: builder.pick(a, 0, (3,)),
        lambda: builder.concat(a, n),
        lambda: builder.stack(a, b),
        lambda: builder.reshape(a, (2, 2)),
        lambda: builder.add("transpose", a, order=(1,)),
        lambda: builder.add("tanh", a, b),
        lambda: builder.add("input", name="x"),
        lambda: builder.broadcast(a, Type(Kind.REAL, (3,), ONCE)),
    ):
        with pytest.raises(ShapeError):
            refused()
    with pytest.raises(FlowError, match="no operation"):
        builder.add("frobnicate", a)
    with pytest.raises(ShapeError, match=r"add\(0, 1\) = .*|add"):
        builder.plus(a, b)
    assert len(builder.values) == before or all(each.op == "const" for each in builder.values[before:])


def test_a_state_must_be_defined() -> None:
    builder = Builder()
    builder.state("h", VECTOR)
    with pytest.raises(FlowError, match="h was never defined"):
        builder.finish({})


def test_rewriting_without_a_change_gives_the_same_graph() -> None:
    flow = example()
    assert rewrite(flow, lambda walk, index, value: None) == flow


def test_rewriting_replaces_what_it_is_told_and_moves_the_rest() -> None:
    def twice(walk: Rebuilder, index: int, value: Value) -> int | None:
        if value.op != "tanh":
            return None
        return walk.builder.neg(walk.builder.neg(walk.builder.tanh(walk.args(index)[0])))

    flow = rewrite(example(), twice)
    verify(flow)
    assert [value.op for value in flow.values].count("neg") == 2
    assert flow.values[flow.roots["output.h"]].op == "neg"
    assert flow.values[flow.states[0].next].op == "neg"


def test_time_can_be_taken_out_while_copying() -> None:
    flow = example()
    walk = Rebuilder(flow, states=())
    gone = frozenset({Axis.TIME})
    for index, value in enumerate(flow.values):
        if value.op in ("input", "prev", "final"):
            type = value.type.with_axes(value.type.axes - gone)
            walk.put(index, walk.builder.add("input", type=type, name=f"v{index}"))
        else:
            walk.copy(index)
    stepped = walk.finish()
    verify(stepped)
    assert not stepped.states
    assert all(Axis.TIME not in value.type.axes for value in stepped.values)
    assert stepped.values[stepped.roots["loss"]].type == Type(Kind.REAL)


def broken(flow: Flow, index: int, **changes: object) -> Flow:
    values = list(flow.values)
    values[index] = replace(values[index], **changes)  # type: ignore[arg-type]
    return Flow(tuple(values), flow.states, flow.roots)


def test_the_verifier_names_what_breaks_a_law() -> None:
    flow = example()
    verify(flow)
    faulty = {
        "%4 = add .*does not stand before": broken(flow, 4, args=(0, 9)),
        "%5 = tanh .*its rule gives": broken(flow, 5, type=Type(Kind.REAL, (4,), STREAM)),
        "%2 = prev .*no state 7": broken(flow, 2, attrs=(("state", 7),)),
        "%2 = prev .*its state gives": broken(flow, 2, type=Type(Kind.REAL, (4,), STREAM)),
        "%5 = .*no such operation|frobnicate": broken(flow, 5, op="frobnicate"),
        "%3 = contract .*attribute spec": broken(flow, 3, attrs=()),
        "state 0 layer.h: init is": Flow(flow.values, (replace(flow.states[0], init=5),), flow.roots),
        "state 0 layer.h: next is": Flow(flow.values, (replace(flow.states[0], next=7),), flow.roots),
        "two carried states are named": Flow(flow.values, flow.states * 2, flow.roots),
        "root y names value 99": Flow(flow.values, flow.states, {"y": 99}),
    }
    for message, each in faulty.items():
        with pytest.raises(FlowError, match=message):
            verify(each)
