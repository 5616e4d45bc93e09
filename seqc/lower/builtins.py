"""Functions that the compiler knows because they are operations of Flow; everything else is written in the prelude.

Takes a body, a name and evaluated arguments; gives a meaning. `FUNCTIONS` is the list of names.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from seqc.flow.types import Kind
from seqc.lower.arithmetic import as_value, binary, brief, describe, shapes_error, shown, type_of
from seqc.lower.body import Body
from seqc.lower.meaning import Dynamic, Meaning, Number, Numbers
from seqc.source.diagnostic import Label, fail
from seqc.source.span import Span
from seqc.syntax import tree

Given = list[tuple[Meaning, Span]]

POINTWISE: dict[str, Callable[[float], float] | None] = {
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "atan": math.atan,
    "tanh": math.tanh,
    "sigmoid": None,
    "softplus": None,
    "erf": math.erf,
    "floor": math.floor,
}
EITHER = ("abs", "sign")
CONVERSIONS = {"real": Kind.REAL, "f32": Kind.F32, "f64": Kind.F64, "int": Kind.INT}
WHOLE = {"div": "idiv", "mod": "mod"}
OTHERS = (
    "argmax",
    "concat",
    "reverse",
    "stop",
    "clipped",
    "transpose",
    "outer",
    "categorical",
    "bernoulli",
    "normal",
    "uniform",
)
FUNCTIONS = (*POINTWISE, *EITHER, *CONVERSIONS, *WHOLE, *OTHERS)
REDUCERS = ("sum", "mean", "max", "min", "norm", "last")


def apply(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """A built-in function on its arguments."""
    if name in POINTWISE:
        return pointwise(body, name, given, node)
    if name in EITHER:
        one(name, given, node)
        if isinstance(given[0][0], Number) and not isinstance(given[0][0].value, bool):
            value = given[0][0].value
            return Number(abs(value) if name == "abs" else (value > 0) - (value < 0))
        return Dynamic(body.shop.builder.add(name, number(body, name, given[0])))
    if name in CONVERSIONS:
        return convert(body, name, given, node)
    if name in WHOLE:
        return whole(body, name, given, node)
    return SPECIAL[name](body, given, node)


def one(name: str, given: Given, node: tree.Expression, count: int = 1) -> None:
    """Refuses another number of arguments."""
    if len(given) != count:
        words = "one argument" if count == 1 else "two arguments"
        raise fail("S0303", f"`{name}` takes {words}", node.span, f"found {len(given)}", hint=None)


def number(body: Body, name: str, given: tuple[Meaning, Span]) -> int:
    """An argument as a value that is no bool."""
    value = as_value(body.shop, given[0], None, given[1])
    if body.shop.builder.type(value).kind is Kind.BOOL:
        raise fail(
            "S0301",
            f"`{name}` takes numbers",
            given[1],
            "found bool",
            hint=f"write `real({brief(given[1])})`",
        )
    return value


def real(body: Body, name: str, given: tuple[Meaning, Span]) -> int:
    """An argument as a real value."""
    value = as_value(body.shop, given[0], None, given[1])
    type = body.shop.builder.type(value)
    if not type.kind.is_real:
        raise fail(
            "S0301",
            f"`{name}` takes reals",
            given[1],
            f"found {shown(type)}",
            hint=f"write `real({brief(given[1])})`",
        )
    return value


def pointwise(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """A function of each element; of a number, a number."""
    one(name, given, node)
    meaning = given[0][0]
    function = POINTWISE[name]
    if function is not None and isinstance(meaning, Number) and not isinstance(meaning.value, bool):
        try:
            return Number(function(float(meaning.value)))
        except (ValueError, OverflowError):
            raise fail(
                "S0307",
                f"`{name}` of this number does not exist",
                given[0][1],
                f"is {meaning.value!r}",
                hint=None,
            ) from None
    return Dynamic(body.shop.builder.add(name, real(body, name, given[0])))


def convert(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """`real(x)`, `int(x)` and the like."""
    one(name, given, node)
    kind = CONVERSIONS[name]
    meaning, span = given[0]
    if isinstance(meaning, Number) and kind in (Kind.REAL, Kind.INT):
        return Number(float(meaning.value) if kind is Kind.REAL else int(meaning.value))
    value = as_value(body.shop, meaning, None, span)
    return Dynamic(body.shop.builder.cast(value, kind))


def whole(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """`div(a, b)` and `mod(a, b)`, the floor ones."""
    one(name, given, node, 2)
    for meaning, span in given:
        type = type_of(body.shop, meaning)
        if type is None or not type.kind.is_integer:
            hint = "use `floor(a / b)` for reals" if name == "div" else None
            raise fail(
                "S0301",
                f"`{name}` takes whole numbers",
                span,
                f"found {describe(body.shop, meaning)}",
                hint=hint,
            )
    left, right = given[0][0], given[1][0]
    if isinstance(right, Number) and right.value == 0:
        raise fail("S0307", "a division by zero", given[1][1], "is 0", hint=None)
    if isinstance(left, Number) and isinstance(right, Number):
        a, b = int(left.value), int(right.value)
        return Number(a // b if name == "div" else a % b)
    values = [as_value(body.shop, meaning, Kind.INT, span) for meaning, span in given]
    check_shapes(body, name, values, [span for _, span in given])
    return Dynamic(body.shop.builder.add(WHOLE[name], *values))


def check_shapes(body: Body, name: str, values: list[int], spans: list[Span]) -> None:
    """Refuses two shapes that do not go together."""
    types = [body.shop.builder.type(value) for value in values]
    if types[0].dims and types[1].dims and types[0].dims != types[1].dims:
        raise shapes_error(name, (types[0], types[1]), (spans[0], spans[1]))


def extreme(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """`max(a, b)` and `min(a, b)` of each pair of elements."""
    left, right = given[0][0], given[1][0]
    if isinstance(left, Number) and isinstance(right, Number):
        return Number(max(left.value, right.value) if name == "max" else min(left.value, right.value))
    spans = (given[0][1], given[1][1])
    kinds = [body.shop.builder.type(each.index).kind for each in (left, right) if isinstance(each, Dynamic)]
    kind = Kind.INT if kinds and kinds[0] is Kind.INDEX else kinds[0] if kinds else None
    values = [as_value(body.shop, meaning, kind, span) for meaning, span in given]
    types = [body.shop.builder.type(value) for value in values]
    if any(each.kind is Kind.BOOL for each in types) or (
        types[0].kind is not types[1].kind and not all(each.kind.is_integer for each in types)
    ):
        binary(body.shop, "+", left, right, node.span, spans)
    check_shapes(body, name, values, list(spans))
    return Dynamic(body.shop.builder.add("maximum" if name == "max" else "minimum", *values))


def _argmax(body: Body, given: Given, node: tree.Expression) -> Meaning:
    one("argmax", given, node)
    not_lifted(body, node.span, "`argmax` sees the whole vector")
    value = number(body, "argmax", given[0])
    type = body.shop.builder.type(value)
    if len(type.dims) != 1:
        raise fail("S0304", "`argmax` takes a vector", given[0][1], f"found {shown(type)}", hint=None)
    return Dynamic(body.shop.builder.add("argmax", value))


def _concat(body: Body, given: Given, node: tree.Expression) -> Meaning:
    if not given:
        raise fail("S0303", "`concat` takes at least one vector", node.span, "found none", hint=None)
    not_lifted(body, node.span, "`concat` joins vectors")
    values = [as_value(body.shop, meaning, None, span) for meaning, span in given]
    first = body.shop.builder.type(values[0])
    if len(values) == 1 and len(first.dims) > 1:
        rows, size, *rest = first.dims
        return Dynamic(body.shop.builder.reshape(values[0], (rows * size, *rest)))
    for value, (_, span) in zip(values, given, strict=True):
        type = body.shop.builder.type(value)
        if not type.dims:
            hint = f"a scalar in brackets is a vector: `[{brief(span)}]`"
            raise fail(
                "S0304", "`concat` puts vectors one behind the other", span, f"found {shown(type)}", hint=hint
            )
        if type.dims[1:] != first.dims[1:] or type.kind is not first.kind:
            raise fail(
                "S0304",
                "`concat` takes arrays that differ in their first size only",
                span,
                f"found {shown(type)}",
                others=(Label(given[0][1], f"found {shown(first)}"),),
            )
    return Dynamic(body.shop.builder.concat(*values))


def _reverse(body: Body, given: Given, node: tree.Expression) -> Meaning:
    one("reverse", given, node)
    if body.shop.rule:
        raise fail("S0204", "an update has no time to turn round", node.span, "not here", hint=None)
    value = as_value(body.shop, given[0][0], None, given[0][1])
    return Dynamic(body.shop.builder.reverse(value))


def _stop(body: Body, given: Given, node: tree.Expression) -> Meaning:
    one("stop", given, node)
    if isinstance(given[0][0], Number | Numbers):
        return given[0][0]
    return Dynamic(body.shop.builder.add("stop", as_value(body.shop, given[0][0], None, given[0][1])))


def _clipped(body: Body, given: Given, node: tree.Expression) -> Meaning:
    one("clipped", given, node, 2)
    value = real(body, "clipped", given[0])
    kind = body.shop.builder.type(value).kind
    bound = as_value(body.shop, given[1][0], kind, given[1][1])
    type = body.shop.builder.type(bound)
    if type.kind is not kind or type.dims:
        raise fail(
            "S0304", "the bound of `clipped` is a real scalar", given[1][1], f"found {shown(type)}", hint=None
        )
    return Dynamic(body.shop.builder.add("clipped", value, bound))


def _transpose(body: Body, given: Given, node: tree.Expression) -> Meaning:
    one("transpose", given, node)
    value = as_value(body.shop, given[0][0], None, given[0][1])
    type = body.shop.builder.type(value)
    if len(type.dims) < 2:
        raise fail(
            "S0304",
            "`transpose` takes a matrix",
            given[0][1],
            f"found {shown(type)}",
            hint="a vector needs none: `W @ x`, `outer(a, b)`",
        )
    order = (*range(len(type.dims) - 2), len(type.dims) - 1, len(type.dims) - 2)
    return Dynamic(body.shop.builder.add("transpose", value, order=order))


def _outer(body: Body, given: Given, node: tree.Expression) -> Meaning:
    one("outer", given, node, 2)
    values = [real(body, "outer", each) for each in given]
    for value, (_, span) in zip(values, given, strict=True):
        type = body.shop.builder.type(value)
        if len(type.dims) != 1:
            raise fail("S0304", "`outer` takes two vectors", span, f"found {shown(type)}", hint=None)
    return Dynamic(body.shop.builder.contract("a,b->ab", values[0], values[1]))


SPECIAL: dict[str, Callable[[Body, Given, tree.Expression], Meaning]] = {
    "argmax": _argmax,
    "concat": _concat,
    "reverse": _reverse,
    "stop": _stop,
    "clipped": _clipped,
    "transpose": _transpose,
    "outer": _outer,
}


def matmul(body: Body, left: Meaning, right: Meaning, spans: tuple[Span, Span], node: tree.Binary) -> Meaning:
    """`W @ x`, `A @ B` and `x @ y`: the last size of the left side meets the first of the right."""
    values = [real(body, "@", each) for each in zip((left, right), spans, strict=True)]
    types = [body.shop.builder.type(value) for value in values]
    for type, span in zip(types, spans, strict=True):
        if not type.dims:
            raise fail(
                "S0304",
                "`@` takes matrices and vectors",
                span,
                f"found {shown(type)}",
                hint="for numbers write `*`",
            )
    not_lifted(body, node.span, "multiplies matrices")
    if types[0].dims[-1] != types[1].dims[0] or types[0].kind is not types[1].kind:
        note = f"the last size of the left side is {types[0].dims[-1]}, the first of the right side {types[1].dims[0]}"
        raise fail(
            "S0304",
            "sizes do not fit",
            node.operator_span,
            "in this product",
            others=(Label(spans[0], f"found {shown(types[0])}"), Label(spans[1], f"found {shown(types[1])}")),
            notes=(note,),
        )
    left_letters = "abcdefgh"[: len(types[0].dims) - 1]
    right_letters = "mnopqrst"[: len(types[1].dims) - 1]
    return Dynamic(
        body.shop.builder.contract(
            f"{left_letters}z,z{right_letters}->{left_letters}{right_letters}", values[0], values[1]
        )
    )


def not_lifted(body: Body, span: Span, what: str) -> None:
    """Refuses what sees a whole vector inside a function that was lifted over one."""
    if body.lifted:
        raise fail(
            "S0313",
            f"`{body.title}` takes scalars and cannot be lifted over a vector",
            body.call or span,
            "called with a vector here",
            others=(Label(span, what),),
            hint="declare its ports with the shapes that it is called with",
        )
