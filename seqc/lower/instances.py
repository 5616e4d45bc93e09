"""Instances of cells: made from a cell value and the overrides from further out, opened as bodies, and called.

A layer's parameters are made once and shared by its calls; everything else is read anew in each.
"""

from __future__ import annotations

from seqc.lower import declare, walk
from seqc.lower.arithmetic import describe
from seqc.lower.body import Body, Definition
from seqc.lower.builtins import Given
from seqc.lower.cells import Instance, Level, addressable, deep_check, no_part
from seqc.lower.idle import warn
from seqc.lower.labels import label
from seqc.lower.meaning import (
    CellName,
    CellValue,
    Dynamic,
    LayerOf,
    Meaning,
    Number,
    Poisoned,
)
from seqc.lower.names import Module
from seqc.lower.order import run
from seqc.lower.ports import bind_ports, check_count, results
from seqc.lower.sizes import inferred, referred
from seqc.lower.statics import fit_static, signature
from seqc.source.diagnostic import fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

RANGES = {("Dropout", "p"): (0.0, 0.999), ("HeldDropout", "p"): (0.0, 0.999)}
"""Ranges of arguments that may be hypers: where everything is dropped, nothing is left to scale up."""


def new_instance(body: Body, name: str, cell: CellValue, span: Span, levels: tuple[Level, ...]) -> Instance:
    """An instance of a cell value in a body; `levels` are overrides from further out."""
    own = tuple((closure.path, closure) for closure in cell.overrides)
    path = body.dotted(name)
    instance = Instance(name, cell, (*levels, own), body, span, path)
    instance.make = open_body
    for level in instance.levels:
        for each, closure in level:
            check_part(instance, each, closure.path)
    return instance


def check_part(instance: Instance, path: tuple[tree.Name, ...], whole: tuple[tree.Name, ...]) -> None:
    """S0203 for an override that came from further out and names nothing here."""
    known = addressable(instance.cell.node)
    if path[0].text not in known:
        near = nearest(path[0].text, known)
        before = whole[: len(whole) - len(path)]
        raise no_part(
            instance.cell.node, path[0], ".".join([*(each.text for each in before), near]) if near else None
        )


def bind_layer(body: Body, name: tree.Name, node: tree.Layer) -> Meaning:
    """`layer i = Gate(H)`: what an override puts in its place, or what the declaration says."""
    override = body.instance.override(name.text) if body.instance is not None else None
    levels = body.instance.below(name.text) if body.instance is not None else ()
    if override is None:
        label(body, name.text, node.value)
    value = node.value if override is None else override.value
    meaning = (
        body.shop.evaluate(body, node.value)
        if override is None or body.instance is None
        else body.instance.read(override)
    )
    if isinstance(meaning, CellName):
        hint = (
            f"give it its sizes: `{signature(meaning.node)}`"
            if meaning.node.statics
            else f"write `{meaning.node.name.text}()`"
        )
        raise fail(
            "S0204", "a layer is a cell with its sizes", value.span, "a cell without its sizes", hint=hint
        )
    if not isinstance(meaning, CellValue):
        advice = "a value is an equation: leave out `layer`" if isinstance(meaning, Dynamic) else None
        raise fail(
            "S0204",
            "a layer is a cell with its sizes",
            value.span,
            f"found {describe(body.shop, meaning)}",
            hint=advice,
        )
    instance = new_instance(body, name.text, meaning, value.span, levels)
    instance.expected = bool(body.callers.get(name.text))
    return LayerOf(instance)


def open_body(instance: Instance) -> Body:
    """The body of a cell, its statics bound and its statements declared; its ports are still waited for."""
    cell, owner = instance.cell, instance.owner
    node = cell.node
    body = Body(
        owner.shop, cell.module, "cell", node.name.text, instance.path, owner, instance.span, owner.depth + 1
    )
    deep_check(body)
    body.instance, body.ports, body.results, body.place = instance, node.ports, node.results, owner.shop.place
    body.waiting = waiting_names(node.ports, cell.module, {static.name.text for static in node.statics})
    bind_statics(body, instance)
    try:
        for port in node.ports:
            body.waiting.add(port.name.text)
        declare.declare(body, node.body)
    except Poisoned:
        pass
    body.callers = callers(body)
    return body


def waiting_names(ports: tuple[tree.Port, ...], module: Module, known: set[str]) -> set[str]:
    """The sizes that the ports will bring."""
    found: set[str] = set()
    for port in ports:
        if port.type is None:
            continue
        for each in (*port.type.sizes, *((port.type.bound,) if port.type.bound is not None else ())):
            found.update(name for name in referred(each) if name not in known and inferred(module, name))
    return found


def bind_statics(body: Body, instance: Instance) -> None:
    """The statics of an instance: overridden from outside, given, or their defaults."""
    node = instance.cell.node
    for static in node.statics:
        name = static.name.text
        override = instance.override(name)
        if override is not None:
            meaning = fit_static(override.body, node, static, instance.read(override), override.value.span)
        elif name in instance.cell.statics:
            meaning = instance.cell.statics[name]
        else:
            assert static.default is not None
            meaning = fit_static(
                body, node, static, body.shop.evaluate(body, static.default), static.default.span
            )
        limits = cell_range(instance, name)
        if limits is not None:
            check_range(body, instance, static, meaning, limits)
        body.bind(name, "static", static.name.span, meaning)


def cell_range(instance: Instance, name: str) -> tuple[float, float] | None:
    """The range that an argument of a cell of the library has."""
    if not instance.cell.module.name.startswith("std/"):
        return None
    return RANGES.get((instance.cell.node.name.text, name))


def check_range(
    body: Body, instance: Instance, static: tree.Static, meaning: Meaning, limits: tuple[float, float]
) -> None:
    """S0307 for a number outside its range; a hyper is held to the range from now on."""
    found = meaning.value if isinstance(meaning, Number) else None
    if isinstance(meaning, Dynamic):
        hyper = body.shop.bound(meaning.index, *limits)
        found = None if hyper is None else hyper.value
    if isinstance(found, int | float) and not limits[0] <= found <= limits[1]:
        raise fail(
            "S0307",
            f"`{static.name.text}` of `{instance.cell.node.name.text}` is out of range",
            instance.span,
            f"is {found:g}",
            hint=f"expected a number from {limits[0]:g} to {limits[1]:g}",
        )


def callers(body: Body) -> dict[str, list[Definition]]:
    """For each layer the definitions that call it; who calls a layer may call those that it was given, too."""
    found: dict[str, list[Definition]] = {}
    holders: dict[str, list[str]] = {}
    for name, entry in body.entries.items():
        definition = entry.definition
        if definition is None or not hasattr(definition.node, "value"):
            continue
        called, given = used(body, definition.node.value)
        if entry.kind == "layer":
            for each in given:
                holders.setdefault(each, []).append(name)
            given = []
        for each in dict.fromkeys((*called, *given)):
            users = found.setdefault(each, [])
            if definition not in users:
                users.append(definition)
    for name in holders:
        pending, seen = [name], {name}
        while pending:
            for each in holders.get(pending.pop(), ()):
                if each not in seen:
                    seen.add(each)
                    pending.append(each)
                    users = found.setdefault(name, [])
                    users += [user for user in found.get(each, ()) if user not in users]
    return found


def used(body: Body, value: tree.Expression) -> tuple[list[str], list[str]]:
    """The names of this body that an expression calls, and the layers that it gives to what it calls."""
    called: list[tree.Expression] = []
    given: list[tree.Expression] = []
    for each in walk.nodes(value):
        if isinstance(each, tree.Call):
            called.append(each.function)
            given += [*each.positional, *(override.value for override in each.overrides)]
        elif isinstance(each, tree.Pipe):
            called += each.stages
    names = [
        [each.name for each in some if isinstance(each, tree.Reference) and each.name in body.entries]
        for some in (called, given)
    ]
    return names[0], [name for name in names[1] if body.entries[name].kind == "layer"]


def call_instance(
    body: Body, instance: Instance, given: Given, span: Span, sources: list[tree.Expression], piped: bool
) -> Meaning:
    """A layer on its inputs."""
    node = instance.cell.node
    check_count(f"`{node.name.text}`", node.ports, given, span, piped, instance.name)
    inside = instance.body() if not instance.calls else open_body(instance)
    inside.parent, inside.call, inside.depth = body, span, body.depth + 1
    if instance.calls and has_state(inside):
        raise fail(
            "S0401",
            f"`{instance.name}` has memory and is called twice",
            span,
            "a second call",
            hint="a layer with memory is called once; declare two layers",
        )
    instance.calls.append(inside)
    body.shop.called.append(instance)
    inside.place = body.shop.place
    inside.lifted = body.lifted
    bind_ports(inside, node.ports, given, sources, body, f"`{node.name.text}`")
    run(inside)
    warn(inside)
    return results(inside)


def has_state(body: Body) -> bool:
    """Whether a cell has memory of its own or in its layers."""
    if any(entry.state is not None for entry in body.entries.values()):
        return True
    for entry in body.entries.values():
        if entry.kind == "layer" and entry.definition is not None:
            try:
                meaning = body.ask(entry, None)
            except Poisoned:
                continue
            if isinstance(meaning, LayerOf) and has_state(meaning.instance.body()):
                return True
    return any(has_state(each.body()) for each in body.anonymous.values())
