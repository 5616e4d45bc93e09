"""One round over a model: its statements entered, everything evaluated, and what it gives out collected as roots.

Takes a shop and the Tree of a model; gives a draft, whose mistakes lie in the shop's collector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.lower.arithmetic import as_value, brief, describe, shown
from seqc.lower.body import Body, Definition, Entry
from seqc.lower.calls import callers, peek
from seqc.lower.declare import declare, equation_values, finish_states, label
from seqc.lower.meaning import Builtin, Dynamic, LayerOf, Meaning, Number, Poisoned
from seqc.lower.idle import warn
from seqc.lower.order import run
from seqc.lower.program import Hyper, Input
from seqc.lower.shop import Shop
from seqc.lower.sizes import checked_size, fit_declared, written_type
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span
from seqc.syntax import tree


@dataclass(slots=True)
class Draft:
    """A model after one round: `spans` says for each root where its value is written."""

    shop: Shop
    body: Body
    roots: dict[str, int] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    loss: tree.Loss | None = None


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
    declare(body, (each for each in model.body if isinstance(each, tree.Param | tree.State | tree.Layer | tree.Equation)))
    body.callers = callers(body)
    find_length(draft, model)
    settle_dims(draft, model)
    run(body)
    for again in losses[1:]:
        shop.problems.add(fail("S0202", "a model has one loss", again.keyword, "a second one", others=(Label(losses[0].keyword, "first here"),), hint="add the terms: `loss = a + 0.1 * b`"))
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
        return (Number(checked_size(body, body.shop.evaluate(body, binding.value), binding.value.span, f"`{name}`")),)

    body.define(Entry(name, "dim", binding.name.span, Definition((name,), "dim", binding.name.span, binding, compute)))


def enter_hyper(draft: Draft, node: tree.Hyper, knob: tree.Knob) -> None:
    """`hyper drop = 0.3`, `hyper end: index(V) = 0`"""
    body, shop, name = draft.body, draft.shop, knob.name.text

    def compute(_: Definition) -> tuple[Meaning, ...]:
        type = Type(Kind.REAL) if knob.type is None else written_type(body, knob.type)
        if type.dims:
            raise fail("S0304", "a hyper is a scalar", knob.span, f"found {shown(type)}", hint="declare several, or a `param` that is frozen")
        meaning = shop.evaluate(body, knob.value)
        if not isinstance(meaning, Number):
            raise fail("S0306", "a hyper starts from a number", knob.value.span, f"found {describe(shop, meaning)}", hint="what depends on values is an equation")
        as_value(shop, meaning, type.kind, knob.value.span, type.bound)
        shop.hypers[name] = Hyper(name, type, float(meaning.value), *bounds(type), node.doc or "")
        return (Dynamic(shop.builder.add("hyper", type=type, name=name)),)

    body.define(Entry(name, "hyper", knob.name.span, Definition((name,), "hyper", knob.name.span, knob, compute)))


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
        if length:
            type = Type(Kind.INT, (), axes)
        else:
            type = written_type(body, node.type).with_axes(axes)
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
                draft.shop.problems.add(fail("S0309", "a length is an input", node.type.span, "of a target", hint=f"write `input {node.name.text}: length`"))
            elif node.default is not None:
                draft.shop.problems.add(fail("S0309", "a length has no default", node.default.span, "not here", hint="a call that gives none means all steps"))
            elif node.type.bound is not None or node.type.sizes:
                draft.shop.problems.add(fail("S0309", "a length is one number", node.type.span, "has sizes", hint="write `length`"))
            found.append(node)
    if len(found) > 1:
        draft.shop.problems.add(fail("S0309", "a model has one length at most", found[1].span, "a second one", others=(Label(found[0].span, "first here"),), hint="a second sequence is outside the language; further counts are `int once`"))
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


def collect(draft: Draft, model: tree.Model) -> None:
    """The roots, in the order that `program` states."""
    for kind in (tree.Output, tree.Loss, tree.Metric, tree.Until, tree.Input):
        for node in model.body:
            if isinstance(node, kind):
                try:
                    root(draft, node)
                except SeqError as error:
                    draft.shop.problems.add(error)
                except Poisoned:
                    continue
    if not any(isinstance(node, tree.Output | tree.Loss) for node in model.body):
        draft.shop.problems.add(fail("S0217", f"`{model.name.text}` gives nothing", model.name.span, "no output and no loss", hint="write `output y` or `loss = …`"))


def root(draft: Draft, node: tree.Statement) -> None:
    """One thing that a model gives out."""
    body, shop = draft.body, draft.shop
    if isinstance(node, tree.Output):
        if node.value is None and node.name.text not in body.entries:
            from seqc.lower.scope import unknown_name

            raise unknown_name(body, node.name.text, node.name.span)
        meaning = shop.evaluate(body, tree.Reference(node.name.span, node.name.text))
        with shop.at(body, node.span, node.name.text):
            value = as_value(shop, meaning, None, node.name.span)
        put(draft, f"output.{node.name.text}", value, node.name.span if node.value is None else node.value.span)
    elif isinstance(node, tree.Metric):
        meaning = shop.evaluate(body, tree.Reference(node.name.span, node.name.text))
        put(draft, f"metric.{node.name.text}", scalar(draft, meaning, node.value, f"the metric `{node.name.text}`", node.name.text), node.value.span)
    elif isinstance(node, tree.Loss):
        if draft.loss is not None:
            return
        draft.loss = node
        put(draft, "loss", scalar(draft, evaluated(draft, "loss", node.value), node.value, "the loss", "loss"), node.value.span)
    elif isinstance(node, tree.Until):
        until(draft, node)
    elif isinstance(node, tree.Input) and node.default is not None:
        default(draft, node, node.default)


def put(draft: Draft, name: str, value: int, span: Span) -> None:
    """Enters a root."""
    if name not in draft.roots:
        draft.roots[name] = value
        draft.spans[name] = span


def evaluated(draft: Draft, base: str, node: tree.Expression) -> Meaning:
    """An expression that has no name of its own."""
    body, shop = draft.body, draft.shop
    label(body, base, node)
    before, shop.place = shop.place, body.place
    try:
        with shop.at(body, node.span, base):
            return shop.evaluate(body, node)
    finally:
        shop.place = before


def scalar(draft: Draft, meaning: Meaning, node: tree.Expression, what: str, name: str) -> int:
    """A loss or metric: a real without sizes and axes."""
    shop = draft.shop
    with shop.at(draft.body, node.span, name):
        value = as_value(shop, meaning, None, node.span)
        type = shop.builder.type(value)
        if type.kind is Kind.BOOL or (type.kind.is_integer and what == "the loss"):
            raise fail("S0501", f"{what} is a real", node.span, f"found {shown(type)}", hint=f"write `real({brief(node.span)})`")
        if type.axes:
            raise axes_left(draft, type, node, what)
        if type.dims:
            raise fail("S0501", f"{what} still has {type.size} components", node.span, f"found {shown(type)}", hint="add them up by `sum(…)` or `mean(…)`")
        return shop.builder.cast(value, Kind.REAL) if type.kind.is_integer else value


def axes_left(draft: Draft, type: Type, node: tree.Expression, what: str) -> SeqError:
    """S0501 with the place where the missing axis could be reduced."""
    words = {frozenset({Axis.TIME}): "step", frozenset({Axis.BATCH}): "sequence"}
    per = words.get(type.axes, "step of each sequence")
    left = ", ".join(axis.value for axis in Axis if axis in type.axes)
    inner = node
    if isinstance(node, tree.Reduce):
        first, last = node.axes[0].span, node.axes[-1].span
        start = node.span.source.text.rfind("over", node.value.span.end, first.start)
        place = Span(node.span.source, start if start >= 0 else first.start, last.end)
        # the form is `write …, or reduce … first`
        wanted = [axis.value for axis in Axis if axis in type.axes or any(each.text == axis.value for each in node.axes)]
        hint = f"write `over {', '.join(wanted)}`, or reduce {left.replace(', ', ' and ')} first"
    else:
        place = inner.span
        hint = f"write `mean({brief(node.span)} over {left})`"
    return fail("S0501", f"{what} still has one value per {per}", place, f"axes left: {left}", hint=hint)


def until(draft: Draft, node: tree.Until) -> None:
    """`until said == end`: a bool for each step."""
    shop = draft.shop
    if "until" in draft.roots:
        raise fail("S0202", "a model has one `until`", node.span, "a second one", hint="join them by `or`")
    meaning = evaluated(draft, "until", node.condition)
    with shop.at(draft.body, node.span, "until"):
        value = as_value(shop, meaning, None, node.condition.span)
        type = shop.builder.type(value)
        if type.kind is not Kind.BOOL or type.dims:
            raise fail("S0302", "`until` takes a bool", node.condition.span, f"found {shown(type)}", hint="write a comparison, like `said == end`")
        put(draft, "until", shop.builder.broadcast(value, type.with_axes(STREAM)), node.condition.span)


def default(draft: Draft, node: tree.Input, expression: tree.Expression) -> None:
    """`input text: index(V) = prev said`: what the input is where the caller gives none."""
    body, shop = draft.body, draft.shop
    name = node.name.text
    meaning = evaluated(draft, name, expression)
    wanted = shop.inputs[name].type
    with shop.at(body, expression.span, name):
        value = fit_declared(body, meaning, wanted.with_axes(NO_AXES), expression.span, f"the default of `{name}`", node.type.span)
        type = shop.builder.type(value)
        if not type.axes <= wanted.axes:
            raise fail("S0507", f"`{name}` has one value per sequence", expression.span, "has one value per step", hint="leave out `once`")
        put(draft, f"default.{name}", shop.builder.broadcast(value, wanted), expression.span)
