"""What a name means where it stands: in its body, its file, the prelude or among the built-in names; and `prev`.

Takes a body and a name; gives a meaning. States come into the graph here, the first time that somebody reads one.
"""

from __future__ import annotations

import math
from dataclasses import replace

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.lower.arithmetic import as_value, shown
from seqc.lower.body import Body, Definition, Entry, Slot, Status, article
from seqc.lower.builtins import FUNCTIONS, INITIALISERS, REDUCERS
from seqc.lower.meaning import Builtin, Dynamic, Meaning, NotYet, Number, Numbers, Poisoned
from seqc.lower.names import Module
from seqc.lower.sizes import fit_declared, written_type
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

CONSTANTS: dict[str, float | bool] = {"pi": math.pi, "true": True, "false": False}
COUNTERS = ("step", "steps", "training")


def find(body: Body, name: str, span: Span) -> Meaning:
    """The meaning of a name read at `span`."""
    entry = body.entries.get(name)
    if entry is not None:
        entry.read = True
        if entry.state is not None and entry.definition is None:
            return Dynamic(slot(body, entry, span).value)
        return body.ask(entry, span)
    if name in body.waiting:
        raise NotYet
    for module in (body.module, body.shop.library.prelude):
        meaning = in_module(body, module, name, span)
        if meaning is not None:
            return meaning
    if name in CONSTANTS:
        return Number(CONSTANTS[name])
    if name in COUNTERS:
        return counter(body, name, span)
    if name in FUNCTIONS or name in REDUCERS or name in INITIALISERS:
        return Builtin(name)
    raise unknown_name(body, name, span)


def in_module(body: Body, module: Module, name: str, span: Span) -> Meaning | None:
    """What a file means by a name; None if nothing."""
    if name in module.imports:
        source, original = module.imports[name]
        if not original:
            raise Poisoned
        return in_module(body, source, original, span)
    if name in module.consts:
        inside = body.shop.file_body(module, lambda each: constants(body, each))
        return inside.ask(inside.entries[name], span)
    if name in module.models:
        raise fail("S0204", "a model cannot be used inside another", span, "is a model", hint="put what both share into a cell")
    return module.meanings.get(name)


def constants(body: Body, module: Module) -> Body:
    """The body of a file, which holds its constants."""
    made = Body(body.shop, module, "file", module.name)
    for name, binding in module.consts.items():
        value = binding.value

        def compute(_: Definition, value: tree.Expression = value) -> tuple[Meaning, ...]:
            meaning = body.shop.evaluate(made, value)
            if not isinstance(meaning, Number | Numbers):
                raise fail("S0306", "a `const` is known to the compiler", value.span, "depends on something that is not", hint="constants are made of numbers and other constants")
            return (meaning,)

        made.define(Entry(name, "const", binding.name.span, Definition((name,), "const", binding.name.span, binding, compute)))
    return made


def counter(body: Body, name: str, span: Span) -> Meaning:
    """`step`, `steps` and `training`."""
    shop = body.shop
    if body.kind == "file":
        raise fail("S0306", f"`{name}` is known at run time only", span, "not a constant", hint=None)
    if shop.rule and name != "step":
        raise fail("S0204", f"`{name}` has no meaning in an update", span, "not here", hint="`step` counts the updates so far")
    if name == "training":
        return Dynamic(shop.builder.add("training", type=Type(Kind.BOOL)))
    if name == "steps":
        if shop.length is not None:
            return Dynamic(shop.length)
        return Dynamic(shop.builder.add("steps", type=Type(Kind.INT)))
    axes = NO_AXES if shop.rule else STREAM
    return Dynamic(shop.builder.add("step", type=Type(Kind.INT, (), axes)))


def unknown_name(body: Body, name: str, span: Span) -> SeqError:
    """S0201 with the nearest name and, for habits from elsewhere, what to write."""
    habits = {
        "t": "time has no name; `prev x` is the last step, `step` counts",
        "time": "time has no name; `prev x` is the last step, `step` counts",
        "batch": "rows of a batch cannot be told apart here",
        "True": "write `true`",
        "False": "write `false`",
        "self": "parts of a body are named without `self`",
        "attention": "attention over all past steps is outside the language; a fixed window is `Delay(n)` in `std.cells`",
        "Attention": "attention over all past steps is outside the language; a fixed window is `Delay(n)` in `std.cells`",
        "beam": "beam search is outside the language; `generate` samples or is greedy",
        "None": "there is no empty value",
        "dot": "write `a @ b`",
        "matmul": "write `A @ b`",
        "sigma": "write `sigmoid`",
        "xavier": "write `glorot`",
        "kaiming": "write `normal(deviation)`",
        "he": "write `normal(deviation)`",
        "randn": "write `normal(deviation)`",
        "random": "write `uniform(low, high)`",
    }
    known = [*body.entries, *body.module.meanings, *body.module.consts, *body.module.imports, *body.shop.library.prelude.meanings, *FUNCTIONS, *REDUCERS, *INITIALISERS, *CONSTANTS, *COUNTERS]
    near = nearest(name, known)
    hint = f"did you mean `{near}`?" if near else habits.get(name)
    library = {"Dense", "Gate", "RNN", "LSTM", "GRU", "GRUBefore", "GatedInput", "Embedding", "Dropout", "HeldDropout", "LayerNorm", "Residual", "Both", "Delay"}
    shelf = {"cross_entropy": "losses", "binary_cross_entropy": "losses", "squared": "losses", "absolute": "losses", "huber": "losses"}
    optimizers = {"SGD", "AdaGrad", "AdaDelta", "RMSProp", "Adam", "AdamW", "Lion"}
    if name in library:
        hint = f"write `use std.cells: {name}` above"
    elif name in shelf:
        hint = f"write `use std.{shelf[name]}: {name}` above"
    elif name in optimizers:
        hint = f"write `use std.optim: {name}` above"
    if hint is None and body.kind in ("train", "deploy"):
        hint = "a record is made of numbers, `const`, `dim` and, in an update, `step`"
    return fail("S0201", f"there is no `{name}` here", span, "not defined", hint=hint)


def previous(body: Body, name: tree.Name) -> Meaning:
    """`prev name`."""
    entry = body.entries.get(name.text)
    if entry is None:
        if name.text in body.waiting:
            raise NotYet
        meaning = find(body, name.text, name.span)
        raise not_a_state(name, "a number" if isinstance(meaning, Number) else "not a state")
    entry.past = True
    if entry.state is None:
        raise not_a_state(name, article(entry.kind))
    shop = body.shop
    if loose(body, entry) and body.dotted(entry.name) not in shop.assumed:
        assert isinstance(entry.first, Number)
        shop.unsettled.add(body.dotted(entry.name))
        return entry.first
    return Dynamic(slot(body, entry, name.span).value)


def not_a_state(name: tree.Name, found: str) -> SeqError:
    """S0205"""
    free = "d" if name.text != "d" else "last"
    return fail(
        "S0205",
        "only a state has a past",
        name.span,
        f"`{name.text}` is {found}",
        hint=f"declare one: `state {free} = 0  {free} = {name.text}`, then read `prev {free}`",
    )


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
        raise fail("S0402", f"the first value of `{entry.name}` needs itself", entry.state.value.span, "leads back to it", hint="start it from a number, a parameter or an input")
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
        init = fit_declared(body, meaning, wanted, place, f"the first value of `{entry.name}`", declared.span if declared else None)
        if Axis.TIME in shop.builder.type(init).axes:
            raise fail("S0507", "a first value is one per sequence", place, "has one value per step", hint="start from a parameter, a number or a `once` input")
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
        return Dynamic(fit_declared(body, meaning, wanted, place, f"the equation of `{entry.name}`", declared))
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
