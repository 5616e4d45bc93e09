"""Rows that make one element of many: sum, maximum and minimum over dims and axes, and the place of the largest.

Takes arrays of any type; what is absent in the result type is reduced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqc.flow.types import Axis, Kind, Type
from seqc.ops.op import Array, Call, Op, Request, Run, ShapeError, expect_kind, kept_axes

if TYPE_CHECKING:
    from seqc.ops.build import Builder

REDUCERS: Mapping[str, Run] = {"sum": np.sum, "max": np.max, "min": np.min}


def reduce_shape(request: Request) -> Type:
    """The dims left, and the axes of the given type, or all."""
    source = request.args[0]
    expect_kind(source, lambda kind: kind is not Kind.BOOL, "numbers")
    if request.text("how") not in REDUCERS:
        raise ShapeError(f"how is one of {', '.join(REDUCERS)}")
    removed = request.wholes("dims")
    if len(set(removed)) != len(removed) or not all(0 <= place < len(source.dims) for place in removed):
        raise ShapeError(f"cannot remove dims {removed} of {source}")
    dims = tuple(size for place, size in enumerate(source.dims) if place not in removed)
    summed = request.text("how") == "sum" and source.kind is Kind.INDEX
    kind, bound = (Kind.INT, None) if summed else (source.kind, source.bound)
    return Type(kind, dims, kept_axes(request, source.axes), bound)


def reduce_meaning(call: Call) -> Run:
    """numpy's reduction over the positions that are absent in the result."""
    source = call.args[0]
    axes = [axis for axis in Axis if axis in source.axes]
    removed = call.attrs["dims"]
    assert isinstance(removed, tuple)
    gone = [place for place, axis in enumerate(axes) if axis not in call.type.axes]
    gone += [len(axes) + place for place in removed]
    if not gone:
        return lambda x: x
    positions = tuple(gone)
    reducer = REDUCERS[str(call.attrs["how"])]

    def run(x: Array) -> Array:
        if x.size == 0:
            shape = [size for place, size in enumerate(x.shape) if place not in positions]
            return np.zeros(shape, dtype=x.dtype)
        return reducer(x, axis=positions)

    return run


def reduce_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Sum: to every element; maximum and minimum: to those that equal it."""
    source = builder.args(value)[0]
    type = builder.type(source)
    removed = builder.wholes(value, "dims")
    spread = unreduced(builder, gradient, type, removed)
    if builder.text(value, "how") == "sum":
        return (spread,)
    chosen = builder.eq(source, unreduced(builder, value, type, removed))
    return (builder.select(chosen, spread, builder.zero(spread)),)


def unreduced(builder: Builder, value: int, type: Type, removed: tuple[int, ...]) -> int:
    """`value` repeated over the dims and axes that a reduction of `type` has removed."""
    kept = builder.type(value)
    if kept.dims and kept.dims != type.dims:
        letters = [chr(ord("a") + place) for place in range(len(type.dims))]
        gone = "".join(letters[place] for place in removed)
        left = "".join(letter for place, letter in enumerate(letters) if place not in removed)
        ones = builder.const(1.0, type.kind, tuple(type.dims[place] for place in removed))
        value = builder.contract(f"{left},{gone}->{''.join(letters)}", value, ones)
    return builder.broadcast(value, Type(type.kind, type.dims, type.axes, type.bound))


def argmax_shape(request: Request) -> Type:
    """An index into a vector."""
    source = request.args[0]
    expect_kind(source, lambda kind: kind is not Kind.BOOL, "numbers")
    if len(source.dims) != 1:
        raise ShapeError(f"takes a vector, found {source}")
    return Type(Kind.INDEX, (), source.axes, source.dims[0])


def argmax_meaning(call: Call) -> Run:
    """The first place of the largest element."""
    return lambda x: np.argmax(x, axis=-1)


REDUCE = (
    Op("reduce", 1, 1, reduce_shape, reduce_meaning, reduce_rule, attrs=("how", "dims"), typed=True),
    Op("argmax", 1, 1, argmax_shape, argmax_meaning),
)
