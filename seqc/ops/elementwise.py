"""Rows of the operations that act on each element by itself: arithmetic, functions, comparison, logic, selection.

Operands have the dims of the result or none, and its axes or fewer. A new operation is one row made by `unary` or
`binary`: its numpy function and its derivative as calculus writes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqc.flow.types import Kind, Type
from seqc.ops.op import (
    Array,
    Call,
    Meaning,
    Op,
    Request,
    Run,
    Shape,
    ShapeError,
    aligner,
    expect_kind,
    join_axes,
    join_dims,
    join_kind,
)

if TYPE_CHECKING:
    from seqc.ops.build import Builder

Slope1 = Callable[["Builder", int, int, int], int]
Slope2 = Callable[["Builder", int, int, int, int], Sequence[int | None]]


def spread(function: Run) -> Meaning:
    """The meaning of an operation that numpy broadcasts by itself, once its operands are aligned."""

    def meaning(call: Call) -> Run:
        aligners = [aligner(each, call.type) for each in call.args]
        if not any(aligners):
            return function
        if len(aligners) == 2:
            return two_aligned(function, aligners[0], aligners[1])

        def aligned(*arrays: Array) -> Array:
            return function(
                *(
                    array if align is None else align(array)
                    for align, array in zip(aligners, arrays, strict=True)
                )
            )

        return aligned

    return meaning


def two_aligned(function: Run, first: Run | None, second: Run | None) -> Run:
    """`spread` for two operands, without its loop."""
    if first is None and second is not None:
        return lambda a, b: function(a, second(b))
    if first is not None and second is None:
        return lambda a, b: function(first(a), b)
    assert first is not None and second is not None
    return lambda a, b: function(first(a), second(b))


def is_real(kind: Kind) -> bool:
    """Real kinds."""
    return kind.is_real


def is_integer(kind: Kind) -> bool:
    """Whole numbers."""
    return kind.is_integer


def is_number(kind: Kind) -> bool:
    """Everything but bool."""
    return kind is not Kind.BOOL


def is_bool(kind: Kind) -> bool:
    """Bool alone."""
    return kind is Kind.BOOL


def arithmetic_shape(allowed: Callable[[Kind], bool], what: str, closed: bool = False) -> Shape:
    """The shape of arithmetic. Unless `closed`, an index becomes an int, since its bound may be left."""

    def shape(request: Request) -> Type:
        for each in request.args:
            expect_kind(each, allowed, what)
        kind, bound = join_kind(request.args)
        if kind is Kind.INDEX and not closed:
            kind, bound = Kind.INT, None
        return Type(kind, join_dims(request.args), join_axes(request.args), bound)

    return shape


def comparison_shape(request: Request) -> Type:
    """The shape of a comparison: bool."""
    join_kind(request.args)
    return Type(Kind.BOOL, join_dims(request.args), join_axes(request.args))


def select_shape(request: Request) -> Type:
    """The shape of select(c, a, b)."""
    expect_kind(request.args[0], is_bool, "a bool first")
    kind, bound = join_kind(request.args[1:])
    return Type(kind, join_dims(request.args), join_axes(request.args), bound)


def cast_shape(request: Request) -> Type:
    """The shape of cast: that of its operand, with the kind asked for."""
    given = request.given
    if given is None:
        raise ShapeError("needs an explicit type")
    source = request.args[0]
    if (source.dims, source.axes) != (given.dims, given.axes):
        raise ShapeError(f"keeps dims and axes, found {source} to {given}")
    return given


def broadcast_shape(request: Request) -> Type:
    """The shape of broadcast: as asked for, at least that of its operand."""
    given = request.given
    if given is None:
        raise ShapeError("needs an explicit type")
    source = request.args[0]
    if source.dims not in ((), given.dims) or not source.axes <= given.axes or source.kind is not given.kind:
        raise ShapeError(f"cannot broadcast {source} to {given}")
    return Type(given.kind, given.dims, given.axes, source.bound if given.bound is None else given.bound)


REAL = arithmetic_shape(is_real, "reals")
NUMBER = arithmetic_shape(is_number, "numbers")
CLOSED = arithmetic_shape(is_number, "numbers", closed=True)
WHOLE = arithmetic_shape(is_integer, "whole numbers")
LOGIC = arithmetic_shape(is_bool, "bools")
ANY = arithmetic_shape(lambda kind: True, "anything", closed=True)


def unary(name: str, numpy: Run, derivative: Slope1 | None = None, shape: Shape = REAL) -> Op:
    """A row with one operand; `derivative(b, g, x, y)` gives what reaches x."""

    def rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
        assert derivative is not None
        return (derivative(builder, gradient, builder.args(value)[0], value),)

    return Op(name, 1, 1, shape, spread(numpy), rule if derivative else None)


def binary(name: str, numpy: Run, derivative: Slope2 | None = None, shape: Shape = REAL) -> Op:
    """A row with two operands; `derivative(b, g, (x, z), y)` gives what reaches them."""

    def rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
        assert derivative is not None
        first, second = builder.args(value)
        return derivative(builder, gradient, first, second, value)

    return Op(name, 2, 2, shape, spread(numpy), rule if derivative else None)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x) without overflow, exact in its small end too."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def softplus(x: Array) -> Array:
    """log(1 + e^x) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """The error function; numpy has none."""
    array = np.asarray(x)
    return np.asarray(_erf(array), dtype=array.dtype)


def absolute(x: Array) -> Array:
    """|x|."""
    return np.abs(x)


def power_slope(b: Builder, g: int, x: int, n: int, y: int) -> Sequence[int | None]:
    """Derivative of x^n, free of NaN for a constant n at zero and negative x."""
    constant = b.number(n)
    if constant is not None:
        if constant == 0.0:
            return (None, None)
        if constant == 1.0:
            return (g, None)
        lower = x if constant == 2.0 else b.pow(x, constant - 1.0)
        return (b.mul(g, b.mul(lower, constant)), None)
    at_base = b.mul(g, b.mul(n, b.pow(x, b.sub(n, 1.0))))
    at_exponent = b.mul(g, b.mul(y, b.log(x)))
    zero = b.zero(x)
    flat = b.eq(n, 0.0)
    return (b.select(flat, zero, at_base), b.select(b.gt(x, 0.0), at_exponent, zero))


def quotient_slope(b: Builder, g: int, x: int, z: int, y: int) -> Sequence[int | None]:
    """Derivative of x / z."""
    share = b.div(g, z)
    return (share, b.neg(b.mul(share, y)))


def larger_slope(b: Builder, g: int, x: int, z: int, y: int) -> Sequence[int | None]:
    """Derivative of maximum; a tie goes to the second operand, so that maximum(x, 0) has slope 0 at 0."""
    first = b.gt(x, z)
    return (b.select(first, g, b.zero(g)), b.select(first, b.zero(g), g))


def smaller_slope(b: Builder, g: int, x: int, z: int, y: int) -> Sequence[int | None]:
    """Derivative of minimum; a tie goes to the second operand."""
    first = b.lt(x, z)
    return (b.select(first, g, b.zero(g)), b.select(first, b.zero(g), g))


def root_slope(b: Builder, g: int, x: int, y: int) -> int:
    """Derivative of the square root, 0 at 0."""
    return b.select(b.gt(y, 0.0), b.div(g, b.mul(y, 2.0)), b.zero(g))


def select_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Derivative of select(c, a, b)."""
    chosen = builder.args(value)[0]
    zero = builder.zero(gradient)
    return (None, builder.select(chosen, gradient, zero), builder.select(chosen, zero, gradient))


def clipped_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Derivative of clipped(x, c): the gradient, kept within [-c, c]."""
    bound = builder.args(value)[1]
    return (builder.maximum(builder.minimum(gradient, bound), builder.neg(bound)), None)


def cast_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Derivative of a conversion among reals; whole numbers receive nothing."""
    source = builder.type(builder.args(value)[0])
    return (builder.cast(gradient, source.kind) if source.kind.is_real else None,)


def cast_meaning(call: Call) -> Run:
    """Conversion; from real to whole by truncation."""
    target = call.dtype(call.type.kind)

    def convert(x: Array) -> Array:
        return np.asarray(x).astype(target)

    return convert


def broadcast_meaning(call: Call) -> Run:
    """The operand repeated along new axes and dims, as a view."""
    align = aligner(call.args[0], call.type)
    shape = call.extents(call.type.axes) + call.type.dims

    def broadcast(x: Array) -> Array:
        return np.broadcast_to(x if align is None else align(x), shape)

    return broadcast


def pass_on(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Derivative of the identity."""
    return (gradient,)


UNARY = (
    unary("neg", np.negative, lambda b, g, x, y: b.neg(g), NUMBER),
    unary("exp", np.exp, lambda b, g, x, y: b.mul(g, y)),
    unary("log", np.log, lambda b, g, x, y: b.div(g, x)),
    unary("log1p", np.log1p, lambda b, g, x, y: b.div(g, b.plus(x, 1.0))),
    unary("expm1", np.expm1, lambda b, g, x, y: b.mul(g, b.plus(y, 1.0))),
    unary("sqrt", np.sqrt, lambda b, g, x, y: b.div(g, b.mul(y, 2.0))),
    unary("root", np.sqrt, root_slope),
    unary("sin", np.sin, lambda b, g, x, y: b.mul(g, b.cos(x))),
    unary("cos", np.cos, lambda b, g, x, y: b.neg(b.mul(g, b.sin(x)))),
    unary("tan", np.tan, lambda b, g, x, y: b.mul(g, b.plus(b.mul(y, y), 1.0))),
    unary("atan", np.arctan, lambda b, g, x, y: b.div(g, b.plus(b.mul(x, x), 1.0))),
    unary("tanh", np.tanh, lambda b, g, x, y: b.mul(g, b.sub(1.0, b.mul(y, y)))),
    unary("sigmoid", sigmoid, lambda b, g, x, y: b.mul(g, b.mul(y, b.sub(1.0, y)))),
    unary("softplus", softplus, lambda b, g, x, y: b.mul(g, b.sigmoid(x))),
    unary("erf", erf, lambda b, g, x, y: b.mul(g, b.mul(b.exp(b.neg(b.mul(x, x))), 2 / math.sqrt(math.pi)))),
    unary("abs", absolute, lambda b, g, x, y: b.mul(g, b.sign(x)), NUMBER),
    unary("sign", np.sign, None, NUMBER),
    unary("floor", np.floor),
    unary("not", np.logical_not, None, LOGIC),
    unary("stop", lambda x: x, None, ANY),
)

BINARY = (
    binary("add", np.add, lambda b, g, x, z, y: (g, g), NUMBER),
    binary("sub", np.subtract, lambda b, g, x, z, y: (g, b.neg(g)), NUMBER),
    binary("mul", np.multiply, lambda b, g, x, z, y: (b.mul(g, z), b.mul(g, x)), NUMBER),
    binary("div", np.divide, quotient_slope),
    binary("pow", np.power, power_slope),
    binary("minimum", np.minimum, smaller_slope, CLOSED),
    binary("maximum", np.maximum, larger_slope, CLOSED),
    binary("eq", np.equal, None, comparison_shape),
    binary("ne", np.not_equal, None, comparison_shape),
    binary("lt", np.less, None, comparison_shape),
    binary("le", np.less_equal, None, comparison_shape),
    binary("gt", np.greater, None, comparison_shape),
    binary("ge", np.greater_equal, None, comparison_shape),
    binary("and", np.logical_and, None, LOGIC),
    binary("or", np.logical_or, None, LOGIC),
    binary("idiv", np.floor_divide, None, WHOLE),
    binary("mod", np.mod, None, WHOLE),
)

OTHER = (
    Op("select", 3, 3, select_shape, spread(np.where), select_rule),
    Op("clipped", 2, 2, REAL, spread(lambda x, c: x), clipped_rule),
    Op("cast", 1, 1, cast_shape, cast_meaning, cast_rule, typed=True),
    Op("broadcast", 1, 1, broadcast_shape, broadcast_meaning, pass_on, typed=True),
)

ELEMENTWISE: tuple[Op, ...] = UNARY + BINARY + OTHER
NAMES = frozenset(op.name for op in ELEMENTWISE)
