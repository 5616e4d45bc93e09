"""Operators on meanings: numbers are folded, numbers that meet values become constants of their kind.

Everything here checks kinds and shapes before it adds a value, so that messages speak of the program.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from seqc.flow.types import NO_AXES, Kind, Type
from seqc.lower.meaning import Dynamic, Meaning, Number, Numbers, kind_word
from seqc.lower.shop import Shop
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span

ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow"}
COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
FOLDS: dict[str, Callable[[float, float], int | float | bool]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
INTEGER_LIMIT = 2**63


def shown(type: Type) -> str:
    """A type as the author would write it, without axes."""
    return str(type.with_axes(NO_AXES))


def type_of(shop: Shop, meaning: Meaning) -> Type | None:
    """The type of a meaning that is a value; a number counts as its own kind."""
    if isinstance(meaning, Dynamic):
        return shop.builder.type(meaning.index)
    if isinstance(meaning, Number):
        return Type(number_kind(meaning.value))
    if isinstance(meaning, Numbers):
        return Type(vector_kind(meaning.values), (len(meaning.values),))
    return None


def describe(shop: Shop, meaning: Meaning) -> str:
    """A meaning for the words `found …`."""
    type = type_of(shop, meaning)
    if isinstance(meaning, Number) and not isinstance(meaning.value, bool):
        return "a number"
    return shown(type) if type is not None else kind_word(meaning)


def number_kind(value: int | float | bool) -> Kind:
    """The kind of a number where nothing asks for another."""
    if isinstance(value, bool):
        return Kind.BOOL
    return Kind.INT if isinstance(value, int) else Kind.REAL


def vector_kind(values: tuple[int | float | bool, ...]) -> Kind:
    """The kind that all numbers of a vector fit."""
    kinds = {number_kind(value) for value in values}
    if kinds == {Kind.BOOL}:
        return Kind.BOOL
    return Kind.REAL if Kind.REAL in kinds else Kind.INT


def as_value(shop: Shop, meaning: Meaning, kind: Kind | None, span: Span, bound: int | None = None) -> int:
    """The meaning as a value of the graph. Integers become `kind`, real where nothing asks."""
    if isinstance(meaning, Dynamic):
        return meaning.index
    if isinstance(meaning, Number):
        return constant(shop, meaning.value, kind, span, bound)
    if isinstance(meaning, Numbers):
        wanted = kind
        if wanted is None:
            found = vector_kind(meaning.values)
            wanted = Kind.REAL if found is Kind.INT else found
        return shop.builder.stack(*[constant(shop, value, wanted, span, bound) for value in meaning.values])
    raise fail(
        "S0204",
        f"{kind_word(meaning)} is not a value",
        span,
        "a value is needed here",
        hint=use_hint(meaning),
    )


def use_hint(meaning: Meaning) -> str | None:
    """How something that is no value is used."""
    word = kind_word(meaning)
    if word == "a cell":
        return "give it its sizes and its input: `x |> Dense(8)`"
    if word == "an initialiser":
        return "it stands right of `=` in a `param`; a state starts from a number or a parameter"
    if word in ("a layer", "a function"):
        return "call it: `f(x)` or `x |> f`"
    if word.endswith("results"):
        return "take them apart: `a, b = …`"
    return None


def constant(
    shop: Shop, value: int | float | bool, kind: Kind | None, span: Span, bound: int | None = None
) -> int:
    """A number as a constant of a kind."""
    own = number_kind(value)
    wanted = kind or (Kind.REAL if own is Kind.INT else own)
    if (own is Kind.BOOL) != (wanted is Kind.BOOL):
        hint = (
            "a bool is written `true` or `false`, or a comparison"
            if wanted is Kind.BOOL
            else "turn a bool into a number by `real(…)`"
        )
        raise fail("S0301", "numbers and bools do not mix", span, f"{wanted.value} is needed here", hint=hint)
    if wanted.is_integer and own is Kind.REAL:
        raise fail(
            "S0301",
            f"`{value!r}` is not a whole number",
            span,
            f"{wanted.value} is needed here",
            hint="write it without a point, or turn the other side into `real(…)`",
        )
    if wanted is Kind.INDEX:
        if bound is not None and not 0 <= value < bound:
            raise fail(
                "S0308",
                f"{value} is not an index below {bound}",
                span,
                f"index({bound}) is needed here",
                hint=f"indices run from 0 to {bound - 1}",
            )
        return shop.builder.add(
            "const",
            type=Type(Kind.INDEX, (), NO_AXES, bound if bound is not None else int(value) + 1),
            value=int(value),
        )
    return shop.builder.const(value, wanted)


def binary(
    shop: Shop, sign: str, left: Meaning, right: Meaning, span: Span, spans: tuple[Span, Span]
) -> Meaning:
    """Arithmetic and comparison."""
    folded = fold(sign, left, right, span)
    if folded is not None:
        return folded
    kinds = [type_of(shop, each) for each in (left, right)]
    for meaning, place in zip((left, right), spans, strict=True):
        if type_of(shop, meaning) is None:
            as_value(shop, meaning, None, place)
    a, b = operands(shop, sign, left, right, spans)
    types = shop.builder.type(a), shop.builder.type(b)
    check_kinds(sign, types, spans, span)
    if types[0].dims and types[1].dims and types[0].dims != types[1].dims:
        raise shapes_error(sign, (types[0], types[1]), spans)
    assert kinds
    return Dynamic(shop.builder.add(ARITHMETIC.get(sign) or COMPARISONS[sign], a, b))


def operands(
    shop: Shop, sign: str, left: Meaning, right: Meaning, spans: tuple[Span, Span]
) -> tuple[int, int]:
    """Both sides as values of one kind; `/` and `^` turn whole numbers into reals."""
    types = type_of(shop, left), type_of(shop, right)
    kinds = [
        type.kind
        for type, each in zip(types, (left, right), strict=True)
        if type is not None and isinstance(each, Dynamic)
    ]
    real = next((kind for kind in kinds if kind.is_real), None)
    if sign in ("/", "^") and all(kind is not Kind.BOOL for kind in kinds):
        wanted: Kind | None = real or Kind.REAL
    elif real is not None:
        wanted = real
    elif kinds and kinds[0] is not Kind.BOOL:  # a number beside a bool stays one, and is refused as such
        wanted = Kind.INT if kinds[0] is Kind.INDEX else kinds[0]
    else:
        wanted = None
    values = [as_value(shop, each, wanted, span) for each, span in zip((left, right), spans, strict=True)]
    if sign in ("/", "^") and wanted is not None and wanted.is_real:
        values = [
            shop.builder.cast(each, wanted) if shop.builder.type(each).kind.is_integer else each
            for each in values
        ]
    return values[0], values[1]


def check_kinds(sign: str, types: tuple[Type, Type], spans: tuple[Span, Span], span: Span) -> None:
    """Refuses to mix kinds; says how to convert."""
    left, right = types[0].kind, types[1].kind
    if Kind.BOOL in (left, right) and sign not in ("==", "!="):
        place = spans[0] if left is Kind.BOOL else spans[1]
        raise fail(
            "S0301",
            f"`{sign}` takes numbers",
            place,
            "found bool",
            hint=f"write `real({brief(place)})`, which is 1 where it holds and 0 elsewhere",
        )
    if left is right or (left.is_integer and right.is_integer):
        return
    if left.is_real and right.is_real:
        raise fail(
            "S0301",
            f"`{sign}` does not mix {left.value} and {right.value}",
            spans[1],
            f"found {right.value}",
            others=(Label(spans[0], f"found {left.value}"),),
            hint=f"convert one of them: `{left.value}({brief(spans[1])})`",
        )
    if Kind.BOOL in (left, right):
        raise fail(
            "S0301",
            "a bool and a number are never equal",
            span,
            "compares them",
            hint="turn the bool into a number by `real(…)`",
        )
    whole = 0 if left.is_integer else 1
    raise fail(
        "S0301",
        f"`{sign}` does not mix real and {types[whole].kind.value}",
        spans[whole],
        f"found {shown(types[whole])}",
        others=(Label(spans[1 - whole], f"found {shown(types[1 - whole])}"),),
        hint=f"write `real({brief(spans[whole])})`",
    )


def brief(span: Span) -> str:
    """The text of a place, or dots where it is long."""
    text = " ".join(span.text.split())
    if text.startswith("(") and text.endswith(")") and "(" not in text[1:-1] and ")" not in text[1:-1]:
        text = text[1:-1]
    return text if len(text) <= 32 else "…"


def shapes_error(sign: str, types: tuple[Type, Type], spans: tuple[Span, Span]) -> SeqError:
    """S0304 for two shapes that do not go together."""
    notes = ("a scalar goes with any shape, otherwise both shapes must be equal",)
    return fail(
        "S0304",
        f"`{sign}` needs equal shapes",
        spans[1],
        f"found {shown(types[1])}",
        others=(Label(spans[0], f"found {shown(types[0])}"),),
        notes=notes,
    )


def fold(sign: str, left: Meaning, right: Meaning, span: Span) -> Meaning | None:
    """The result among numbers; None where one side is a value or the result is not to be had here."""
    if isinstance(left, Number) and isinstance(right, Number):
        if isinstance(left.value, bool) or isinstance(right.value, bool):
            return (
                None
                if sign not in ("==", "!=") or type(left.value) is not type(right.value)
                else Number(FOLDS[sign](left.value, right.value))
            )
        value = folded_number(sign, left.value, right.value, span)
        return None if value is None else Number(value)
    if isinstance(left, Number | Numbers) and isinstance(right, Number | Numbers) and sign in ARITHMETIC:
        size = (
            len(left.values)
            if isinstance(left, Numbers)
            else len(right.values)
            if isinstance(right, Numbers)
            else 0
        )
        pair = [each.values if isinstance(each, Numbers) else (each.value,) * size for each in (left, right)]
        if len(pair[0]) != len(pair[1]) or any(isinstance(each, bool) for side in pair for each in side):
            return None
        values = [folded_number(sign, a, b, span) for a, b in zip(pair[0], pair[1], strict=True)]
        known = [value for value in values if value is not None]
        return Numbers(tuple(known)) if len(known) == len(values) else None
    return None


def folded_number(sign: str, left: int | float, right: int | float, span: Span) -> int | float | bool | None:
    """One number of two, checked; None for a division by zero, which is left to run time."""
    try:
        if sign == "/" and isinstance(left, int) and isinstance(right, int) and right and left % right == 0:
            return left // right
        if (
            sign == "^"
            and isinstance(left, int)
            and isinstance(right, int)
            and abs(left) > 1
            and abs(right) > 64
        ):
            raise OverflowError
        value = FOLDS[sign](left, right)
    except ZeroDivisionError:
        return None
    except OverflowError:
        value = math.inf
    if isinstance(value, complex):
        return None
    if isinstance(value, float) and not math.isfinite(value) and math.isfinite(left) and math.isfinite(right):
        raise fail("S0307", "this number is too large", span, "does not fit a real", hint=None)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= INTEGER_LIMIT:
        raise fail(
            "S0307",
            "this integer is too large",
            span,
            "past 2^63",
            hint="write one of the factors with a point to compute in reals",
        )
    return value


def negative(shop: Shop, meaning: Meaning, span: Span) -> Meaning:
    """-x"""
    if isinstance(meaning, Number) and not isinstance(meaning.value, bool):
        return Number(-meaning.value)
    if isinstance(meaning, Numbers) and not any(isinstance(value, bool) for value in meaning.values):
        return Numbers(tuple(-value for value in meaning.values))
    value = as_value(shop, meaning, None, span)
    if shop.builder.type(value).kind is Kind.BOOL:
        raise fail("S0301", "`-` takes numbers", span, "found bool", hint="the opposite of a bool is `not`")
    return Dynamic(shop.builder.neg(value))


def logical(shop: Shop, sign: str, items: list[tuple[Meaning, Span]]) -> Meaning:
    """and, or, not."""
    values: list[int] = []
    numbers: list[bool] = []
    for meaning, span in items:
        type = type_of(shop, meaning)
        if type is None or type.kind is not Kind.BOOL:
            raise fail(
                "S0302",
                f"`{sign}` takes bools",
                span,
                f"found {describe(shop, meaning)}",
                hint="write a comparison, like `x > 0`",
            )
        if isinstance(meaning, Number):
            numbers.append(bool(meaning.value))
    if len(numbers) == len(items):
        result = not numbers[0] if sign == "not" else all(numbers) if sign == "and" else any(numbers)
        return Number(result)
    values = [as_value(shop, meaning, Kind.BOOL, span) for meaning, span in items]
    dims = [shop.builder.type(value).dims for value in values]
    if len(dims) == 2 and dims[0] and dims[1] and dims[0] != dims[1]:
        raise shapes_error(
            sign, (shop.builder.type(values[0]), shop.builder.type(values[1])), (items[0][1], items[1][1])
        )
    return Dynamic(shop.builder.add(sign, *values))
