"""The expression nodes of the Tree and the base of all nodes. Read them through `tree`, whose table explains each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from seqc.source.span import Span

DEPTH_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Node:
    """Any node; `span` is where it stands."""

    span: Span = field(repr=False)


@dataclass(frozen=True, slots=True)
class Name(Node):
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: int | float
    text: str

    @property
    def is_integer(self) -> bool:
        return isinstance(self.value, int)


@dataclass(frozen=True, slots=True)
class String(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Reference(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Prev(Node):
    name: Name


@dataclass(frozen=True, slots=True)
class Vector(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    value: Expression
    name: Name


@dataclass(frozen=True, slots=True)
class Slice(Node):
    low: Expression | None
    high: Expression | None


@dataclass(frozen=True, slots=True)
class Pick(Node):
    value: Expression
    indices: tuple[Expression | Slice, ...]


@dataclass(frozen=True, slots=True)
class Override(Node):
    path: tuple[Name, ...]
    value: Expression

    @property
    def dotted(self) -> str:
        return ".".join(name.text for name in self.path)


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: Expression
    arguments: tuple[Expression | Override, ...]

    @property
    def positional(self) -> tuple[Expression, ...]:
        return tuple(each for each in self.arguments if not isinstance(each, Override))

    @property
    def overrides(self) -> tuple[Override, ...]:
        return tuple(each for each in self.arguments if isinstance(each, Override))


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    function: Expression
    value: Expression
    axes: tuple[Name, ...]
    where: Expression | None


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Expression
    right: Expression
    operator_span: Span = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    value: Expression
    stages: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choose(Node):
    condition: Expression
    then: Expression
    otherwise: Expression


Expression: TypeAlias = (
    Number
    | String
    | Reference
    | Prev
    | Vector
    | Member
    | Pick
    | Call
    | Reduce
    | Unary
    | Binary
    | Pipe
    | Choose
)
