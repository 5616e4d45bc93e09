"""Rows that move elements without changing them: concat, stack, reshape, transpose, and time turned round.

Takes arrays of one kind; gives the same elements in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqc.flow.types import ONCE, Axis, Kind, Type
from seqc.ops.op import Array, Call, Op, Request, Run, ShapeError, aligner, join_axes, join_kind

if TYPE_CHECKING:
    from seqc.ops.build import Builder


def concat_shape(request: Request) -> Type:
    """Sizes added along one dimension, all others equal."""
    dim = request.whole("dim")
    first = request.args[0].dims
    if not 0 <= dim < len(first):
        raise ShapeError(f"dim {dim} is outside {list(first)}")
    for each in request.args:
        if each.dims[:dim] + each.dims[dim + 1 :] != first[:dim] + first[dim + 1 :]:
            raise ShapeError(f"{list(first)} and {list(each.dims)} differ beside dim {dim}")
        if len(each.dims) != len(first):
            raise ShapeError(f"{list(first)} and {list(each.dims)} differ in rank")
    kind, bound = join_kind(request.args)
    dims = (*first[:dim], sum(each.dims[dim] for each in request.args), *first[dim + 1 :])
    return Type(kind, dims, join_axes(request.args), bound)


def spread_axes(call: Call) -> list[Run]:
    """For each operand a function that gives it all axes of the result, as a view."""

    def spread(each: Type) -> Run:
        full = call.extents(call.type.axes) + each.dims
        align = aligner(each, Type(each.kind, each.dims, call.type.axes))
        if each.axes == call.type.axes:
            return lambda array: array
        return lambda array: np.broadcast_to(array if align is None else align(array), full)

    return [spread(each) for each in call.args]


def concat_meaning(call: Call) -> Run:
    """numpy's concatenate behind the axes."""
    spreads = spread_axes(call)
    dim = call.attrs["dim"]
    assert isinstance(dim, int)
    where = len(call.type.axes) + dim

    def run(*arrays: Array) -> Array:
        return np.concatenate(
            [spread(array) for spread, array in zip(spreads, arrays, strict=True)], axis=where
        )

    return run


def concat_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Each operand receives its own stretch."""
    dim, start = builder.whole(value, "dim"), 0
    parts: list[int | None] = []
    for arg in builder.args(value):
        size = builder.type(arg).dims[dim]
        parts.append(builder.pick(gradient, dim, tuple(range(start, start + size))))
        start += size
    return parts


def stack_shape(request: Request) -> Type:
    """A vector of as many elements as there are operands."""
    if any(each.dims for each in request.args):
        raise ShapeError("takes scalars")
    kind, bound = join_kind(request.args)
    return Type(kind, (len(request.args),), join_axes(request.args), bound)


def stack_meaning(call: Call) -> Run:
    """numpy's stack along a new last dimension."""
    spreads = spread_axes(call)

    def run(*arrays: Array) -> Array:
        return np.stack([spread(array) for spread, array in zip(spreads, arrays, strict=True)], axis=-1)

    return run


def stack_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Each operand receives its own element."""
    return [builder.pick(gradient, 0, (place,), drop=True) for place in range(len(builder.args(value)))]


def reshape_shape(request: Request) -> Type:
    """The dims of the given type, with as many elements."""
    given, source = request.given, request.args[0]
    if given is None:
        raise ShapeError("needs an explicit type")
    if math.prod(given.dims) != math.prod(source.dims):
        raise ShapeError(f"{source} does not have {math.prod(given.dims)} elements")
    return Type(source.kind, given.dims, source.axes, source.bound)


def reshape_meaning(call: Call) -> Run:
    """numpy's reshape behind the axes."""
    shape = call.extents(call.type.axes) + call.type.dims
    return lambda x: np.reshape(x, shape)


def reshape_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Back to the dims of the operand."""
    return (builder.reshape(gradient, builder.type(builder.args(value)[0]).dims),)


def transpose_shape(request: Request) -> Type:
    """Dims in the order that the attribute states."""
    source, order = request.args[0], request.wholes("order")
    if sorted(order) != list(range(len(source.dims))):
        raise ShapeError(f"order {order} does not fit {source}")
    return Type(source.kind, tuple(source.dims[place] for place in order), source.axes, source.bound)


def transpose_meaning(call: Call) -> Run:
    """numpy's transpose behind the axes."""
    axes, order = len(call.type.axes), call.attrs["order"]
    assert isinstance(order, tuple)
    turn = (*range(axes), *(axes + place for place in order))
    return lambda x: np.transpose(x, turn)


def transpose_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """The inverse order."""
    order = builder.wholes(value, "order")
    inverse = tuple(order.index(place) for place in range(len(order)))
    return (builder.add("transpose", gradient, order=inverse),)


def reverse_shape(request: Request) -> Type:
    """The type of the operand, with BATCH where rows have lengths of their own."""
    source = request.args[0]
    for lengths in request.args[1:]:
        if lengths.kind is not Kind.INT or lengths.dims or not lengths.axes <= ONCE:
            raise ShapeError(f"takes lengths of type int {{batch}}, found {lengths}")
    return Type(source.kind, source.dims, join_axes(request.args), source.bound)


def reverse_meaning(call: Call) -> Run:
    """Step t reads step n - 1 - t of its row; steps past the end stay."""
    spread = spread_axes(call)[0]
    if Axis.TIME not in call.type.axes:
        return lambda x, lengths=None: spread(x)
    if len(call.args) == 1:
        return lambda x: x[::-1]
    steps = np.arange(call.steps)[:, None]
    rows = np.arange(call.batch if Axis.BATCH in call.type.axes else 1)
    own = Axis.BATCH in call.type.axes

    def run(x: Array, lengths: Array) -> Array:
        source = np.where(steps < lengths, lengths - 1 - steps, steps)
        return spread(x)[source, rows] if own else x[source[:, 0]]

    return run


def reverse_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """The gradient, turned round again."""
    lengths = builder.args(value)[1:]
    return (builder.add("reverse", gradient, *lengths), *(None for _ in lengths))


LAYOUT = (
    Op("concat", 1, None, concat_shape, concat_meaning, concat_rule, attrs=("dim",)),
    Op("stack", 1, None, stack_shape, stack_meaning, stack_rule),
    Op("reshape", 1, 1, reshape_shape, reshape_meaning, reshape_rule, typed=True),
    Op("transpose", 1, 1, transpose_shape, transpose_meaning, transpose_rule, attrs=("order",)),
    Op("reverse", 1, 2, reverse_shape, reverse_meaning, reverse_rule),
)
