"""What a rule may know of a value: the constant that it is, the operation that made it.

Takes a builder and the index of a value of the new graph.
"""

from __future__ import annotations

from seqc.ops.build import Builder


def below(builder: Builder, index: int) -> int:
    """The value below broadcasts."""
    while builder.value(index).op == "broadcast":
        index = builder.args(index)[0]
    return index


def known(builder: Builder, index: int) -> float | int | bool | None:
    """The number of a constant, of any kind, seen through broadcasts."""
    value = builder.value(below(builder, index))
    if value.op != "const":
        return None
    number = value.attr("value")
    return number if isinstance(number, int | float) else None


def is_op(builder: Builder, index: int, op: str) -> bool:
    """Whether a value is made by this operation."""
    return builder.value(index).op == op


def equals(builder: Builder, index: int, number: float | bool) -> bool:
    """Whether a value is this constant."""
    return known(builder, index) == number
