"""The rules of the table applied: the type of a result, and attributes in their order.

Takes an operation, the types of its arguments and its attributes; gives the type or a `ShapeError` naming them.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.flow.types import Attribute, Type
from seqc.ops.op import FlowError, Request, ShapeError
from seqc.ops.table import TABLE


def result_type(op: str, args: tuple[Type, ...], attrs: Mapping[str, Attribute], given: Type | None) -> Type:
    """The type of an operation's result; ShapeError naming the operation where something does not fit."""
    row = TABLE.get(op)
    if row is None:
        raise FlowError(f"there is no operation {op}")
    try:
        if len(args) < row.fewest or (row.most is not None and len(args) > row.most):
            raise ShapeError(f"does not take {len(args)} arguments")
        for name in row.attrs:
            if name not in attrs:
                raise ShapeError(f"needs the attribute {name}")
        found = row.shape(Request(args, attrs, given))
        if given is not None and found != given:
            raise ShapeError(f"gives {found}, not {given}")
    except ShapeError as error:
        shown = ", ".join(map(str, args))
        raise ShapeError(f"{op}({shown}): {error}") from None
    return found


def ordered(op: str, attrs: Mapping[str, Attribute]) -> tuple[tuple[str, Attribute], ...]:
    """Attributes in the order of the table, others behind them by name, so that equal values compare equal."""
    known = TABLE[op].attrs
    rest = sorted(name for name in attrs if name not in known)
    return tuple((name, attrs[name]) for name in (*known, *rest))
