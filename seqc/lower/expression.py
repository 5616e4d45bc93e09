"""The meaning of an expression in a body.

Takes a Tree node; gives a meaning, adding values to the graph as it goes. Names are looked up in the body, then in its
file, then in the prelude, then among the built-in ones; calls are left to `calls`, reductions to `reducers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqc.flow.types import Kind
from seqc.lower import calls, parts, reducers, scope
from seqc.lower.arithmetic import (
    as_value,
    binary,
    brief,
    describe,
    logical,
    negative,
    shown,
    type_of,
)
from seqc.lower.body import Body
from seqc.lower.builtins import matmul, not_lifted
from seqc.lower.meaning import Dynamic, Meaning, Number, Numbers
from seqc.lower.sizes import size
from seqc.ops.op import ShapeError
from seqc.source.diagnostic import Label, fail
from seqc.source.span import Span
from seqc.syntax import tree

PICK_LIMIT = 2**20


def evaluate(body: Body, node: tree.Expression) -> Meaning:
    """The meaning of an expression."""
    builder = body.shop.builder
    before = builder.span, builder.body
    builder.span, builder.body = node.span, body
    try:
        return HANDLERS[type(node)](body, node)
    except ShapeError as error:
        raise fail("S0304", "this does not fit", node.span, str(error), hint=None) from None
    finally:
        builder.span, builder.body = before


def _number(body: Body, node: tree.Number) -> Meaning:
    return Number(node.value)


def _string(body: Body, node: tree.String) -> Meaning:
    raise fail(
        "S0204",
        "a text is not a value",
        node.span,
        "stands in a record only",
        hint="symbols are numbers: `index(V)`",
    )


def _reference(body: Body, node: tree.Reference) -> Meaning:
    return scope.find(body, node.name, node.span)


def _prev(body: Body, node: tree.Prev) -> Meaning:
    return scope.previous(body, node.name)


def _member(body: Body, node: tree.Member) -> Meaning:
    return parts.member(body, node)


def _unary(body: Body, node: tree.Unary) -> Meaning:
    meaning = evaluate(body, node.value)
    if node.operator == "not":
        return logical(body.shop, "not", [(meaning, node.value.span)])
    return negative(body.shop, meaning, node.value.span)


def _binary(body: Body, node: tree.Binary) -> Meaning:
    left = evaluate(body, node.left)
    right = evaluate(body, node.right)
    spans = (node.left.span, node.right.span)
    if node.operator in ("and", "or"):
        return logical(body.shop, node.operator, [(left, spans[0]), (right, spans[1])])
    if node.operator == "@":
        return matmul(body, left, right, spans, node)
    return binary(body.shop, node.operator, left, right, node.span, spans)


def _choose(body: Body, node: tree.Choose) -> Meaning:
    shop = body.shop
    condition = evaluate(body, node.condition)
    type = type_of(shop, condition)
    if type is None or type.kind is not Kind.BOOL:
        found = describe(shop, condition)
        raise fail(
            "S0302",
            "a condition is a bool",
            node.condition.span,
            f"found {found}",
            hint="write a comparison, like `x > 0`",
        )
    if isinstance(condition, Number):
        return evaluate(body, node.then if condition.value else node.otherwise)
    arms = [(evaluate(body, each), each.span) for each in (node.then, node.otherwise)]
    kinds = [type_of(shop, arm) for arm, _ in arms if isinstance(arm, Dynamic)]
    kind = next((each.kind for each in kinds if each is not None), None)
    bound = next((each.bound for each in kinds if each is not None), None)
    if kind is None and any(isinstance(arm, Number) and isinstance(arm.value, float) for arm, _ in arms):
        kind = Kind.REAL
    values = [as_value(shop, arm, kind, span, bound) for arm, span in arms]
    types = [shop.builder.type(value) for value in values]
    if types[0].kind is not types[1].kind and not all(each.kind.is_integer for each in types):
        raise fail(
            "S0301",
            "both branches must be of one kind",
            arms[1][1],
            f"found {shown(types[1])}",
            others=(Label(arms[0][1], f"found {shown(types[0])}"),),
            hint="convert one of them, as by `real(…)`",
        )
    dims = [each.dims for each in (*types, type) if each.dims]
    if any(each != dims[0] for each in dims):
        raise fail(
            "S0304",
            "condition and branches need equal shapes",
            arms[1][1],
            f"found {shown(types[1])}",
            others=(
                Label(arms[0][1], f"found {shown(types[0])}"),
                Label(node.condition.span, f"found {shown(type)}"),
            ),
            notes=("a scalar goes with any shape",),
        )
    return (
        Dynamic(shop.builder.select(condition.index, *values))
        if isinstance(condition, Dynamic)
        else condition
    )


def _vector(body: Body, node: tree.Vector) -> Meaning:
    shop = body.shop
    if not node.items:
        raise fail("S0304", "a vector has at least one element", node.span, "empty", hint=None)
    items = [(evaluate(body, each), each.span) for each in node.items]
    numbers = [meaning.value for meaning, _ in items if isinstance(meaning, Number)]
    if len(numbers) == len(items):
        return Numbers(tuple(numbers))
    not_lifted(body, node.span, "`[…]` makes a vector")
    known = [shop.builder.type(meaning.index).kind for meaning, _ in items if isinstance(meaning, Dynamic)]
    kind = known[0] if known else Kind.REAL
    if kind is Kind.INDEX and (len(known) < len(items)):
        kind = Kind.INT
    values = [as_value(shop, meaning, kind, span) for meaning, span in items]
    first = shop.builder.type(values[0])
    for value, (_, span) in zip(values, items, strict=True):
        found = shop.builder.type(value)
        if found.dims != first.dims or (
            found.kind is not first.kind and not (found.kind.is_integer and first.kind.is_integer)
        ):
            raise fail(
                "S0304",
                "the elements of a vector have one type",
                span,
                f"found {shown(found)}",
                others=(Label(items[0][1], f"found {shown(first)}"),),
                hint="to put vectors one behind the other write `concat(a, b)`"
                if found.dims or first.dims
                else None,
            )
    if not first.dims:
        return Dynamic(shop.builder.stack(*values))
    rows = [shop.builder.reshape(value, (1, *first.dims)) for value in values]
    return Dynamic(shop.builder.concat(*rows))


def _pick(body: Body, node: tree.Pick) -> Meaning:
    shop = body.shop
    meaning = evaluate(body, node.value)
    if (
        isinstance(meaning, Numbers)
        and len(node.indices) == 1
        and not isinstance(node.indices[0], tree.Slice)
    ):
        chosen = evaluate(body, node.indices[0])
        if isinstance(chosen, Number):
            place = position(chosen, len(meaning.values), node.indices[0].span)
            return Number(meaning.values[place])
    if isinstance(meaning, Number):
        raise fail("S0308", "a number has no components", node.span, "picked from here", hint=None)
    value = as_value(shop, meaning, None, node.value.span)
    not_lifted(body, node.span, "picks a component")
    dim = 0
    for each in node.indices:
        type = shop.builder.type(value)
        if dim >= len(type.dims):
            found = shown(shop.builder.type(as_value(shop, meaning, None, node.value.span)))
            hint = "time has no index: `prev` reads the last step" if not type.dims else None
            raise fail(
                "S0308", "too many indices", each.span, f"`{brief(node.value.span)}` is {found}", hint=hint
            )
        value, kept = picked(body, value, dim, each)
        dim += kept
    return Dynamic(value)


def picked(body: Body, value: int, dim: int, node: tree.Expression | tree.Slice) -> tuple[int, int]:
    """One index applied; and how many dims it leaves."""
    builder = body.shop.builder
    length = builder.type(value).dims[dim]
    if isinstance(node, tree.Slice):
        return builder.pick(value, dim, sliced(body, node, length)), 1
    chosen = evaluate(body, node)
    if isinstance(chosen, Number):
        return builder.pick(value, dim, (position(chosen, length, node.span),), drop=True), 0
    if isinstance(chosen, Numbers):
        return builder.pick(
            value, dim, tuple(position(Number(each), length, node.span) for each in chosen.values)
        ), 1
    place = as_value(body.shop, chosen, None, node.span)
    type = builder.type(place)
    if type.kind is not Kind.INDEX or type.dims:
        hint = "an index is declared `index(V)`, or comes from `argmax` or `categorical`"
        raise fail("S0308", "only an index can point", node.span, f"found {shown(type)}", hint=hint)
    if dim:
        raise fail(
            "S0308",
            "a computed index picks along the first dimension",
            node.span,
            "not the first",
            hint="use `transpose`",
        )
    if type.bound != length:
        raise fail(
            "S0304",
            "sizes do not fit",
            node.span,
            f"found    {shown(type)}",
            notes=(f"the first dimension has {length} elements",),
            hint=f"declare it `index({length})`",
        )
    return builder.gather(value, place), 0


def sliced(body: Body, node: tree.Slice, length: int) -> tuple[int, ...]:
    """The positions of a slice."""
    ends = []
    for each, default in ((node.low, 0), (node.high, length)):
        if each is None:
            ends.append(default)
            continue
        meaning = evaluate(body, each)
        if isinstance(meaning, Number) and meaning.value == 0 and not isinstance(meaning.value, bool):
            ends.append(0)
        else:
            if isinstance(meaning, Number) and not isinstance(meaning.value, bool) and meaning.value < 0:
                position(meaning, length, each.span)
            ends.append(size(body, each, "the end of a slice"))
    low, high = ends
    if not 0 <= low < high <= length:
        raise fail(
            "S0308",
            "this slice lies outside",
            node.span,
            f"{low} up to {high} of {length}",
            hint="`a:b` are the positions a up to b - 1, counted from 0",
        )
    if high - low > PICK_LIMIT:
        raise fail("S0307", "this slice is too long", node.span, f"{high - low} elements", hint=None)
    return tuple(range(low, high))


def position(chosen: Number, length: int, span: Span) -> int:
    """A number as a position below `length`."""
    value = chosen.value
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise fail("S0308", "an index is a whole number", span, f"found {value!r}".lower(), hint=None)
    if not 0 <= value < length:
        hint = f"positions run from 0 to {length - 1}"
        if value < 0 and -value <= length:
            hint += f"; the one meant is `{int(value) + length}`"
        raise fail("S0308", "this index lies outside", span, f"{int(value)} of {length}", hint=hint)
    return int(value)


HANDLERS: dict[type, Callable[[Body, Any], Meaning]] = {
    tree.Number: _number,
    tree.String: _string,
    tree.Reference: _reference,
    tree.Prev: _prev,
    tree.Member: _member,
    tree.Unary: _unary,
    tree.Binary: _binary,
    tree.Choose: _choose,
    tree.Vector: _vector,
    tree.Pick: _pick,
    tree.Call: calls.call,
    tree.Pipe: calls.pipe,
    tree.Reduce: reducers.reduce,
}
