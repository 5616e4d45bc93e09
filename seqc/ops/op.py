"""What a row of the table is made of, and what rows share: the joining of types and the aligning of arrays.

Takes the types of arguments and attributes; gives the type of a result, or a `ShapeError` that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seqc.flow.types import NO_AXES, Attribute, Axis, Kind, Type

if TYPE_CHECKING:
    from seqc.ops.build import Builder

Array = Any
"""A numpy array or scalar. numpy's own types would not say more here: kind and rank are known from `Type`."""

Run = Callable[..., Array]


class FlowError(Exception):
    """A Flow that breaks its own laws: a fault of the compiler, never of the user."""


class ShapeError(FlowError):
    """Arguments that an operation does not take."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a shape rule sees: the types of the arguments, the attributes and the type asked for, if any."""

    args: tuple[Type, ...]
    attrs: Mapping[str, Attribute]
    given: Type | None = None

    def whole(self, name: str) -> int:
        """The attribute `name`, which must be a whole number."""
        value = self.attrs.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ShapeError(f"attribute {name} must be a whole number, found {value!r}")
        return value

    def wholes(self, name: str) -> tuple[int, ...]:
        """The attribute `name`, which must be a tuple of whole numbers."""
        value = self.attrs.get(name)
        if not isinstance(value, tuple):
            raise ShapeError(f"attribute {name} must be a tuple, found {value!r}")
        return value

    def text(self, name: str) -> str:
        """The attribute `name`, which must be a text."""
        value = self.attrs.get(name)
        if not isinstance(value, str):
            raise ShapeError(f"attribute {name} must be a text, found {value!r}")
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """What a numpy meaning is made for: types (inside a loop over time without TIME), attributes and sizes."""

    type: Type
    args: tuple[Type, ...]
    attrs: Mapping[str, Attribute]
    steps: int
    batch: int
    real: np.dtype[Any]

    def dtype(self, kind: Kind) -> np.dtype[Any]:
        """The element type of an array of this kind."""
        if kind is Kind.REAL:
            return self.real
        return FIXED[kind]

    def extents(self, axes: frozenset[Axis]) -> tuple[int, ...]:
        """The sizes of the axes, time first."""
        sizes = {Axis.TIME: self.steps, Axis.BATCH: self.batch}
        return tuple(sizes[axis] for axis in Axis if axis in axes)


FIXED: Mapping[Kind, np.dtype[Any]] = {
    Kind.F32: np.dtype(np.float32),
    Kind.F64: np.dtype(np.float64),
    Kind.INT: np.dtype(np.int64),
    Kind.INDEX: np.dtype(np.int64),
    Kind.BOOL: np.dtype(np.bool_),
}

Shape = Callable[[Request], Type]
Meaning = Callable[[Call], Run]
Derivative = Callable[["Builder", int, int], Sequence[int | None]]
"""(builder, value, its gradient) → what each argument receives, before `build.sum_to` cuts it down to the argument."""


@dataclass(frozen=True, slots=True)
class Op:
    """One row. `fewest` and `most` count arguments; `attrs` must be there; `typed`: its author gives the type.

    `meaning` is None for leaves, which the interpreter reads from its environment; `derivative` is None where no
    gradient passes.
    """

    name: str
    fewest: int
    most: int | None
    shape: Shape
    meaning: Meaning | None = None
    derivative: Derivative | None = None
    attrs: tuple[str, ...] = ()
    typed: bool = False


def join_axes(types: Sequence[Type]) -> frozenset[Axis]:
    """The union of all axes."""
    return NO_AXES.union(*(each.axes for each in types))


def join_dims(types: Sequence[Type]) -> tuple[int, ...]:
    """The one shape that all arguments with dims have; a scalar goes with anything."""
    found: tuple[int, ...] = ()
    for each in types:
        if each.dims and found and each.dims != found:
            raise ShapeError(f"dims {list(found)} and {list(each.dims)} do not go together")
        found = found or each.dims
    return found


def join_kind(types: Sequence[Type]) -> tuple[Kind, int | None]:
    """The kind that all arguments share, with the bound of an index; mixed integers are INT."""
    kinds = [each.kind for each in types]
    if all(kind is kinds[0] for kind in kinds):
        bounds = [each.bound for each in types]
        known = [bound for bound in bounds if bound is not None]
        return kinds[0], max(known) if len(known) == len(bounds) else None
    if all(kind.is_integer for kind in kinds):
        return Kind.INT, None
    names = ", ".join(kind.value for kind in kinds)
    raise ShapeError(f"kinds {names} do not go together")


def expect_kind(each: Type, allowed: Callable[[Kind], bool], what: str) -> None:
    """Raise unless the kind is one of those allowed."""
    if not allowed(each.kind):
        raise ShapeError(f"takes {what}, found {each.kind.value}")


def kept_axes(request: Request, union: frozenset[Axis]) -> frozenset[Axis]:
    """The axes of a result that may sum some away: those of the given type, or all."""
    if request.given is None:
        return union
    if not request.given.axes <= union:
        raise ShapeError("the result has an axis that no argument has")
    return request.given.axes


def aligner(source: Type, target: Type) -> Run | None:
    """A function that brings an array of type `source` in a position to broadcast against `target`; None if it is so already.

    Only indexing with new axes of length one: elements are never copied.
    """
    index: list[object] = []
    for axis in Axis:
        if axis in source.axes:
            index.append(slice(None))
        elif axis in target.axes:
            index.append(None)
    while index and index[0] is None:
        index.pop(0)
    if source.dims == target.dims:
        fill: list[object] = [slice(None)] * len(source.dims)
    else:
        fill = [None] * len(target.dims) if index else []
    if source.dims != target.dims and source.dims:
        raise ShapeError(f"cannot align {source} with {target}")
    index += fill
    if None not in index:
        return None
    chosen = tuple(index)

    def align(array: Array) -> Array:
        return array[chosen]

    return align
