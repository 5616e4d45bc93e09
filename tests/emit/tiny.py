"""A hand-built model of one recurrent layer, with the plan of `infer` and `step`, for tests of the text alone.

h = tanh(W x + b + U prev h), 5 units, 3 inputs; output y = h
"""

from __future__ import annotations

from seqc.flow.types import ONCE, STREAM, Axis, Flow, Kind, State, Type, Value, Way
from seqc.lower.program import Input, Parameter, Program
from seqc.plan.buffers import Buffer, Home, Operand, Statement
from seqc.plan.target import Arena, Target
from seqc.plan.types import PackedMatrix, Plan, Pointwise, Product, Scan, Segment

UNITS, INPUTS = 5, 3
BATCH = frozenset({Axis.BATCH})


def program() -> Program:
    """Names and types; the graph is only what `emit` asks for."""
    vector = Type(Kind.REAL, (UNITS,), STREAM)
    values = (
        Value("const", (), (("value", 0.0),), Type(Kind.REAL, (UNITS,))),
        Value("prev", (), (("state", 0),), vector),
    )
    flow = Flow(values, (State("layer.h", 0, 1, Way.FORWARD, vector),), {"output.y": 1})
    parameters = (
        Parameter("layer.W", Type(Kind.REAL, (UNITS, INPUTS)), ("glorot",), "From the input."),
        Parameter("layer.U", Type(Kind.REAL, (UNITS, UNITS)), ("orthogonal",)),
        Parameter("layer.b", Type(Kind.REAL, (UNITS,)), ("zeros",)),
    )
    inputs = (Input("x", Type(Kind.REAL, (INPUTS,), STREAM), False),)
    return Program("Tiny", flow, parameters, inputs, (), {}, None, (), True, doc="One recurrent layer.")


def plan(entry: str, target: Target) -> Plan:
    """Across: W x. Scan: U h, then the layer. `step` has no time."""
    axes = STREAM if entry == "infer" else ONCE
    buffers = (
        Buffer("x", Kind.REAL, INPUTS, axes, Home("input", "x")),
        Buffer("layer.Wx", Kind.REAL, UNITS, axes, Home("workspace")),
        Buffer("layer.Uh", Kind.REAL, UNITS, ONCE, Home("workspace")),
        Buffer("layer.h", Kind.REAL, UNITS, axes, Home("workspace"), slots=1 if entry == "infer" else 0),
        Buffer("layer.b", Kind.REAL, UNITS, frozenset(), Home("plain", "layer.b")),
        Buffer("y", Kind.REAL, UNITS, axes, Home("output", "y")),
        Buffer("layer.h", Kind.REAL, UNITS, ONCE, Home("carried", "layer.h")),
        Buffer("layer.h.fresh", Kind.BOOL, 1, ONCE, Home("fresh", "layer.h")),
    )
    block = target.lanes
    packs = (
        PackedMatrix("rows", (("layer.W", 0),), UNITS, INPUTS, 1, block),
        PackedMatrix("rows", (("layer.U", 0),), UNITS, UNITS, 1, block),
    )
    first = Pointwise(
        BATCH,
        UNITS,
        ((0, Operand(7, 1), Kind.BOOL), (1, Operand(6, UNITS), Kind.REAL)),
        (),
        (Statement(2, "const", (), Kind.REAL, 0.0), Statement(3, "select", (0, 2, 1), Kind.REAL)),
        ((3, Operand(3, UNITS, at="first" if entry == "infer" else "")),),
        "tiny.seq:4  layer.h",
    )
    hoisted = Product(axes, 1, 0, (Segment(0, Operand(0, INPUTS), INPUTS),), "tiny.seq:5  layer.W @ x")
    inner = Product(BATCH, 2, 0, (Segment(1, Operand(3, UNITS), UNITS),), "tiny.seq:5  layer.U @ prev h")
    layer = Pointwise(
        BATCH,
        UNITS,
        (
            (0, Operand(1, UNITS), Kind.REAL),
            (1, Operand(2, UNITS), Kind.REAL),
            (2, Operand(4, UNITS), Kind.REAL),
        ),
        (),
        (
            Statement(3, "add", (0, 2), Kind.REAL),
            Statement(4, "add", (3, 1), Kind.REAL),
            Statement(5, "tanh", (4,), Kind.REAL),
        ),
        ((5, Operand(3, UNITS, shift=1 if entry == "infer" else 0)), (5, Operand(5, UNITS))),
        "tiny.seq:5  layer.h",
    )
    last = Pointwise(
        BATCH,
        UNITS,
        ((0, Operand(3, UNITS, at="last" if entry == "infer" else ""), Kind.REAL),),
        (),
        (),
        ((0, Operand(6, UNITS)),),
        "tiny.seq:4  layer.h",
    )
    if entry == "step":
        offsets = {1: Arena(0, 0, 0, 0), 2: Arena(0, 64, 0, 0), 3: Arena(0, 128, 0, 0)}
        return Plan(
            entry, buffers, packs, (), (first, hoisted, inner, layer, last), Arena(0, 192, 0, 0), offsets
        )
    offsets = {1: Arena(0, 0, 0, 0), 2: Arena(0, 0, 0, 64), 3: Arena(0, 64, 0, 64)}
    nodes = (first, hoisted, Scan(Way.FORWARD, (inner, layer), "layer.h"), last)
    return Plan(entry, buffers, packs, (), nodes, Arena(0, 128, 0, 128), offsets)
