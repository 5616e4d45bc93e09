"""Calls of a `fn`: its body read anew each time, over one shape where all its ports are scalars."""

from __future__ import annotations

from seqc.lower import declare
from seqc.lower.arithmetic import describe, type_of
from seqc.lower.body import Body
from seqc.lower.builtins import Given
from seqc.lower.cells import deep_check
from seqc.lower.meaning import (
    Meaning,
    UserFunction,
)
from seqc.lower.order import run
from seqc.lower.ports import bind_ports, check_count, results
from seqc.source.diagnostic import SeqError, fail
from seqc.syntax import tree


def call_function(
    body: Body,
    function: UserFunction,
    given: Given,
    place: tree.Expression,
    node: tree.Expression,
    sources: list[tree.Expression],
    piped: bool,
) -> Meaning:
    """A `fn` on its arguments, read in a body of its own."""
    fn = function.node
    inside = Body(body.shop, function.module, "fn", fn.name.text, body.path, body, place.span, body.depth + 1)
    deep_check(inside)
    check_count(f"`{fn.name.text}`", fn.ports, given, place.span, piped, fn.name.text)
    inside.ports, inside.results, inside.place = fn.ports, fn.results, body.shop.place
    shapes = [
        type.dims
        for type in (type_of(body.shop, meaning) for meaning, _ in given)
        if type is not None and type.dims
    ]
    inside.lifted_ports = bool(shapes) and liftable(fn)
    inside.lifted = body.lifted or inside.lifted_ports
    if inside.lifted_ports and any(shape != shapes[0] for shape in shapes):
        dims = [getattr(type_of(body.shop, meaning), "dims", ()) for meaning, _ in given]
        second = next(i for i, each in enumerate(dims) if each not in ((), shapes[0]))
        raise fail(
            "S0304",
            f"`{fn.name.text}` is lifted over one shape",
            given[second][1],
            f"found {describe(body.shop, given[second][0])}",
            notes=("a scalar goes with any shape, otherwise all shapes must be equal",),
        )
    bind_ports(inside, fn.ports, given, sources, body, f"`{fn.name.text}`")
    if fn.value is not None:
        try:
            meaning = body.shop.evaluate(inside, fn.value)
        except SeqError as error:
            raise inside.with_calls(error) from None
        return meaning
    declare.declare(inside, fn.equations)
    run(inside)
    return results(inside)


def liftable(fn: tree.Fn) -> bool:
    """Whether all ports of a function are scalars."""
    return all(port.type is not None and not port.type.sizes for port in fn.ports) and bool(fn.ports)
