"""Arguments bound to the ports of a called body, and its results taken.

After a mistake the ports are there, but whoever reads them stays silent.
"""

from __future__ import annotations

from seqc.lower.arithmetic import as_value, brief, type_of
from seqc.lower.body import Body, Definition, Entry, Status
from seqc.lower.builtins import Given
from seqc.lower.meaning import (
    Dynamic,
    Meaning,
    Number,
    Poisoned,
    Several,
)
from seqc.lower.sizes import Wanted, fit_port, kind_error, kind_of
from seqc.lower.statics import counted
from seqc.source.diagnostic import SeqError, fail
from seqc.source.span import Span
from seqc.syntax import tree


def check_count(
    title: str, ports: tuple[tree.Port, ...], given: Given, span: Span, piped: bool, name: str
) -> None:
    """S0303 or S0312 where the number of arguments is not that of the ports."""
    if len(given) == len(ports):
        return
    listed = ", ".join(port.name.text for port in ports)
    if piped:
        raise fail(
            "S0312",
            f"{title} has {counted(len(ports), 'port')}",
            span,
            "a pipe brings one value",
            hint=f"write `{name if name.isidentifier() else brief(span)}({listed})`, with each port given",
        )
    place = given[len(ports)][1] if len(given) > len(ports) else span
    raise fail(
        "S0303",
        f"{title} takes {counted(len(ports), 'value')}",
        place,
        "one too many" if len(given) > len(ports) else f"found {len(given)}",
        hint=f"its ports are `{listed}`" if ports else None,
    )


def bind_ports(
    inside: Body,
    ports: tuple[tree.Port, ...],
    given: Given,
    sources: list[tree.Expression],
    caller: Body,
    owner: str,
) -> None:
    """Fits each argument to its port and enters it; after a mistake the ports are there, but unreadable."""
    try:
        for port, (meaning, span), source in zip(ports, given, sources, strict=True):
            inside.waiting.discard(port.name.text)
            if port.type is None:
                fitted: Meaning = (
                    meaning
                    if isinstance(meaning, Number)
                    else Dynamic(as_value(caller.shop, meaning, None, span))
                )
            else:
                if inside.lifted_ports and not isinstance(meaning, Number):
                    fitted = lifted_port(inside, port, meaning, span, owner)
                else:
                    fitted = fit_port(
                        inside,
                        Wanted(port.name.text, port.type, owner),
                        meaning,
                        span,
                        advice(caller, source, meaning),
                    )
            inside.bind(port.name.text, "port", port.name.span, fitted)
    except (SeqError, Poisoned):
        for port in ports:
            if port.name.text not in inside.entries:
                inside.waiting.discard(port.name.text)
                poison = Definition(
                    (port.name.text,), "port", port.name.span, None, lambda _: (), None, Status.POISON
                )
                inside.entries[port.name.text] = Entry(port.name.text, "port", port.name.span, poison)
        raise
    inside.waiting.clear()


def advice(caller: Body, source: tree.Expression, meaning: Meaning) -> tuple[str, ...]:
    """What to do with a vector where a scalar is wanted: where it comes from, and how to pick."""
    type = type_of(caller.shop, meaning)
    if type is None or len(type.dims) != 1 or not isinstance(source, tree.Reference):
        return ()
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    count = words.get(type.dims[0], str(type.dims[0]))
    entry = caller.entries.get(source.name)
    origin = ""
    if (
        entry is not None
        and entry.definition is not None
        and isinstance(entry.definition.node, tree.Equation)
    ):
        value = entry.definition.node.value
        if isinstance(value, tree.Pipe):
            origin = f", from `{brief(value.stages[-1].span)}` on line {value.stages[-1].span.line}"
    return (
        f"`{source.name}` has {count} component{'s' if type.dims[0] > 1 else ''}{origin}; pick one: `{source.name}[0]`",
    )


def lifted_port(inside: Body, port: tree.Port, meaning: Meaning, span: Span, owner: str) -> Meaning:
    """The argument of a lifted function: any shape of the port's kind."""
    assert port.type is not None
    type = type_of(inside.shop, meaning)
    kind = kind_of(port.type)
    value = as_value(inside.shop, meaning, kind, span)
    found = inside.shop.builder.type(value)
    if type is None or found.kind is not kind:
        raise kind_error(Wanted(port.name.text, port.type, owner), found, span)
    return Dynamic(value)


def results(inside: Body) -> Meaning:
    """The results of a body, in the order of its ports."""
    items: list[Meaning] = []
    for port in inside.results:
        entry = inside.entries.get(port.name.text)
        if entry is None or entry.kind in ("port", "static", "size", "param", "layer"):
            hint = (
                f"write `{port.name.text} = …`"
                if entry is None
                else f"`{port.name.text}` is something else here; give the result another name"
            )
            error = fail(
                "S0211",
                f"`{inside.title}` does not say what `{port.name.text}` is",
                port.name.span,
                "a result without equation",
                hint=hint,
            )
            inside.shop.problems.add(error)
            raise Poisoned
        entry.read = True
        items.append(inside.shop.evaluate(inside, tree.Reference(port.name.span, port.name.text)))
    if len(items) == 1:
        return items[0]
    return Several(tuple(port.name.text for port in inside.results), tuple(items))
