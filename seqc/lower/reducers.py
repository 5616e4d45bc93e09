"""Reducers: `f(e)` over the value's own dims, `f(e over time, batch where m)` over axes.

What `where` selects counts, what it weighs counts so much; a reducer over nothing gives 0.
"""

from __future__ import annotations

from seqc.flow.types import NO_AXES, STREAM, Axis, Kind, Type
from seqc.lower.arithmetic import as_value, brief, describe, shown, type_of
from seqc.lower.body import Body, article
from seqc.lower.builtins import REDUCERS, Given, not_lifted, number, one
from seqc.lower.meaning import Builtin, Dynamic, Meaning, Number
from seqc.source.diagnostic import Label, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

AXES = {"time": Axis.TIME, "batch": Axis.BATCH}


def own_dims(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """A reducer without `over`."""
    if len(given) != 1:
        along = f"for each row of a matrix write `fn rows(v: real[K]) = {name}(v)` and call `rows(M)`"
        if name in ("max", "min"):
            along = "write `max(a, b)` for the larger of two"
        raise fail("S0303", f"`{name}` takes one value", node.span, f"found {len(given)}", hint=along)
    one(name, given, node)
    meaning, span = given[0]
    if isinstance(meaning, Number):
        return meaning if name != "norm" or isinstance(meaning.value, bool) else Number(abs(meaning.value))
    value = number(body, name, given[0])
    type = body.shop.builder.type(value)
    not_lifted(body, node.span, f"`{name}` sees the whole vector")
    if not type.dims:
        hint = f"write `{name}({brief(span)} over time)` to reduce an axis" if not body.shop.rule else None
        if name in ("norm",):
            return Dynamic(body.shop.builder.add("abs", value))
        raise fail(
            "S0304",
            f"`{name}` without `over` reduces the sizes of a value",
            span,
            f"found {shown(type)}, which has none",
            hint=hint,
        )
    return Dynamic(reduced(body, name, value, type, span))


def reduced(body: Body, name: str, value: int, type: Type, span: Span) -> int:
    """All dims of a value reduced."""
    builder = body.shop.builder
    if name in ("sum", "max", "min"):
        return builder.reduce(name, value)
    if name == "last":
        if len(type.dims) != 1:
            raise fail(
                "S0304", "`last` without `over` takes a vector", span, f"found {shown(type)}", hint=None
            )
        return builder.pick(value, 0, (type.dims[0] - 1,), drop=True)
    value = to_real(body, value)
    if name == "mean":
        return builder.mul(builder.reduce("sum", value), 1.0 / type.size)
    return builder.add("root", builder.reduce("sum", builder.mul(value, value)))


def to_real(body: Body, value: int) -> int:
    """A whole number as a real."""
    builder = body.shop.builder
    return builder.cast(value, Kind.REAL) if builder.type(value).kind.is_integer else value


def reduce(body: Body, node: tree.Reduce) -> Meaning:
    """`f(e over axes where m)`"""
    shop = body.shop
    function = shop.evaluate(body, node.function)
    if not isinstance(function, Builtin) or function.name not in REDUCERS:
        listed = ", ".join(f"`{each}`" for each in REDUCERS)
        name = node.function.name if isinstance(node.function, tree.Reference) else ""
        hidden = body.entries.get(name) if name in REDUCERS else None
        raise fail(
            "S0505",
            f"`{brief(node.function.span)}` does not reduce an axis",
            node.function.span,
            "not a reducer",
            others=(Label(hidden.span, f"`{name}` is {article(hidden.kind)} here"),) if hidden else (),
            hint=f"rename it: `{name}` is a reducer of the language" if hidden else f"reducers are {listed}",
        )
    if shop.rule or body.kind == "file":
        raise fail(
            "S0504",
            "there are no axes here",
            node.axes[0].span,
            "neither time nor batch",
            hint="an update sees one parameter at a time; `sum(g ^ 2)` reduces its sizes",
        )
    axes = [axis_of(body, each) for each in node.axes]
    for place, each in enumerate(node.axes):
        if axes[place] in axes[:place]:
            raise fail("S0504", f"`{each.text}` is named twice", each.span, "again here", hint="leave it out")
    time = Axis.TIME in axes
    if time:
        with shop.reading_whole(body, node.span, f"`{function.name}` over time"):
            value, mask = operands(body, node, function.name)
    else:
        value, mask = operands(body, node, function.name)
    if function.name == "last":
        return Dynamic(last(body, node, value, mask, axes))
    return Dynamic(over(body, function.name, value, mask, frozenset(axes)))


def axis_of(body: Body, name: tree.Name) -> Axis:
    """An axis by its name."""
    if name.text in AXES:
        return AXES[name.text]
    near = nearest(name.text, AXES)
    hints = {
        "steps": "time",
        "t": "time",
        "sequence": "time",
        "rows": "batch",
        "b": "batch",
        "T": "time",
        "B": "batch",
        "step": "time",
    }
    hint = f"did you mean `{near or hints[name.text]}`?" if near or name.text in hints else None
    entry = body.entries.get(name.text)
    if hint is None and entry is not None:
        hint = "sizes are reduced without `over`: `sum(x)`"
    raise fail(
        "S0504",
        f"there is no axis `{name.text}`",
        name.span,
        "not an axis",
        notes=("the axes are `time` and `batch`; a second sequence is outside the language",),
        hint=hint,
    )


def operands(body: Body, node: tree.Reduce, name: str) -> tuple[int, int | None]:
    """What is reduced, and the mask."""
    shop = body.shop
    meaning = shop.evaluate(body, node.value)
    value = as_value(shop, meaning, None, node.value.span)
    if shop.builder.type(value).kind is Kind.BOOL and name != "last":
        raise fail(
            "S0301",
            f"`{name}` takes numbers",
            node.value.span,
            "found bool",
            hint=f"write `real({brief(node.value.span)})`, which is 1 where it holds",
        )
    if node.where is None:
        return value, None
    selected = shop.evaluate(body, node.where)
    found = type_of(shop, selected)
    if (
        found is None
        or (found.kind.is_integer and not isinstance(selected, Number))
        or (found.dims and found.dims != shop.builder.type(value).dims)
    ):
        raise fail(
            "S0503",
            "`where` takes a bool, which selects, or a real, which weighs",
            node.where.span,
            f"found {describe(shop, selected)}",
            hint="write a comparison, like `step < n`",
        )
    mask = as_value(shop, selected, Kind.REAL if found.kind is not Kind.BOOL else Kind.BOOL, node.where.span)
    kind = shop.builder.type(value).kind
    if kind.is_real and shop.builder.type(mask).kind.is_real:
        mask = shop.builder.cast(mask, kind)
    if name in ("max", "min", "last") and shop.builder.type(mask).kind is not Kind.BOOL:
        raise fail(
            "S0503",
            f"`{name}` selects and cannot weigh",
            node.where.span,
            f"found {describe(shop, selected)}",
            hint="write a comparison, like `step < n`",
        )
    return value, mask


def over(body: Body, name: str, value: int, mask: int | None, axes: frozenset[Axis]) -> int:
    """sum, mean, max, min or norm over axes."""
    builder = body.shop.builder
    if name in ("mean", "norm"):
        value = to_real(body, value)
    if name == "norm":
        squares = over(body, "sum", builder.mul(value, value), mask, axes)
        return builder.add("root", squares)
    if name == "mean":
        return mean(body, value, mask, axes)
    if name == "sum":
        return summed(body, chosen(body, value, mask), axes)
    return extreme(body, name, value, mask, axes)


def chosen(body: Body, value: int, mask: int | None) -> int:
    """The value where it is selected and 0 elsewhere, or weighed."""
    builder = body.shop.builder
    if mask is None:
        return value
    if builder.type(mask).kind is Kind.BOOL:
        return builder.select(mask, value, builder.zero(value))
    return builder.mul(to_real(body, value), mask)


def summed(body: Body, value: int, axes: frozenset[Axis]) -> int:
    """The sum over axes, along which a value that lacks them is repeated."""
    builder = body.shop.builder
    type = builder.type(value)
    every = repeated(body, type.axes, axes)
    spread = builder.broadcast(value, type.with_axes(every))
    return builder.reduce("sum", spread, (), every - axes)


def repeated(body: Body, own: frozenset[Axis], axes: frozenset[Axis]) -> frozenset[Axis]:
    """The axes of a value that is repeated along `axes`: with a length, each row has a number of steps of its own."""
    rows = {Axis.BATCH} if Axis.TIME in axes and body.shop.length is not None else set()
    return own | axes | rows


def mean(body: Body, value: int, mask: int | None, axes: frozenset[Axis]) -> int:
    """sum(e m) / sum(m); 0 where nothing is selected."""
    builder = body.shop.builder
    kind = builder.type(value).kind
    product = chosen(body, value, mask)
    if mask is None:
        weight = builder.const(1.0, kind)
    else:
        weight = builder.cast(mask, kind) if builder.type(mask).kind is Kind.BOOL else mask
    every = repeated(body, builder.type(product).axes, axes)
    own = builder.type(weight)
    weight = builder.broadcast(weight, own.with_axes(every))
    product = builder.broadcast(product, builder.type(product).with_axes(every))
    top = builder.reduce("sum", product, (), every - axes)
    below = builder.reduce("sum", weight, (), every - axes)
    some = builder.ne(below, 0.0)
    safe = builder.select(some, below, 1.0)
    return builder.select(some, builder.div(top, safe), 0.0)


def extreme(body: Body, name: str, value: int, mask: int | None, axes: frozenset[Axis]) -> int:
    """max or min over axes; where `where` selects nothing, 0."""
    builder = body.shop.builder
    if mask is not None:
        kind = builder.type(value).kind
        worst = -3.0e38 if name == "max" else 3.0e38
        if kind.is_integer:
            value = builder.cast(value, Kind.INT)
            low = builder.const(-(2**31) if name == "max" else 2**31 - 1, Kind.INT)
            picked = builder.select(mask, value, low)
        else:
            picked = builder.select(mask, value, worst)
    else:
        picked = value
    type = builder.type(picked)
    spread = builder.broadcast(picked, type.with_axes(type.axes | axes))
    found = builder.reduce(name, spread, (), builder.type(spread).axes - axes)
    if mask is None:
        return found
    count = summed(
        body,
        builder.broadcast(
            builder.cast(mask, Kind.REAL), Type(Kind.REAL, builder.type(mask).dims, builder.type(spread).axes)
        ),
        axes,
    )
    return builder.select(builder.ne(count, 0.0), found, builder.zero(found))


def last(body: Body, node: tree.Reduce, value: int, mask: int | None, axes: list[Axis]) -> int:
    """The value of the last step, or of the last one selected: a hidden state read after the end."""
    if axes != [Axis.TIME]:
        raise fail(
            "S0504",
            "`last` follows time only",
            node.axes[0].span,
            "not over the batch",
            hint="write `last(e over time)`",
        )
    shop, builder = body.shop, body.shop.builder
    type = builder.type(value)
    name = shop.unique(f"{builder.name or 'loss'}.last")
    number = builder.state(name, Type(type.kind, type.dims, STREAM, type.bound), carried=mask is not None)
    if type.kind is Kind.INDEX:
        zero = builder.add("const", type=Type(Kind.INDEX, (), NO_AXES, type.bound), value=0)
    else:
        zero = builder.const(False if type.kind is Kind.BOOL else 0, type.kind)
    init = builder.broadcast(zero, type.with_axes(NO_AXES))
    following = value if mask is None else builder.select(mask, value, builder.prev(number))
    builder.define(number, init, following)
    return builder.final(number)
