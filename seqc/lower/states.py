"""States: their first value, their type, the leaf that reads them, and the closing of the recurrence.

A state comes into the graph the first time that somebody reads it, and is closed when its equation is known too.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.lower.arithmetic import as_value, shown
from seqc.lower.body import Body, Entry, Slot, Status
from seqc.lower.meaning import Dynamic, Meaning, Number
from seqc.lower.sizes import fit_declared, written_type
from seqc.source.diagnostic import Label, fail
from seqc.source.span import Span


def loose(body: Body, entry: Entry) -> bool:
    """Whether only its equation tells the type of a state: it starts from a bare number and declares none."""
    assert entry.state is not None
    if entry.state.type is not None or entry.definition is None:
        return False
    if entry.loose is None:
        meaning, _ = initial(body, entry)
        entry.loose = isinstance(meaning, Number)
        entry.first = meaning
    return entry.loose


def initial(body: Body, entry: Entry) -> tuple[Meaning, Span]:
    """The value before the first step, and where it is written."""
    assert entry.state is not None
    shop = body.shop
    if entry.opening:
        raise fail(
            "S0402",
            f"the first value of `{entry.name}` needs itself",
            entry.state.value.span,
            "leads back to it",
            hint="start it from a number, a parameter or an input",
        )
    entry.opening = True
    before, shop.place = shop.place, NO_AXES if shop.rule else ONCE
    try:
        override = body.instance.override(entry.name) if body.instance is not None else None
        with shop.at(body, entry.span, body.dotted(entry.name)):
            if override is not None:
                assert body.instance is not None
                return body.instance.read(override), override.value.span
            return shop.evaluate(body, entry.state.value), entry.state.value.span
    finally:
        shop.place = before
        entry.opening = False


def slot(body: Body, entry: Entry, span: Span) -> Slot:
    """The state in the graph; made when it is first read."""
    if entry.slot is not None:
        return entry.slot
    if entry.making:
        raise fail(
            "S0402",
            f"the type of `{entry.name}` needs itself",
            span,
            "leads back to it",
            hint="types are made of numbers and sizes",
        )
    entry.making = True
    try:
        return new_slot(body, entry)
    finally:
        entry.making = False


def new_slot(body: Body, entry: Entry) -> Slot:
    """The state in the graph, with the type that its declaration, first value or equation tells."""
    meaning, place = initial(body, entry)
    if entry.slot is not None:
        return entry.slot
    assert entry.state is not None
    shop, name = body.shop, body.dotted(entry.name)
    with shop.at(body, entry.span, name):
        declared = entry.state.type
        if declared is not None:
            wanted = written_type(body, declared)
        elif isinstance(meaning, Number):
            wanted = shop.assumed.get(name) or shop.found.get(name) or Type(Kind.REAL)
        else:
            wanted = replace(shop.builder.type(as_value(shop, meaning, None, place)), axes=NO_AXES)
        init = fit_declared(
            body,
            meaning,
            wanted,
            place,
            f"the first value of `{entry.name}`",
            declared.span if declared else None,
        )
        if Axis.TIME in shop.builder.type(init).axes:
            raise fail(
                "S0507",
                "a first value is one per sequence",
                place,
                "has one value per step",
                hint="start from a parameter, a number or a `once` input",
            )
        entry.slot = made_slot(body, entry, wanted, init, name)
    finish(body, entry)
    return entry.slot


def made_slot(body: Body, entry: Entry, wanted: Type, init: int, name: str) -> Slot:
    """The leaf that reads a state: of the graph, or in a rule an input of the rule."""
    builder = body.shop.builder
    if body.shop.rule:
        return Slot(wanted, builder.add("input", type=wanted, name=entry.name), None, init)
    axes = STREAM if entry.definition is not None else ONCE
    number = builder.state(name, wanted.with_axes(axes))
    return Slot(wanted, builder.prev(number), number, init)


def finish(body: Body, entry: Entry) -> None:
    """Closes the recurrence of a state once both its leaf and its equation are known."""
    slot = entry.slot
    if slot is None or slot.defined or slot.number is None:
        return
    builder = body.shop.builder
    if entry.definition is None:
        builder.define(slot.number, slot.init, slot.value)
        slot.defined = True
        return
    if entry.definition.status is not Status.DONE:
        return
    meaning = entry.definition.meanings[entry.definition.names.index(entry.name)]
    assert isinstance(meaning, Dynamic)
    with body.shop.at(body, entry.span, body.dotted(entry.name)):
        builder.define(slot.number, slot.init, meaning.index)
    slot.defined = True


def next_value(body: Body, entry: Entry, meaning: Meaning, place: Span) -> Meaning:
    """What an equation gives to its state, in the state's type; notes the type where only the equation tells it."""
    assert entry.state is not None
    shop, name = body.shop, body.dotted(entry.name)
    if not loose(body, entry):
        wanted = slot(body, entry, place).type
        declared = entry.state.type.span if entry.state.type is not None else entry.state.value.span
        return Dynamic(
            fit_declared(body, meaning, wanted, place, f"the equation of `{entry.name}`", declared)
        )
    assumed = shop.assumed.get(name)
    value = as_value(shop, meaning, assumed.kind if assumed is not None else None, place)
    type = replace(shop.builder.type(value), axes=NO_AXES)
    shop.found[name] = type
    if assumed is None or (assumed.kind, assumed.dims, assumed.bound) == (type.kind, type.dims, type.bound):
        return Dynamic(value)
    if isinstance(meaning, Number) and assumed.kind is type.kind:
        shop.found[name] = assumed
        return Dynamic(value)
    raise fail(
        "S0305",
        f"the type of `{entry.name}` cannot be told from its equation",
        place,
        f"found {shown(type)}",
        others=(Label(entry.span, f"assumed {shown(assumed)}"),),
        hint=f"declare it: `state {entry.name}: {shown(type)} = …`",
    )
