"""The rules of `simplify` about sums: what a contraction can sum by itself, what a sum needs no product for, and what is the
same all along.

    reduce sum [0]  contract baz,bz->ba  W, x  ->  contract baz,bz->a  W, x
    reduce sum [1]  transpose(x)               ->  reduce sum [0]  x
    contract ab,b->a  x, ones                  ->  reduce sum [1]  x
"""

from __future__ import annotations

from seqc.flow.types import Axis, Kind, Type, Value
from seqc.ops.build import Builder
from seqc.ops.product import parse_spec
from seqc.passes.known import below, is_op, known
from seqc.passes.turned import contract as turned


def reduce(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Nothing reduced; outer products added up, which are one product; a value repeated along all that is reduced: its
    multiple, or itself."""
    source = args[0]
    type, removed = builder.type(source), value.attr("dims")
    assert isinstance(removed, tuple)
    gone = type.axes - value.type.axes
    if not gone and not removed:
        return source
    if removed and is_op(builder, source, "transpose"):
        return of_transpose(builder, value, source, removed)
    if value.attr("how") == "sum" and is_op(builder, source, "contract"):
        spec, axes = shorter(builder, source, gone, removed), value.type.axes
        if spec is not None:
            first, second = builder.args(source)
            return builder.contract(spec, first, second, axes=axes)
    inner = below(builder, source)
    own = builder.type(inner)
    if inner == source and not (builder.value(inner).op == "const" and own.dims and not gone):
        return None
    number = known(builder, inner)
    if number is not None and own.dims:
        inner = builder.const(number, own.kind)
        own = builder.type(inner)
    if own.axes & gone or (removed and own.dims) or own.kind is Kind.INDEX:
        return None
    if 0 in type.dims:
        return None
    if value.attr("how") != "sum":
        return inner
    return builder.mul(inner, count(builder, type, gone, removed))


def of_transpose(builder: Builder, value: Value, source: int, removed: tuple[int, ...]) -> int:
    """A reduction of a transpose: that of what lies the other way, and what is left of it turned."""
    order = builder.wholes(source, "order")
    inner = builder.args(source)[0]
    gone = tuple(sorted(order[place] for place in removed))
    left = [order[place] for place in range(len(order)) if place not in removed]
    found = builder.reduce(str(value.attr("how")), inner, gone, value.type.axes)
    places = tuple(sorted(left).index(place) for place in left)
    return found if list(places) == sorted(places) else builder.add("transpose", found, order=places)


def shorter(builder: Builder, source: int, gone: frozenset[Axis], removed: tuple[int, ...]) -> str | None:
    """The spec of a contraction that sums at once what a reduction of its result would: letters and axes that both of its
    operands have, and axes of a product without a sum."""
    text = builder.text(source, "spec")
    spec, args = parse_spec(text), builder.args(source)
    if gone and (set(spec.first + spec.second) != set(spec.result) or set(spec.first) & set(spec.second)):
        return None
    letters = {spec.result[place] for place in removed}
    if not all(gone <= builder.type(arg).axes for arg in args) or not letters <= set(spec.first) & set(
        spec.second
    ):
        return None
    operands, _, result = text.partition("->")
    return f"{operands}->{''.join(letter for letter in result if letter not in letters)}"


def count(builder: Builder, type: Type, gone: frozenset[Axis], removed: tuple[int, ...]) -> int:
    """How many elements a reduction joins, in the kind of its operand."""
    size = 1
    for place in removed:
        size *= type.dims[place]
    total = builder.const(size, Kind.INT)
    for axis, op in ((Axis.TIME, "steps"), (Axis.BATCH, "rows")):
        if axis in gone:
            factor = builder.add(op, type=Type(Kind.INT))
            total = factor if known(builder, total) == 1 else builder.mul(total, factor)
    number = known(builder, total)
    return builder.const(number, type.kind) if number is not None else builder.cast(total, type.kind)


def contract(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Of what is the same all along what is summed: a sum, times that number; of a transpose."""
    spec, (first, second) = parse_spec(str(value.attr("spec"))), args
    for source, letters, other, others in (
        (first, spec.first, second, spec.second),
        (second, spec.second, first, spec.first),
    ):
        number = known(builder, other)
        gone = set(letters) - set(spec.result)
        left = "".join(letter for letter in letters if letter not in gone)
        if number is None or not others or set(others) != gone or left != spec.result:
            continue
        if not value.type.axes <= builder.type(source).axes:
            continue
        places = tuple(place for place, letter in enumerate(letters) if letter in gone)
        total = builder.reduce("sum", source, places, value.type.axes)
        return total if number == 1 else builder.mul(total, float(number))
    return turned(builder, value, args)
