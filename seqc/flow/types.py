"""The records of Flow: types, values, states and the graph itself.

A Flow describes one instant of one sequence. Batch and time never stand in `dims`; they are *axes*. An array
that holds a value has the shape `[T, B, *dims]`, without `T` or `B` where the value lacks that axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType


class Kind(Enum):
    """The kind of one element. REAL takes the precision of the build; F32 and F64 are fixed."""

    REAL = "real"
    F32 = "f32"
    F64 = "f64"
    INT = "int"
    INDEX = "index"
    BOOL = "bool"

    @property
    def is_real(self) -> bool:
        return self in (Kind.REAL, Kind.F32, Kind.F64)

    @property
    def is_integer(self) -> bool:
        return self in (Kind.INT, Kind.INDEX)


class Axis(Enum):
    """An axis that the compiler adds; TIME stands before BATCH in every array."""

    TIME = "time"
    BATCH = "batch"


class Way(Enum):
    """The direction in which a state runs through time."""

    FORWARD = "forward"
    BACKWARD = "backward"


NO_AXES: frozenset[Axis] = frozenset()
ONCE: frozenset[Axis] = frozenset({Axis.BATCH})
STREAM: frozenset[Axis] = frozenset({Axis.TIME, Axis.BATCH})


@dataclass(frozen=True, slots=True)
class Type:
    """Element kind, sizes, axes; `bound` is the exclusive upper bound of an INDEX."""

    kind: Kind
    dims: tuple[int, ...] = ()
    axes: frozenset[Axis] = NO_AXES
    bound: int | None = None

    @property
    def size(self) -> int:
        """Number of elements at one instant of one sequence."""
        total = 1
        for dim in self.dims:
            total *= dim
        return total

    def with_axes(self, axes: frozenset[Axis]) -> Type:
        return Type(self.kind, self.dims, axes, self.bound)

    def __str__(self) -> str:
        kind = self.kind.value if self.bound is None else f"{self.kind.value}({self.bound})"
        dims = f"[{', '.join(map(str, self.dims))}]" if self.dims else ""
        names = ",".join(axis.value for axis in Axis if axis in self.axes)
        return f"{kind}{dims} {{{names}}}" if names else f"{kind}{dims}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: `file:line` of the source and a name that its author would know."""

    place: str = ""
    name: str = ""

    def __str__(self) -> str:
        return "  ".join(part for part in (self.place, self.name) if part)


Attribute = int | float | bool | str | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Value:
    """One value: `op` is a key of the table in `ops.table`, `args` are indices of earlier values."""

    op: str
    args: tuple[int, ...]
    attrs: tuple[tuple[str, Attribute], ...]
    type: Type
    origin: Origin = field(default=Origin(), compare=False)

    def attr(self, name: str) -> Attribute:
        """The attribute `name`; KeyError if the value does not carry it."""
        for key, value in self.attrs:
            if key == name:
                return value
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class State:
    """A recurrence: `prev` of it is `init` at the first step in its way, and `next` of the step before afterwards.

    `name` is the dotted name that its owner sees (`logits.lstm1.h`); `carried` says whether it lives on between
    calls. `type` is that of `prev` (axes TIME and BATCH), of `next` and, without TIME, of `init`.
    The leaf `prev` (attribute `state`: index into `Flow.states`) reads it, `final` gives its value after the last step.
    """

    name: str
    init: int
    next: int
    way: Way
    type: Type
    carried: bool = True


@dataclass(frozen=True, slots=True)
class Flow:
    """A graph. Arguments stand before their users, except that `prev` and `final` name a state by number.

    `roots` names what is wanted, in order; see `lower.program` for the names in use.
    """

    values: tuple[Value, ...]
    states: tuple[State, ...]
    roots: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "roots", MappingProxyType(dict(self.roots)))
