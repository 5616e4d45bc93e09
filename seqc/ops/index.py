"""Rows that choose: gather and scatter by an index, pick and place by fixed positions, and the drawing of a category.

gather and scatter are each other's derivative, as are pick and place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqc.flow.types import Axis, Kind, Type
from seqc.ops.op import Array, Call, Op, Request, Run, ShapeError, aligner, expect_kind, join_axes, kept_axes

if TYPE_CHECKING:
    from seqc.ops.build import Builder


def expect_position(each: Type) -> None:
    """Raise unless the type is that of one index."""
    if not each.kind.is_integer or each.dims:
        raise ShapeError(f"takes an index without dims, found {each}")


def gather_shape(request: Request) -> Type:
    """x[k]: dims without the first."""
    source, position = request.args
    expect_position(position)
    if not source.dims:
        raise ShapeError(f"takes an array with dims, found {source}")
    return Type(source.kind, source.dims[1:], join_axes(request.args), source.bound)


def gather_meaning(call: Call) -> Run:
    """x[k]; NaN where k is outside (0 for kinds that have no NaN)."""
    source, position = call.args
    size = source.dims[0]
    missing = math.nan if source.kind.is_real else 0
    rest = len(source.dims) - 1
    axes = call.type.axes
    trailing = (slice(None),) * len(position.axes) + (None,) * rest
    lift_k = aligner(position, Type(position.kind, (), axes))
    widen = (Ellipsis,) + (None,) * rest

    def plain(x: Array, k: Array) -> Array:
        inside = (k >= 0) & (k < size)
        rows = np.take(x, np.where(inside, k, 0), axis=0)
        return rows if np.all(inside) else np.where(np.asarray(inside)[trailing], rows, x.dtype.type(missing))

    if not source.axes:
        return plain
    lift_x = aligner(source, Type(source.kind, source.dims, axes))
    depth = len(axes)

    def aligned(x: Array, k: Array) -> Array:
        array = x if lift_x is None else lift_x(x)
        array = array.reshape((1,) * (depth + rest + 1 - array.ndim) + array.shape)
        place = np.asarray(k if lift_k is None else lift_k(k))
        place = place.reshape((1,) * (depth - place.ndim) + place.shape)
        inside = (place >= 0) & (place < size)
        chosen = np.where(inside, place, 0)[..., None][widen]
        rows = np.take_along_axis(array, chosen, axis=depth).squeeze(depth)
        return np.where(inside[widen], rows, array.dtype.type(missing))

    return aligned


def gather_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """The gradient goes back to the row it came from."""
    source, position = builder.args(value)
    type = builder.type(source)
    axes = type.axes & (builder.type(gradient).axes | builder.type(position).axes)
    return (builder.scatter(position, gradient, type.dims[0], axes=axes), None)


def scatter_shape(request: Request) -> Type:
    """[size, *dims of g]; axes of the given type, or the union."""
    position, source = request.args
    expect_position(position)
    expect_kind(source, lambda kind: kind.is_real, "reals")
    return Type(
        source.kind, (request.whole("size"), *source.dims), kept_axes(request, join_axes(request.args))
    )


def scatter_meaning(call: Call) -> Run:
    """Rows are sorted by where they go and summed in runs: the order of addition is that of time and batch."""
    position, source = call.args
    size = call.type.dims[0]
    union = join_axes(call.args)
    kept = [axis for axis in Axis if axis in call.type.axes]
    order = [axis for axis in Axis if axis in union]
    full = call.extents(union)
    lift_k = aligner(position, Type(position.kind, (), union))
    lift_g = aligner(source, Type(source.kind, source.dims, union))
    cells = math.prod(call.extents(call.type.axes))
    shape = (*call.extents(call.type.axes), size, *source.dims)
    base = np.zeros((), dtype=np.int64)
    for axis in kept:
        count = call.extents(frozenset({axis}))[0]
        index = np.arange(count).reshape([count if each is axis else 1 for each in order])
        base = base * count + index

    def run(k: Array, g: Array) -> Array:
        place = np.broadcast_to(k if lift_k is None else lift_k(k), full)
        rows = np.broadcast_to(g if lift_g is None else lift_g(g), (*full, *source.dims))
        flat = np.where((place >= 0) & (place < size), base * size + place, -1).reshape(-1)
        rows = rows.reshape((flat.size, -1))
        arrangement = np.argsort(flat, kind="stable")
        arrangement = arrangement[int(np.count_nonzero(flat < 0)) :]
        result = np.zeros((cells * size, rows.shape[1]), dtype=rows.dtype)
        if arrangement.size:
            targets = flat[arrangement]
            starts = np.flatnonzero(np.concatenate(([True], targets[1:] != targets[:-1])))
            result[targets[starts]] = np.add.reduceat(rows[arrangement], starts, axis=0)
        return result.reshape(shape)

    return run


def scatter_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Each row reads where it was added; where it was not, nothing."""
    position = builder.args(value)[0]
    rows = builder.add("gather", gradient, position)
    missing = builder.lt(position, builder.const(0, builder.type(position).kind))
    return (None, builder.select(missing, builder.zero(rows), rows))


def chosen(request: Request, size: int) -> tuple[tuple[int, ...], bool]:
    """The attributes `indices` and `drop`, checked against the size of their dimension."""
    indices, drop = request.wholes("indices"), request.attrs.get("drop")
    if not isinstance(drop, bool) or (drop and len(indices) != 1) or not indices:
        raise ShapeError(f"drop = {drop!r} does not fit indices {indices}")
    if not all(0 <= index < size for index in indices):
        raise ShapeError(f"an index of {indices} is outside [0, {size})")
    return indices, drop


def checked_dim(request: Request, dims: tuple[int, ...]) -> int:
    """The attribute `dim`, which must be a position in dims."""
    dim = request.whole("dim")
    if not 0 <= dim < len(dims):
        raise ShapeError(f"dim {dim} is outside {list(dims)}")
    return dim


def pick_shape(request: Request) -> Type:
    """One dimension cut down to its chosen indices, or dropped."""
    source = request.args[0]
    dim = checked_dim(request, source.dims)
    indices, drop = chosen(request, source.dims[dim])
    middle = () if drop else (len(indices),)
    return Type(source.kind, source.dims[:dim] + middle + source.dims[dim + 1 :], source.axes, source.bound)


def selector(call: Call, full: Type) -> tuple[Any, ...]:
    """The numpy index of the chosen positions in an array of type `full`; a slice where they run on."""
    indices, dim = call.attrs["indices"], call.attrs["dim"]
    assert isinstance(indices, tuple) and isinstance(dim, int)
    lead = (slice(None),) * (len(full.axes) + dim)
    if call.attrs["drop"]:
        return (*lead, indices[0])
    first = indices[0]
    if indices == tuple(range(first, first + len(indices))):
        return (*lead, slice(first, first + len(indices)))
    return (*lead, np.array(indices))


def pick_meaning(call: Call) -> Run:
    """Indexing."""
    index = selector(call, call.args[0])
    return lambda x: x[index]


def pick_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """Zeros around the gradient; where an element was picked more than once, the sum of what reaches it."""
    attrs = dict(builder.value(value).attrs)
    size = builder.type(builder.args(value)[0]).dims[builder.whole(value, "dim")]
    indices = attrs["indices"]
    assert isinstance(indices, tuple)
    rounds = distinct(indices)
    if len(rounds) == 1:
        return (builder.put("place", (gradient,), {**attrs, "size": size}),)
    total: int | None = None
    for positions in rounds:
        part = builder.put("pick", (gradient,), {**attrs, "indices": positions})
        chosen = tuple(indices[each] for each in positions)
        placed = builder.put("place", (part,), {**attrs, "indices": chosen, "size": size})
        total = placed if total is None else builder.plus(total, placed)
    return (total,)


def distinct(indices: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The positions of a list of indices in rounds, in each of which no index comes twice."""
    rounds: list[list[int]] = []
    seen: dict[int, int] = {}
    for position, index in enumerate(indices):
        number = seen.get(index, 0)
        seen[index] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(position)
    return [tuple(each) for each in rounds]


def place_shape(request: Request) -> Type:
    """One dimension widened to `size`, or put in."""
    source = request.args[0]
    size, dim = request.whole("size"), request.whole("dim")
    indices, drop = chosen(request, size)
    rest = source.dims[dim:] if drop else source.dims[dim + 1 :]
    if not 0 <= dim <= len(source.dims) - (0 if drop else 1):
        raise ShapeError(f"dim {dim} is outside {list(source.dims)}")
    if not drop and source.dims[dim] != len(indices):
        raise ShapeError(f"{len(indices)} indices for {source}")
    if len(set(indices)) != len(indices):
        raise ShapeError(f"an index of {indices} comes twice")
    expect_kind(source, lambda kind: kind is not Kind.BOOL, "numbers")
    return Type(source.kind, (*source.dims[:dim], size, *rest), source.axes, source.bound)


def place_meaning(call: Call) -> Run:
    """Zeros, and the operand at its positions."""
    index = selector(call, call.type)
    dim = call.attrs["dim"]
    assert isinstance(dim, int)
    where = len(call.type.axes) + dim

    def run(g: Array) -> Array:
        lead = g.shape[:where]
        result = np.zeros((*lead, call.type.dims[dim], *call.type.dims[dim + 1 :]), dtype=g.dtype)
        result[index] = g
        return result

    return run


def place_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """The gradient at the positions."""
    attrs = {name: each for name, each in builder.value(value).attrs if name != "size"}
    return (builder.put("pick", (gradient,), attrs),)


def categorical_shape(request: Request) -> Type:
    """An index into the vector of logits."""
    logits, temperature, uniform = request.args
    if len(logits.dims) != 1:
        raise ShapeError(f"takes a vector, found {logits}")
    for each in request.args:
        expect_kind(each, lambda kind: kind.is_real, "reals")
    if temperature.dims or uniform.dims:
        raise ShapeError("takes scalars beside the vector")
    return Type(Kind.INDEX, (), join_axes(request.args), logits.dims[0])


def categorical_meaning(call: Call) -> Run:
    """The first place where the running sum of the weights passes u times their total."""
    vector = Type(Kind.REAL, call.args[0].dims, call.type.axes)
    lifts = [aligner(each, vector) for each in call.args]
    shape = call.extents(call.type.axes)
    last = call.args[0].dims[0] - 1

    def run(z: Array, temperature: Array, u: Array) -> Array:
        arrays = (z, temperature, u)
        z, temperature, u = (a if lift is None else lift(a) for a, lift in zip(arrays, lifts, strict=True))
        shifted = z - np.max(z, axis=-1, keepdims=True)
        greedy = np.logical_not(temperature > 0)
        weights = np.exp(shifted / np.where(greedy, np.ones_like(temperature), temperature))
        running = np.cumsum(weights, axis=-1)
        passed = running > u * running[..., -1:]
        drawn = np.minimum(np.sum(np.logical_not(passed), axis=-1), last)
        best = np.argmax(z, axis=-1)
        flat = greedy[..., 0] if np.ndim(greedy) else greedy
        return np.broadcast_to(np.where(flat, best, drawn), shape)

    return run


INDEX = (
    Op("gather", 2, 2, gather_shape, gather_meaning, gather_rule),
    Op("scatter", 2, 2, scatter_shape, scatter_meaning, scatter_rule, attrs=("size",), typed=True),
    Op("pick", 1, 1, pick_shape, pick_meaning, pick_rule, attrs=("dim", "indices", "drop")),
    Op("place", 1, 1, place_shape, place_meaning, place_rule, attrs=("dim", "indices", "size", "drop")),
    Op("categorical", 3, 3, categorical_shape, categorical_meaning),
)
