"""One round over a model: its statements entered, everything evaluated, and what it gives out collected as roots.

Takes a shop and the Tree of a model; gives a draft, whose mistakes lie in the shop's collector.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.flow.types import ONCE, STREAM, Kind, Type
from seqc.lower.arithmetic import as_value, describe, shown
from seqc.lower.body import Body, Definition, Entry
from seqc.lower.declare import declare, equation_values, finish_states
from seqc.lower.draft import Draft
from seqc.lower.idle import warn
from seqc.lower.instances import callers
from seqc.lower.meaning import Dynamic, Meaning, Number, Poisoned
from seqc.lower.order import run
from seqc.lower.program import Hyper, Input
from seqc.lower.roots import collect
from seqc.lower.shop import Shop
from seqc.lower.sizes import checked_size, written_type
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.syntax import tree


def evaluate_model(shop: Shop, model: tree.Model, dims: Mapping[str, int]) -> Draft:
    """See the head of the file."""
    body = Body(shop, shop.library.main, "model", model.name.text)
    draft = Draft(shop, body)
    losses: list[tree.Loss] = []
    shop.builder.body, shop.builder.span = body, model.name.span
    for statement in model.body:
        try:
            enter(draft, statement, dims)
        except SeqError as error:
            shop.problems.add(error)
        if isinstance(statement, tree.Loss):
            losses.append(statement)
    declare(
        body,
        (
            each
            for each in model.body
            if isinstance(each, tree.Param | tree.State | tree.Layer | tree.Equation)
        ),
    )
    body.callers = callers(body)
    find_length(draft, model)
    settle_dims(draft, model)
    run(body)
    for again in losses[1:]:
        shop.problems.add(
            fail(
                "S0202",
                "a model has one loss",
                again.keyword,
                "a second one",
                others=(Label(losses[0].keyword, "first here"),),
                hint="add the terms: `loss = a + 0.1 * b`",
            )
        )
    collect(draft, model)
    warn(body)
    return draft


def enter(draft: Draft, node: tree.Statement, dims: Mapping[str, int]) -> None:
    """Enters what only a model has."""
    body = draft.body
    if isinstance(node, tree.Dim):
        for binding in node.bindings:
            enter_dim(draft, binding, dims)
    elif isinstance(node, tree.Hyper):
        for knob in node.knobs:
            enter_hyper(draft, node, knob)
    elif isinstance(node, tree.Input | tree.Target):
        enter_input(draft, node)
    elif isinstance(node, tree.Output | tree.Metric) and node.value is not None:
        value, word = node.value, "output" if isinstance(node, tree.Output) else "metric"

        def compute(_: Definition) -> tuple[Meaning, ...]:
            return equation_values(body, tree.Equation(node.span, None, (node.name,), value))

        definition = Definition((node.name.text,), word, node.name.span, node, compute)
        first = body.entries.get(node.name.text)
        if first is not None and first.state is not None and first.definition is None:
            first.definition = definition
            definition.after = lambda: finish_states(body, (node.name.text,))
        else:
            body.define(Entry(node.name.text, word, node.name.span, definition))


def enter_dim(draft: Draft, binding: tree.Binding, dims: Mapping[str, int]) -> None:
    """`dim V = 65`, or what the caller says instead."""
    body, name = draft.body, binding.name.text

    def compute(_: Definition) -> tuple[Meaning, ...]:
        if name in dims:
            return (Number(checked_size(body, Number(dims[name]), binding.name.span, f"`{name}`")),)
        return (
            Number(
                checked_size(body, body.shop.evaluate(body, binding.value), binding.value.span, f"`{name}`")
            ),
        )

    body.define(
        Entry(name, "dim", binding.name.span, Definition((name,), "dim", binding.name.span, binding, compute))
    )


def enter_hyper(draft: Draft, node: tree.Hyper, knob: tree.Knob) -> None:
    """`hyper drop = 0.3`, `hyper end: index(V) = 0`"""
    body, shop, name = draft.body, draft.shop, knob.name.text

    def compute(_: Definition) -> tuple[Meaning, ...]:
        type = Type(Kind.REAL) if knob.type is None else written_type(body, knob.type)
        if type.dims:
            raise fail(
                "S0304",
                "a hyper is a scalar",
                knob.span,
                f"found {shown(type)}",
                hint="declare several, or a `param` that is frozen",
            )
        meaning = shop.evaluate(body, knob.value)
        if not isinstance(meaning, Number):
            raise fail(
                "S0306",
                "a hyper starts from a number",
                knob.value.span,
                f"found {describe(shop, meaning)}",
                hint="what depends on values is an equation",
            )
        as_value(shop, meaning, type.kind, knob.value.span, type.bound)
        shop.hypers[name] = Hyper(name, type, float(meaning.value), *bounds(type), node.doc or "")
        return (Dynamic(shop.builder.add("hyper", type=type, name=name)),)

    body.define(
        Entry(name, "hyper", knob.name.span, Definition((name,), "hyper", knob.name.span, knob, compute))
    )


def bounds(type: Type) -> tuple[float | None, float | None]:
    """The range that a type implies."""
    if type.kind is Kind.INDEX and type.bound is not None:
        return 0.0, float(type.bound - 1)
    return None, None


def enter_input(draft: Draft, node: tree.Input | tree.Target) -> None:
    """`input x: real[4] once`, `target y: index(V)`"""
    body, shop, name = draft.body, draft.shop, node.name.text
    target = isinstance(node, tree.Target)

    def compute(_: Definition) -> tuple[Meaning, ...]:
        length = node.type.name.text == "length"
        axes = ONCE if node.once or length else STREAM
        type = Type(Kind.INT, (), axes) if length else written_type(body, node.type).with_axes(axes)
        default = isinstance(node, tree.Input) and node.default is not None
        shop.inputs[name] = Input(name, type, target, length, default, node.doc or "")
        value = shop.builder.add("input", type=type, name=name)
        if length:
            shop.length = value
        return (Dynamic(value),)

    kind = "target" if target else "input"
    body.define(Entry(name, kind, node.name.span, Definition((name,), kind, node.name.span, None, compute)))


def find_length(draft: Draft, model: tree.Model) -> None:
    """The one input that says how many steps of a row are real; read before anything asks for `steps`."""
    found: list[tree.Input | tree.Target] = []
    for node in model.body:
        if isinstance(node, tree.Input | tree.Target) and node.type.name.text == "length":
            if isinstance(node, tree.Target):
                draft.shop.problems.add(
                    fail(
                        "S0309",
                        "a length is an input",
                        node.type.span,
                        "of a target",
                        hint=f"write `input {node.name.text}: length`",
                    )
                )
            elif node.default is not None:
                draft.shop.problems.add(
                    fail(
                        "S0309",
                        "a length has no default",
                        node.default.span,
                        "not here",
                        hint="a call that gives none means all steps",
                    )
                )
            elif node.type.bound is not None or node.type.sizes:
                draft.shop.problems.add(
                    fail(
                        "S0309", "a length is one number", node.type.span, "has sizes", hint="write `length`"
                    )
                )
            found.append(node)
    if len(found) > 1:
        draft.shop.problems.add(
            fail(
                "S0309",
                "a model has one length at most",
                found[1].span,
                "a second one",
                others=(Label(found[0].span, "first here"),),
                hint="a second sequence is outside the language; further counts are `int once`",
            )
        )
    for node in found[:1]:
        entry = draft.body.entries.get(node.name.text)
        if entry is not None and entry.definition is not None:
            try:
                draft.body.settle(entry.definition, None)
            except Poisoned:
                continue


def settle_dims(draft: Draft, model: tree.Model) -> None:
    """The sizes of the model, by name."""
    for statement in model.body:
        if isinstance(statement, tree.Dim):
            for binding in statement.bindings:
                entry = draft.body.entries[binding.name.text]
                try:
                    meaning = draft.body.ask(entry, None)
                except Poisoned:
                    continue
                if isinstance(meaning, Number):
                    draft.dims[binding.name.text] = int(meaning.value)
