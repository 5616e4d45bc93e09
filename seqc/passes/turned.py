"""The rules of `simplify` about transposes of what varies: they move towards the results, where they meet and cancel, and
contractions read what lies the other way as it lies, so that little is copied.

    transpose(concat(transpose(a), transpose(b)))  ->  concat dim=1  a, b
    contract ab,b->a  transpose(x), v              ->  contract ba,b->a  x, v
"""

from __future__ import annotations

from seqc.flow.types import Value
from seqc.ops.build import Builder


def order_of(value: Value) -> tuple[int, ...]:
    """Where each dim of a transpose comes from."""
    order = value.attr("order")
    assert isinstance(order, tuple)
    return order


def varies(value: Value) -> bool:
    """Whether a value is a transpose of what differs from call to call: parameters are packed in any order."""
    return value.op == "transpose" and bool(value.type.axes)


def transpose(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """In the order that it has; of a transpose; of products without a sum."""
    order = order_of(value)
    if order == tuple(range(len(order))):
        return args[0]
    inner = builder.value(args[0])
    if inner.op == "transpose":
        before = order_of(inner)
        return builder.add("transpose", inner.args[0], order=tuple(before[place] for place in order))
    if inner.op == "contract" and inner.type.axes:
        operands, result = str(inner.attr("spec")).split("->")
        if set(operands) - {","} <= set(result):
            spec, (first, second) = f"{operands}->{''.join(result[place] for place in order)}", inner.args
            return builder.contract(spec, first, second, axes=inner.type.axes)
    return None


def contract(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Of a transpose: the letters change places."""
    operands, result = str(value.attr("spec")).split("->")
    letters, sources = operands.split(","), list(args)
    for number, arg in enumerate(args):
        inner = builder.value(arg)
        if varies(inner):
            turned = dict(zip(order_of(inner), letters[number], strict=True))
            letters[number] = "".join(turned[place] for place in range(len(turned)))
            sources[number] = inner.args[0]
    if tuple(sources) == args:
        return None
    first, second = sources
    return builder.contract(f"{','.join(letters)}->{result}", first, second, axes=value.type.axes)


def concat(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Of transposes in one order: one transpose."""
    parts, dim = [builder.value(arg) for arg in args], value.attr("dim")
    assert isinstance(dim, int)
    if not all(varies(part) and order_of(part) == order_of(parts[0]) for part in parts):
        return None
    order = order_of(parts[0])
    whole = builder.add("concat", *(part.args[0] for part in parts), dim=order[dim])
    return builder.add("transpose", whole, order=order)


def pick_of_transpose(
    builder: Builder, source: Value, dim: int, indices: tuple[int, ...], drop: bool
) -> int | None:
    """Elements of a transpose: the transpose of those elements."""
    if not varies(source):
        return None
    order = order_of(source)
    picked = builder.pick(source.args[0], order[dim], indices, drop)
    if drop:
        gone = order[dim]
        order = tuple(place - (place > gone) for place in order if place != gone)
    return builder.add("transpose", picked, order=order) if len(order) > 1 else picked
