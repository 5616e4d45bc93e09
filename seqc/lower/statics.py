"""Statics: the arguments in the head of a cell or optimizer, by position or by name, each as its kind asks for it."""

from __future__ import annotations

from seqc.flow.types import Kind
from seqc.lower.arithmetic import as_value, describe, shown
from seqc.lower.body import Body
from seqc.lower.meaning import (
    Builtin,
    CellName,
    CellValue,
    Dynamic,
    LayerOf,
    Meaning,
    Number,
    UserFunction,
)
from seqc.lower.sizes import checked_size
from seqc.source.diagnostic import Label, fail
from seqc.source.span import Span
from seqc.syntax import tree


def given_statics(body: Body, cell: tree.Cell | tree.Optimizer, node: tree.Call) -> dict[str, Meaning]:
    """The statics that a call gives, by position and by name."""
    found: dict[str, Meaning] = {}
    places: dict[str, Span] = {}
    by_name = {static.name.text: static for static in cell.statics}
    if len(node.positional) > len(cell.statics):
        extra = node.positional[len(cell.statics)]
        raise fail(
            "S0303",
            f"`{cell.name.text}` takes {counted(len(cell.statics), 'argument')}",
            extra.span,
            "one too many",
            hint=f"its head is `{signature(cell)}`" + input_hint(body, cell, extra),
        )
    pairs = list(zip(cell.statics, node.positional, strict=False))
    for each in node.overrides:
        if len(each.path) == 1 and each.path[0].text in by_name:
            pairs.append((by_name[each.path[0].text], each.value))
    for static, value in pairs:
        name = static.name.text
        if name in found:
            raise fail(
                "S0215",
                f"`{name}` is given twice",
                value.span,
                "again here",
                others=(Label(places[name], "first here"),),
                hint="leave one of them out",
            )
        meaning = body.shop.evaluate(body, value)
        found[name] = fit_static(body, cell, static, meaning, value.span)
        places[name] = value.span
    for static in cell.statics:
        if static.default is None and static.name.text not in found:
            raise fail(
                "S0303",
                f"`{cell.name.text}` needs `{static.name.text}`",
                node.span,
                "not given",
                hint=f"its head is `{signature(cell)}`",
            )
    return found


def input_hint(body: Body, cell: tree.Cell | tree.Optimizer, extra: tree.Expression) -> str:
    """A hint for those who call a cell like a function."""
    if isinstance(cell, tree.Cell) and isinstance(extra, tree.Reference):
        entry = body.entries.get(extra.name)
        if entry is not None and entry.kind in ("input", "equation", "port", "state"):
            return f"; its input follows in a second pair: `{cell.name.text}(…)({extra.name})`"
    return ""


def signature(cell: tree.Cell | tree.Optimizer) -> str:
    """The head of a cell up to its ports."""
    return f"{cell.name.text}({', '.join(' '.join(each.span.text.split()) for each in cell.statics)})"


def counted(count: int, word: str) -> str:
    """`no arguments`, `one argument`, `2 arguments`."""
    if count == 0:
        return f"no {word}s"
    return f"one {word}" if count == 1 else f"{count} {word}s"


def fit_static(
    body: Body, cell: tree.Cell | tree.Optimizer, static: tree.Static, meaning: Meaning, span: Span
) -> Meaning:
    """A static as its kind asks for it."""
    name = f"`{static.name.text}` of {cell.name.text}"
    if static.kind == "dim":
        return Number(checked_size(body, meaning, span, name))
    if static.kind == "flag":
        if isinstance(meaning, Number) and isinstance(meaning.value, bool):
            return meaning
        raise fail(
            "S0302",
            f"{name} is a flag",
            span,
            f"found {describe(body.shop, meaning)}",
            hint="write `true` or `false`",
        )
    if static.kind == "fn":
        if isinstance(meaning, Builtin | UserFunction | LayerOf):
            return meaning
        raise fail(
            "S0204",
            f"{name} is a function",
            span,
            f"found {describe(body.shop, meaning)}",
            hint="like `tanh`, without its argument",
        )
    if static.kind == "cell":
        if isinstance(meaning, CellValue):
            return meaning
        hint = "like `LSTM(20)`"
        if isinstance(meaning, CellName):
            hint = (
                f"give it its sizes: `{signature(meaning.node)}`"
                if meaning.node.statics
                else f"write `{meaning.node.name.text}()`"
            )
        raise fail(
            "S0204",
            f"{name} is a cell with its sizes",
            span,
            f"found {describe(body.shop, meaning)}",
            hint=hint,
        )
    return real_static(body, name, meaning, span)


def real_static(body: Body, name: str, meaning: Meaning, span: Span) -> Meaning:
    """A `real` static: a number, or a value at run time."""
    if isinstance(meaning, Number) and not isinstance(meaning.value, bool):
        return Number(float(meaning.value))
    value = as_value(body.shop, meaning, Kind.REAL, span)
    type = body.shop.builder.type(value)
    if not type.kind.is_real or type.dims:
        raise fail(
            "S0301",
            f"{name} is a real",
            span,
            f"found {shown(type)}",
            hint=f"write `real({span.text})`" if type.kind.is_integer and len(span.text) < 30 else None,
        )
    return Dynamic(value)
