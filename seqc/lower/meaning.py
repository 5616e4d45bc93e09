"""What an expression can mean while a program is lowered: a number, a value of the graph, a function, a cell, a layer.

Numbers stay numbers until they meet a value, so that literals take the kind of what they meet and sizes are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from seqc.source.span import Span
from seqc.syntax import tree

if TYPE_CHECKING:
    from seqc.lower.body import Body
    from seqc.lower.cells import Instance
    from seqc.lower.names import Module


class Poisoned(Exception):
    """Something read here already has its message; whoever reads it stays silent."""


class NotYet(Exception):
    """A port was asked for before the layer was called: the reader has to call it first."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number (or truth value) known to the compiler."""

    value: int | float | bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector of numbers known to the compiler: a shape, indices, or constants."""

    values: tuple[int | float | bool, ...]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A value of the graph."""

    index: int


@dataclass(frozen=True, slots=True)
class Several:
    """The results of a call with more than one, by the names of its ports; stands right of as many names only."""

    names: tuple[str, ...]
    items: tuple[Meaning, ...]


INITIALISERS = ("zeros", "ones", "eye", "glorot", "orthogonal", "legendre")


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function, reducer or initialiser that the compiler knows."""

    name: str


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A `fn` and the file that it stands in."""

    node: tree.Fn
    module: Module


@dataclass(frozen=True, slots=True)
class CellName:
    """A `cell`, not yet given its sizes."""

    node: tree.Cell
    module: Module


@dataclass(frozen=True, slots=True)
class OptimizerName:
    """An `optimizer`; stands in a `train` record only."""

    node: tree.Optimizer
    module: Module


@dataclass(slots=True, eq=False)
class Closure:
    """The right side of an override, read where it is written and only once."""

    path: tuple[tree.Name, ...]
    value: tree.Expression
    body: Body
    memo: Meaning | None = None
    used: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CellValue:
    """A cell with its sizes, overrides and scope; every layer bound to it is a fresh instance."""

    node: tree.Cell
    module: Module
    statics: dict[str, Meaning]
    overrides: tuple[Closure, ...]
    span: Span = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class LayerOf:
    """A named instance."""

    instance: Instance


Meaning: TypeAlias = (
    Number
    | Numbers
    | Dynamic
    | Several
    | Builtin
    | UserFunction
    | CellName
    | OptimizerName
    | CellValue
    | LayerOf
)


def kind_word(meaning: Meaning) -> str:
    """What a meaning is, with its article, for messages."""
    if isinstance(meaning, Number):
        return "a number"
    if isinstance(meaning, Numbers):
        return "a vector of numbers"
    if isinstance(meaning, Dynamic):
        return "a value"
    if isinstance(meaning, Several):
        return f"{len(meaning.items)} results"
    if isinstance(meaning, Builtin) and meaning.name in INITIALISERS:
        return "an initialiser"
    if isinstance(meaning, Builtin | UserFunction):
        return "a function"
    if isinstance(meaning, CellName | CellValue):
        return "a cell"
    if isinstance(meaning, OptimizerName):
        return "an optimizer"
    return "a layer"
