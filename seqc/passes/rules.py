"""The rules of `simplify`, by operation: what a value with these arguments is equal to.

A rule takes the builder of the new graph, the old value and its new arguments; it gives an index, or None where it
does not fit. It may give a value with fewer dims or axes, which `simplify` broadcasts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from seqc.flow.types import Axis, Kind, Value
from seqc.ops.build import Builder
from seqc.passes.known import below, equals, is_op, known
from seqc.passes.sums import contract, reduce
from seqc.passes.turned import concat, pick_of_transpose, transpose

Rule = Callable[[Builder, Value, tuple[int, ...]], int | None]


def add(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """x + 0, x + -y, vectors placed side by side, in a longer sum too."""
    first, second = args
    if equals(builder, second, 0):
        return first
    if equals(builder, first, 0):
        return second
    if is_op(builder, second, "neg"):
        return builder.sub(first, builder.args(second)[0])
    if is_op(builder, first, "neg"):
        return builder.sub(second, builder.args(first)[0])
    found = neighbours(builder, first, second)
    if found is None and is_op(builder, first, "add") and is_op(builder, second, "place"):
        one, other = builder.args(first)
        if (joined := neighbours(builder, other, second)) is not None:
            return builder.plus(one, joined)
        if (joined := neighbours(builder, one, second)) is not None:
            return builder.plus(joined, other)
    return found


def neighbours(builder: Builder, first: int, second: int) -> int | None:
    """Two vectors or elements placed side by side, zero elsewhere: one longer vector that is placed."""
    a, b = builder.value(first), builder.value(second)
    if a.op != "place" or b.op != "place" or a.type != b.type or len(a.type.dims) != 1:
        return None
    if builder.type(a.args[0]).axes != builder.type(b.args[0]).axes:
        return None
    spans = sorted((run_of(each), each.args[0]) for each in (a, b))
    (low, _), (high, _) = spans
    if not low or not high or low[1] != high[0]:
        return None
    whole = side_by_side(builder, [part for _, part in spans])
    size = a.type.dims[0]
    if (low[0], high[1]) == (0, size):
        return whole
    return builder.add("place", whole, dim=0, indices=tuple(range(low[0], high[1])), size=size, drop=False)


def side_by_side(builder: Builder, parts: Sequence[int]) -> int:
    """Vectors and single elements as one vector; what was put together before is so once."""
    pieces: list[int] = []
    for part in parts:
        inner = builder.value(part)
        joined = inner.op == "stack" or (inner.op == "concat" and inner.attr("dim") == 0)
        pieces += inner.args if joined else (part,)
    if not any(builder.type(each).dims for each in pieces):
        return builder.stack(*pieces)
    return builder.concat(*(each if builder.type(each).dims else builder.stack(each) for each in pieces))


def run_of(value: Value) -> tuple[int, ...]:
    """First and end of the indices of a `place` if they follow each other, else nothing."""
    indices = value.attr("indices")
    assert isinstance(indices, tuple)
    return (indices[0], indices[-1] + 1) if follows(indices) else ()


def sub(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """x - 0, 0 - x, x - -y."""
    first, second = args
    if equals(builder, second, 0):
        return first
    if equals(builder, first, 0):
        return builder.neg(second)
    if is_op(builder, second, "neg"):
        return builder.plus(first, builder.args(second)[0])
    return None


def mul(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """x * 1, x * -1, -x * -y."""
    first, second = args
    for number, other in ((second, first), (first, second)):
        if equals(builder, number, 1):
            return other
        if equals(builder, number, -1):
            return builder.neg(other)
    if is_op(builder, first, "neg") and is_op(builder, second, "neg"):
        return builder.mul(builder.args(first)[0], builder.args(second)[0])
    return None


def div(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """x / 1; a vector divided by one number is multiplied by its reciprocal, which takes a tenth of the time."""
    if equals(builder, args[1], 1):
        return args[0]
    divisor = below(builder, args[1])
    alone = not builder.type(divisor).dims and builder.type(divisor).kind is Kind.REAL
    if alone and value.type.kind is Kind.REAL and value.type.size > 1 and known(builder, args[0]) is None:
        return builder.mul(args[0], builder.div(1.0, divisor))
    return None


def power(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Small whole exponents are products."""
    base, exponent = args
    number = known(builder, exponent)
    if number == 1:
        return base
    if number == 2:
        return builder.mul(base, base)
    if number == 3:
        return builder.mul(builder.mul(base, base), base)
    if number == -1:
        return builder.div(1.0, base)
    return None


def neg(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """- - x, and -(x - y) as y - x."""
    inner = builder.value(args[0])
    return inner.args[0] if inner.op == "neg" else None


def negate(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """not not x."""
    inner = builder.value(args[0])
    return inner.args[0] if inner.op == "not" else None


def both(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """x and true, x and false, x and x."""
    return logic(builder, args, neutral=True)


def either(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """x or false, x or true, x or x."""
    return logic(builder, args, neutral=False)


def logic(builder: Builder, args: tuple[int, ...], neutral: bool) -> int | None:
    """`and` has the neutral element true, `or` has false."""
    if args[0] == args[1]:
        return args[0]
    for number, other in ((args[1], args[0]), (args[0], args[1])):
        found = known(builder, number)
        if found is not None:
            return other if found == neutral else number
    return None


def select(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """A known choice, equal arms, an arm that asks the same question again, the question turned round."""
    chosen, first, second = args
    choice = known(builder, chosen)
    if choice is not None:
        return first if choice else second
    if first == second:
        return first
    number = known(builder, first)
    if number is not None and number == known(builder, second):
        return first
    if is_op(builder, chosen, "not"):
        return builder.select(builder.args(chosen)[0], second, first)
    inner_first, inner_second = builder.value(first), builder.value(second)
    if inner_first.op == "select" and inner_first.args[0] == chosen:
        return builder.select(chosen, inner_first.args[1], second)
    if inner_second.op == "select" and inner_second.args[0] == chosen:
        return builder.select(chosen, first, inner_second.args[2])
    return None


def identity(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """`stop` and `clipped` matter to gradients alone, which are made by now."""
    return args[0]


def cast(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """To the kind that it has, or by way of a kind that loses nothing."""
    own = builder.type(args[0])
    if (own.kind, own.bound) == (value.type.kind, value.type.bound):
        return args[0]
    inner = builder.value(args[0])
    if inner.op == "cast" and own.kind.is_integer and builder.type(inner.args[0]).kind.is_integer:
        return builder.cast(inner.args[0], value.type.kind, value.type.bound)
    return None


def broadcast(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Broadcasts of broadcasts, and constants that get dims."""
    source = below(builder, args[0])
    inner = builder.value(source)
    if source != args[0]:
        return source
    if inner.op == "const" and not inner.type.dims and value.type.dims:
        number = known(builder, source)
        assert number is not None
        if inner.type.kind is Kind.INDEX:
            return None
        return builder.const(number, inner.type.kind, value.type.dims)
    return None


def pick(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Of everything, of a stack, of a concatenation, of a transpose, of a pick, of what was placed there."""
    source = builder.value(args[0])
    indices, dim, drop = value.attr("indices"), value.attr("dim"), value.attr("drop")
    assert isinstance(indices, tuple) and isinstance(dim, int)
    size = source.type.dims[dim]
    if not drop and indices == tuple(range(size)):
        return args[0]
    if source.op == "stack":
        parts = [source.args[index] for index in indices]
        return parts[0] if drop else builder.stack(*parts)
    if source.op == "concat" and source.attr("dim") == dim:
        return pick_of_concat(builder, source, dim, indices, bool(drop))
    if source.op == "place" and source.attr("dim") == dim and not source.attr("drop"):
        return pick_of_place(builder, source, dim, indices, bool(drop))
    if source.op == "transpose":
        return pick_of_transpose(builder, source, dim, indices, bool(drop))
    if source.op == "pick" and source.attr("dim") == dim and not source.attr("drop"):
        inner = source.attr("indices")
        assert isinstance(inner, tuple)
        return builder.pick(source.args[0], dim, tuple(inner[index] for index in indices), bool(drop))
    return None


def pick_of_concat(
    builder: Builder, source: Value, dim: int, indices: tuple[int, ...], drop: bool
) -> int | None:
    """Positions that lie within one part are positions of that part; a run over several, as in a window, joins less."""
    start = 0
    pieces: list[int] = []
    for part in source.args:
        size = builder.type(part).dims[dim]
        own = tuple(index - start for index in indices if start <= index < start + size)
        if own:
            whole = not drop and own == tuple(range(size))
            pieces.append(part if whole else builder.pick(part, dim, own, drop))
        if len(own) == len(indices):
            return pieces[0]
        start += size
    return builder.concat(*pieces, dim=dim) if follows(indices) else None


def pick_of_place(
    builder: Builder, source: Value, dim: int, indices: tuple[int, ...], drop: bool
) -> int | None:
    """The positions that were placed, each once; of a run that was placed in part, that part is placed."""
    placed = source.attr("indices")
    assert isinstance(placed, tuple)
    if len(set(placed)) != len(placed):
        return None
    kept = tuple(place for place, index in enumerate(indices) if index in placed)
    if not kept or (len(kept) < len(indices) and not (follows(indices) and follows(placed))):
        return None
    part = builder.pick(source.args[0], dim, tuple(placed.index(indices[place]) for place in kept), drop)
    if len(kept) == len(indices):
        return part
    return builder.add("place", part, dim=dim, indices=kept, size=len(indices), drop=False)


def follows(indices: tuple[int, ...]) -> bool:
    """Whether each index is the one after that before it."""
    return indices == tuple(range(indices[0], indices[0] + len(indices)))


def reshape(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """To the dims that it has; of a reshape."""
    if builder.type(args[0]).dims == value.type.dims:
        return args[0]
    inner = builder.value(args[0])
    return builder.reshape(inner.args[0], value.type.dims) if inner.op == "reshape" else None


def reverse(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """Of what is the same at all steps; turned round twice by the same lengths."""
    if builder.type(args[0]) == value.type and Axis.TIME not in value.type.axes:
        return args[0]
    inner = builder.value(args[0])
    same = inner.op == "reverse" and inner.args[1:] == args[1:]
    return inner.args[0] if same else None


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "add": add,
        "sub": sub,
        "mul": mul,
        "div": div,
        "pow": power,
        "neg": neg,
        "not": negate,
        "and": both,
        "or": either,
        "select": select,
        "stop": identity,
        "clipped": identity,
        "cast": cast,
        "broadcast": broadcast,
        "reduce": reduce,
        "pick": pick,
        "reshape": reshape,
        "transpose": transpose,
        "contract": contract,
        "concat": concat,
        "reverse": reverse,
    }
)
