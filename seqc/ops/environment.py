"""What the interpreter knows besides the graph: the caller's arrays, sizes, seed and counters.

Takes a leaf of a Flow; gives its array in the shape that its type promises, or a `FlowError` naming what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqc.flow.types import Axis, Value
from seqc.ops.op import Array, Call, FlowError
from seqc.ops.random import draw

Leaves = Mapping[tuple[str, str], Any]
"""Arrays by (operation, name): ("input", "x"), ("param", "W"), ("hyper", "drop"), ("carried", state), …"""


@dataclass(frozen=True, slots=True)
class Environment:
    """One call of the interpreter. `started` counts the steps that each row had seen before."""

    leaves: Leaves
    steps: int
    batch: int
    seed: int
    call: int
    started: Array
    first_row: int


Fetch = Callable[[Environment], Array]


def fetcher(value: Value, call: Call) -> Fetch:
    """A function that gives the array of a leaf."""
    if value.op == "const":
        return constant(value, call)
    if value.op in COUNTERS:
        count = COUNTERS[value.op]
        axes = value.type.axes
        return lambda env: positioned(count(env, axes), axes, call)
    if value.op == "draw":
        return lambda env: drawn(env, value, call)
    key = (value.op, str(value.attrs[0][1]) if value.attrs else "")
    shape = call.extents(value.type.axes) + value.type.dims
    dtype = call.dtype(value.type.kind)

    def fetch(env: Environment) -> Array:
        found = env.leaves.get(key)
        if found is None:
            return absent(key, shape, dtype)
        array = np.asarray(found, dtype=dtype)
        if array.shape != shape:
            raise FlowError(f"leaf {key} has the shape {array.shape}, not {shape}")
        return array if shape else array[()]

    return fetch


def constant(value: Value, call: Call) -> Fetch:
    """A number, or an array filled with it."""
    dtype = call.dtype(value.type.kind)
    number = dtype.type(value.attr("value"))
    array = np.full(value.type.dims, number, dtype=dtype) if value.type.dims else number
    return lambda env: array


def absent(key: tuple[str, str], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The array of a leaf that the caller left out: rows are fresh, inputs given, nothing trains or has stopped."""
    if key[0] in ("fresh", "given", "active"):
        return np.ones(shape, dtype=dtype)
    if key[0] in ("carried", "training"):
        return np.zeros(shape, dtype=dtype)
    raise FlowError(f"leaf {key[0]} {key[1]} is missing")


Axes = frozenset[Axis]


def instants(env: Environment, axes: Axes) -> Array:
    """Position inside this call, [T, 1]."""
    return np.arange(env.steps if Axis.TIME in axes else 1, dtype=np.int64)[:, None]


def starts(env: Environment, axes: Axes) -> Array:
    """Steps that each row had seen before, [1, B]."""
    return np.asarray(env.started, dtype=np.int64)[None, :]


def row_steps(env: Environment, axes: Axes) -> Array:
    """Each row's own step, [T, B]; without axes the number of updates so far, which the caller hands in."""
    if not axes:
        return np.full((1, 1), int(env.leaves.get(("step", ""), 0)), dtype=np.int64)
    if Axis.BATCH not in axes:
        return instants(env, axes)
    return starts(env, axes) + instants(env, axes)


def sizes_of(name: str) -> Callable[[Environment, Axes], Array]:
    """A size of the call, [1, 1]."""
    return lambda env, axes: np.full((1, 1), getattr(env, name), dtype=np.int64)


COUNTERS: Mapping[str, Callable[[Environment, Axes], Array]] = {
    "instant": instants,
    "started": starts,
    "step": row_steps,
    "steps": sizes_of("steps"),
    "rows": sizes_of("batch"),
}


def positioned(array: Array, axes: Axes, call: Call) -> Array:
    """A [T, B] array cut down or repeated to the axes of its value."""
    shape = tuple(
        size if axis in axes else 1 for axis, size in ((Axis.TIME, call.steps), (Axis.BATCH, call.batch))
    )
    return np.broadcast_to(array, shape).reshape(call.extents(axes))[()]


def drawn(env: Environment, value: Value, call: Call) -> Array:
    """Random numbers that depend on nothing but seed, call, site, step, row and element.

    A value with the axis BATCH alone is drawn at the step at which its row starts; without axes, at 0 in row 0.
    """
    type = value.type
    step = row_steps(env, type.axes) if type.axes else np.zeros((1, 1), dtype=np.int64)
    rows = np.zeros(1, dtype=np.int64)
    if Axis.BATCH in type.axes:
        rows = env.first_row + np.arange(call.batch, dtype=np.int64)
    element = np.arange(math.prod(type.dims), dtype=np.int64)
    site = value.attr("site")
    assert isinstance(site, int)
    numbers = draw(env.seed, env.call, site, step[:, :, None], rows[None, :, None], element)
    shape = call.extents(type.axes) + type.dims
    return np.asarray(numbers, dtype=call.dtype(type.kind)).reshape(shape)[()]


UNIFORM = frozenset({"const", "hyper", "step", "steps", "rows", "training"})
"""Leaves that are one number for a whole call; what follows from them alone is computed in double precision."""
