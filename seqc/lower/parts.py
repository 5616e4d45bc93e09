"""`layer.part`: parameters, states and equations of a layer, read from outside, as deep as the names go.

Takes a Member node; gives the meaning of what it names. Except for parameters, the layer must be called exactly once.
"""

from __future__ import annotations

from collections.abc import Callable

from seqc.lower import scope
from seqc.lower.arithmetic import brief
from seqc.lower.body import Body, Entry, Status, article
from seqc.lower.cells import Instance
from seqc.lower.meaning import LayerOf, Meaning, NotYet, Poisoned, kind_word
from seqc.source.diagnostic import SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

Reading = Callable[[], Meaning]


def member(body: Body, node: tree.Member) -> Meaning:
    """The meaning of `a.b.c` or `prev a.b`."""
    path: list[tree.Name] = []
    base: tree.Expression = node
    while isinstance(base, tree.Member):
        path.insert(0, base.name)
        base = base.value
    if not isinstance(base, tree.Prev | tree.Reference):
        raise fail(
            "S0204",
            "only a layer has parts",
            base.span,
            "not the name of a layer",
            hint=method(path[0].text, brief(base.span)) or "name it: `layer look = …`, then `look.part`",
        )
    past = isinstance(base, tree.Prev)
    name = base.name if isinstance(base, tree.Reference) else base.name.text
    span = base.span if isinstance(base, tree.Reference) else base.name.span
    try:
        return from_layer(body, name, span, path, past)
    except NotYet:
        if body.waiting or body.shop.probing:
            raise
        if body.shop.problems.errors:
            raise Poisoned from None
        raise fail(
            "S0305",
            f"the parts of `{name}` are not known yet",
            span,
            "depends on how it is called",
            hint=None,
        ) from None


def from_layer(body: Body, name: str, span: Span, path: list[tree.Name], past: bool) -> Meaning:
    """Follows the path into a layer of this body."""
    instance, rest = first_instance(body, name, span, path)
    if not rest:
        raise fail(
            "S0204", "a layer is not a value", span, "names a layer", hint="call it, or read one of its parts"
        )
    owner = body
    while len(rest) > 1:
        inside = parts_body(owner, instance, rest[0].span)
        entry = inside.entries.get(rest[0].text)
        if entry is None or entry.kind != "layer":
            deeper = anonymous(inside, rest)
            if deeper is None:
                raise no_part(instance, rest[0], entry)
            owner, (instance, rest) = inside, deeper
            continue
        owner, instance, rest = inside, layer_of(inside, entry, rest[0].span), rest[1:]
    return read(owner, instance, rest[0], past)


def first_instance(
    body: Body, name: str, span: Span, path: list[tree.Name]
) -> tuple[Instance, list[tree.Name]]:
    """The layer that a path begins with, named or anonymous, and what is left of the path."""
    entry = body.entries.get(name)
    if entry is not None and entry.kind == "layer":
        return layer_of(body, entry, span), path
    named = anonymous(body, [tree.Name(span, name), *path])
    if named is not None:
        return named
    if entry is None:
        scope.find(body, name, span)
    word = article(entry.kind) if entry is not None else "not a layer"
    meant = method(path[0].text, name) or f"to pick a component write `{name}[0]`"
    hint = meant if entry is not None else None
    raise fail("S0204", "only a layer has parts", span, f"`{name}` is {word}", hint=hint)


def method(part: str, of: str) -> str | None:
    """What is written here for what other languages have as a part of a value: `x.T`, `x.sum()`, `x.shape`."""
    if part in ("T", "t", "mT"):
        return f"write `transpose({of})`"
    if part in scope.KNOWN:
        return f"write `{part}({of})`"
    if part in ("shape", "size"):
        return "sizes have names: `dim H = 64` in a model, `x: real[D]` in the port of a cell or function"
    return None


def layer_of(body: Body, entry: Entry, span: Span) -> Instance:
    """The instance of a named layer."""
    meaning = body.ask(entry, span)
    if not isinstance(meaning, LayerOf):
        raise fail("S0204", "only a layer has parts", span, f"is {kind_word(meaning)}", hint=None)
    entry.read = True
    return meaning.instance


def anonymous(body: Body, path: list[tree.Name]) -> tuple[Instance, list[tree.Name]] | None:
    """The anonymous instance `<equation>.<cell>` that a path begins with, once its equation has been read."""
    if len(path) < 2:
        return None
    wanted = body.dotted(f"{path[0].text}.{path[1].text}")
    entry = body.entries.get(path[0].text)
    definition = entry.definition if entry is not None else None
    if wanted not in body.anonymous and definition is not None and definition.status is Status.NEW:
        body.settle(definition, path[0].span)
    found = body.anonymous.get(wanted)
    return None if found is None else (found, path[2:])


def parts_body(owner: Body, instance: Instance, span: Span) -> Body:
    """The body in which the parts of a layer stand; its callers are asked first where they can be."""
    if not instance.calls:
        for definition in owner.callers.get(instance.name, ()):
            if definition.status is Status.NEW:
                owner.settle(definition, span)
    return instance.body()


def read(owner: Body, instance: Instance, name: tree.Name, past: bool) -> Meaning:
    """One part of a layer."""
    inside = instance.body()
    entry = inside.entries.get(name.text)
    if entry is None or entry.kind in ("static", "size", "port"):
        if entry is None and any(port.name.text == name.text for port in inside.results):
            raise Poisoned
        raise no_part(instance, name, entry)
    if entry.kind == "layer":
        raise fail(
            "S0204", "a layer is not a value", name.span, "names a layer", hint="read one of its parts"
        )
    if past:
        if entry.state is None:
            raise scope.not_a_state(name, f"{article(entry.kind)} of `{instance.name}`")
        return first_try(
            owner, instance, lambda: scope.previous(inside, tree.Name(name.span, name.text)), name.span
        )
    if entry.kind != "param":
        parts_body(owner, instance, name.span)
        check_called_once(instance, name.span)
    return first_try(owner, instance, lambda: scope.find(inside, name.text, name.span), name.span)


def first_try(owner: Body, instance: Instance, reading: Reading, span: Span) -> Meaning:
    """Reads a part; where it needs what only a call brings, the callers are asked and it is read again."""
    try:
        return reading()
    except NotYet:
        if instance.calls:
            raise
    owner.shop.probing += 1
    try:
        parts_body(owner, instance, span)
    except NotYet:
        pass
    finally:
        owner.shop.probing -= 1
    try:
        return reading()
    except NotYet:
        raise unknown_yet(instance, span) from None


def unknown_yet(instance: Instance, span: Span) -> SeqError:
    """S0305: a part whose type depends on a call that has not been read."""
    title = f"the type of this part of `{instance.name}` is not known yet"
    if not instance.expected:
        return fail(
            "S0404",
            f"`{instance.name}` is never called",
            span,
            "so it has no such part",
            hint=f"call it: `x |> {instance.name}`",
        )
    return fail(
        "S0305",
        title,
        span,
        "depends on how the layer is called",
        hint="declare the state or parameter in it with sizes of its own",
    )


def check_called_once(instance: Instance, span: Span) -> None:
    """S0404: an equation or state of a layer exists once only where the layer is called once."""
    if len(instance.calls) == 1:
        return
    if not instance.calls:
        if instance.expected:
            return
        raise fail(
            "S0404",
            f"`{instance.name}` is never called",
            span,
            "so it has no values",
            hint=f"call it: `x |> {instance.name}`",
        )
    raise fail(
        "S0404",
        f"`{instance.name}` is called {len(instance.calls)} times",
        span,
        "which of them?",
        hint="parts other than parameters are read of a layer that is called once",
    )


def no_part(instance: Instance, name: tree.Name, entry: Entry | None) -> SeqError:
    """S0203 for a part that a layer lacks."""
    inside = instance.body()
    names = [
        each.name for each in inside.entries.values() if each.kind in ("param", "state", "equation", "layer")
    ]
    near = nearest(name.text, names)
    what = (
        f"is {article(entry.kind)} of {instance.cell.node.name.text}"
        if entry is not None
        else f"not a layer, parameter, state or equation of {instance.cell.node.name.text}"
    )
    return fail(
        "S0203",
        f"{instance.cell.node.name.text} has no part named `{name.text}`",
        name.span,
        what,
        notes=(instance.parts_text(),),
        hint=f"did you mean `{near}`?" if near else None,
    )
