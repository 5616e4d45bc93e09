"""Calls of functions, cells and layers, by `f(x)` and by `x |> f`: bodies opened, ports bound, results taken.

A function or cell is read in a body of its own each time that it is called; a layer's parameters are shared.
"""

from __future__ import annotations

from seqc.lower import draws, reducers
from seqc.lower.arithmetic import brief, describe
from seqc.lower.body import Body
from seqc.lower.builtins import REDUCERS, Given, apply, extreme
from seqc.lower.cells import cell_value
from seqc.lower.functions import call_function
from seqc.lower.instances import (
    call_instance,
    new_instance,
)
from seqc.lower.labels import peek
from seqc.lower.meaning import (
    INITIALISERS,
    Builtin,
    CellName,
    CellValue,
    Dynamic,
    LayerOf,
    Meaning,
    Number,
    OptimizerName,
    Several,
    UserFunction,
    kind_word,
)
from seqc.lower.statics import signature
from seqc.source.diagnostic import fail
from seqc.syntax import tree


def call(body: Body, node: tree.Call) -> Meaning:
    """`f(a, b)`"""
    function = body.shop.evaluate(body, node.function)
    if isinstance(function, CellName):
        return cell_value(body, function, node)
    if isinstance(function, OptimizerName):
        raise fail("S0204", "an optimizer stands in a `train` record only", node.span, "not here", hint=None)
    if node.overrides and not isinstance(function, Number | Dynamic):
        each = node.overrides[0]
        raise fail(
            "S0303",
            f"{kind_word(function)} takes its arguments by position",
            each.span,
            "given by name",
            hint=f"write `{brief(each.value.span)}` alone" if brief(each.value.span) != "…" else None,
        )
    if isinstance(function, Builtin):
        return builtin(body, function.name, node)
    given = [(body.shop.evaluate(body, each), each.span) for each in node.positional]
    return applied(body, function, given, node.function, node, list(node.positional))


def builtin(body: Body, name: str, node: tree.Call) -> Meaning:
    """A function that the compiler knows."""
    if name in draws.DRAWS:
        return draws.draw(body, name, node)
    if name == "categorical":
        return draws.categorical(body, node)
    given = [(body.shop.evaluate(body, each), each.span) for each in node.positional]
    return known(body, name, given, node)


def known(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """A built-in function or reducer on evaluated arguments."""
    if name in INITIALISERS:
        raise fail(
            "S0204",
            f"`{name}` is an initialiser",
            node.span,
            "not a function",
            hint="it stands right of `=` in a `param`",
        )
    if name in draws.DRAWS or name == "categorical":
        raise fail(
            "S0312", f"`{name}` draws and takes no pipe", node.span, "piped into", hint=f"write `{name}(…)`"
        )
    if name in ("max", "min") and len(given) == 2:
        return extreme(body, name, given, node)
    if name in REDUCERS:
        return reducers.own_dims(body, name, given, node)
    return apply(body, name, given, node)


def pipe(body: Body, node: tree.Pipe) -> Meaning:
    """`x |> f |> g`"""
    meaning, span, source = body.shop.evaluate(body, node.value), node.value.span, node.value
    for stage in node.stages:
        check_stage(body, stage)
        function = body.shop.evaluate(body, stage)
        given: Given = [(meaning, span)]
        if isinstance(meaning, Several):
            raise fail(
                "S0312",
                f"a pipe carries one value, not {len(meaning.items)} results",
                span,
                f"has {len(meaning.items)} results",
                hint="take them apart first: `a, b = …`",
            )
        if isinstance(function, Builtin):
            meaning = known(body, function.name, given, stage)
        else:
            meaning = applied(body, function, given, stage, stage, [source], piped=True)
        span, source = stage.span, stage
    return meaning


def check_stage(body: Body, stage: tree.Expression) -> None:
    """S0312 where a function is called in a pipe: its call would lack an argument."""
    if not isinstance(stage, tree.Call) or not isinstance(stage.function, tree.Reference):
        return
    found = peek(body, stage.function.name)
    if isinstance(found, UserFunction | Builtin):
        arguments = ", ".join(brief(each.span) for each in stage.arguments)
        name = stage.function.name
        raise fail(
            "S0312",
            "a pipe leads into a function, a layer or a cell",
            stage.span,
            "is the result of a call",
            hint=f"write the call itself: `{name}(x, {arguments})`"
            if arguments
            else f"write `{name}` without brackets",
        )


def applied(
    body: Body,
    function: Meaning,
    given: Given,
    place: tree.Expression,
    node: tree.Expression,
    sources: list[tree.Expression],
    piped: bool = False,
) -> Meaning:
    """A function, cell or layer on its arguments."""
    if isinstance(function, UserFunction):
        return call_function(body, function, given, place, node, sources, piped)
    if isinstance(function, CellName):
        hint = (
            f"give it its sizes: `x |> {signature(function.node)}`"
            if function.node.statics
            else f"write `x |> {function.node.name.text}()`"
        )
        raise fail(
            "S0204",
            f"`{function.node.name.text}` is a cell without its sizes",
            place.span,
            "not yet a layer",
            hint=hint,
        )
    if isinstance(function, CellValue):
        if body.kind == "fn":
            raise fail(
                "S0406",
                "a function has no layers",
                place.span,
                "would need parameters or memory",
                hint="write a cell",
            )
        name = body.labels.get(id(place), function.node.name.text.lower())
        instance = new_instance(body, name, function, place.span, ())
        body.anonymous[instance.path] = instance
        return call_instance(body, instance, given, place.span, sources, piped)
    if isinstance(function, LayerOf):
        return call_instance(body, function.instance, given, place.span, sources, piped)
    word = describe(body.shop, function)
    if piped:
        raise fail(
            "S0312", "a pipe leads into a function, a layer or a cell", place.span, f"found {word}", hint=None
        )
    advice = "to multiply write `*`" if isinstance(function, Number | Dynamic) else None
    raise fail("S0204", "this cannot be called", place.span, f"is {word}", hint=advice)
