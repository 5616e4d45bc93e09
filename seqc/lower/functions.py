"""Calls of a `fn`: its body read anew each time, over one shape where all its ports are scalars.

Where arguments have more sizes than their ports, the body is read for the first element and then made for all of them.
"""

from __future__ import annotations

from seqc.lower import declare
from seqc.lower.arithmetic import as_value, brief, describe, type_of
from seqc.lower.body import Body
from seqc.lower.builtins import Given
from seqc.lower.cells import deep_check
from seqc.lower.each import Each
from seqc.lower.meaning import Dynamic, Meaning, Number, Several, UserFunction
from seqc.lower.order import run
from seqc.lower.ports import bind_ports, check_count, results
from seqc.lower.sizes import kind_of
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span
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
    each: Each | None = None
    if liftable(fn):
        lift(inside, fn, given)
    elif front := in_front(body, fn, given):
        each = Each(body.shop, front)
        given = [first(each, port, argument) for port, argument in zip(fn.ports, given, strict=True)]
    inside.lifted = body.lifted or inside.lifted_ports
    bind_ports(inside, fn.ports, given, sources, body, f"`{fn.name.text}`")
    if fn.value is not None:
        try:
            meaning = body.shop.evaluate(inside, fn.value)
        except SeqError as error:
            raise inside.with_calls(error) from None
    else:
        declare.declare(inside, fn.equations)
        run(inside)
        meaning = results(inside)
    return meaning if each is None else for_all(body, fn, each, meaning, place.span)


def liftable(fn: tree.Fn) -> bool:
    """Whether all ports of a function are scalars."""
    return all(port.type is not None and not port.type.sizes for port in fn.ports) and bool(fn.ports)


def lift(inside: Body, fn: tree.Fn, given: Given) -> None:
    """Makes the body of a function of scalars one over the shape of its arguments, if they have one."""
    found = [getattr(type_of(inside.shop, meaning), "dims", ()) for meaning, _ in given]
    shapes = [dims for dims in found if dims]
    inside.lifted_ports = bool(shapes)
    if any(shape != shapes[0] for shape in shapes):
        second = next(i for i, each in enumerate(found) if each not in ((), shapes[0]))
        raise fail(
            "S0304",
            f"`{fn.name.text}` is lifted over one shape",
            given[second][1],
            f"found {describe(inside.shop, given[second][0])}",
            notes=("a scalar goes with any shape, otherwise all shapes must be equal",),
        )


def in_front(body: Body, fn: tree.Fn, given: Given) -> tuple[int, ...]:
    """The sizes that arguments have in front of those of their ports: the same ones, wherever there are any. A vector for
    a scalar asks for nothing by itself."""
    types = [type_of(body.shop, meaning) for meaning, _ in given]
    found: tuple[tuple[int, ...], Span] | None = None
    for port, type, (meaning, span) in zip(fn.ports, types, given, strict=True):
        if port.type is None or type is None:
            return ()
        front = type.dims[: max(len(type.dims) - len(port.type.sizes), 0)]
        if not front or not port.type.sizes:
            continue
        if found is not None and front != found[0]:
            raise fail(
                "S0304",
                f"`{fn.name.text}` is applied along equal sizes",
                span,
                f"found {describe(body.shop, meaning)}, {sized(front)} in front of `{port.name.text}`",
                others=(Label(found[1], f"{sized(found[0])} in front"),),
                notes=(
                    "sizes in front of what the ports declare are those along which a function is applied",
                ),
            )
        found = found or (front, span)
    return found[0] if found is not None else ()


def sized(dims: tuple[int, ...]) -> str:
    """Sizes as they stand in a type."""
    return f"[{', '.join(map(str, dims))}]"


def first(each: Each, port: tree.Port, argument: tuple[Meaning, Span]) -> tuple[Meaning, Span]:
    """What the body reads of an argument: its first element, or the whole where it has no sizes in front."""
    meaning, span = argument
    type = type_of(each.shop, meaning)
    assert port.type is not None and type is not None
    if type.dims[: len(type.dims) - len(port.type.sizes)] != each.lead:
        return argument
    return Dynamic(each.first(as_value(each.shop, meaning, kind_of(port.type), span))), span


def for_all(body: Body, fn: tree.Fn, each: Each, meaning: Meaning, place: Span) -> Meaning:
    """What the body gives for all elements."""
    alone = each.repeat()
    if alone is not None:
        raise fail(
            "S0313",
            f"`{fn.name.text}` cannot be applied along {sized(each.lead)}",
            place,
            "called with more sizes than its ports have",
            others=(Label(alone.span, f"`{brief(alone.span)}` sees one vector alone"),),
            hint="call it for each element by itself, as in `f(x[0])`",
        )
    if isinstance(meaning, Several):
        return Several(meaning.names, tuple(result(each, item, place) for item in meaning.items))
    return result(each, meaning, place)


def result(each: Each, meaning: Meaning, place: Span) -> Meaning:
    """A result for all elements; a number goes with any shape."""
    return (
        meaning
        if isinstance(meaning, Number)
        else Dynamic(each.result(as_value(each.shop, meaning, None, place)))
    )
