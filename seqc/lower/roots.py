"""What a model gives out: outputs, loss, metrics, `until` and the defaults of inputs, each a root of the graph.

Takes a draft whose body has been evaluated; adds the roots in the order that `program` states.
"""

from __future__ import annotations

from seqc.flow.types import NO_AXES, STREAM, Axis, Kind, Type
from seqc.lower.arithmetic import as_value, brief, shown
from seqc.lower.draft import Draft
from seqc.lower.labels import label
from seqc.lower.meaning import Meaning, Poisoned
from seqc.lower.scope import unknown_name
from seqc.lower.sizes import fit_declared
from seqc.source.diagnostic import SeqError, fail
from seqc.source.span import Span
from seqc.syntax import tree


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
        draft.shop.problems.add(
            fail(
                "S0217",
                f"`{model.name.text}` gives nothing",
                model.name.span,
                "no output and no loss",
                hint="write `output y` or `loss = …`",
            )
        )


def root(draft: Draft, node: tree.Statement) -> None:
    """One thing that a model gives out."""
    body, shop = draft.body, draft.shop
    if isinstance(node, tree.Output):
        if node.value is None and node.name.text not in body.entries:
            raise unknown_name(body, node.name.text, node.name.span)
        meaning = shop.evaluate(body, tree.Reference(node.name.span, node.name.text))
        with shop.at(body, node.span, node.name.text):
            value = as_value(shop, meaning, None, node.name.span)
        put(
            draft,
            f"output.{node.name.text}",
            value,
            node.name.span if node.value is None else node.value.span,
        )
    elif isinstance(node, tree.Metric):
        meaning = shop.evaluate(body, tree.Reference(node.name.span, node.name.text))
        put(
            draft,
            f"metric.{node.name.text}",
            scalar(draft, meaning, node.value, f"the metric `{node.name.text}`", node.name.text),
            node.value.span,
        )
    elif isinstance(node, tree.Loss):
        if draft.loss is not None:
            return
        draft.loss = node
        put(
            draft,
            "loss",
            scalar(draft, evaluated(draft, "loss", node.value), node.value, "the loss", "loss"),
            node.value.span,
        )
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
            raise fail(
                "S0501",
                f"{what} is a real",
                node.span,
                f"found {shown(type)}",
                hint=f"write `real({brief(node.span)})`",
            )
        if type.axes:
            raise axes_left(draft, type, node, what)
        if type.dims:
            raise fail(
                "S0501",
                f"{what} still has {type.size} components",
                node.span,
                f"found {shown(type)}",
                hint="add them up by `sum(…)` or `mean(…)`",
            )
        return shop.builder.cast(value, Kind.REAL)


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
        wanted = [
            axis.value
            for axis in Axis
            if axis in type.axes or any(each.text == axis.value for each in node.axes)
        ]
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
            raise fail(
                "S0302",
                "`until` takes a bool",
                node.condition.span,
                f"found {shown(type)}",
                hint="write a comparison, like `said == end`",
            )
        put(draft, "until", shop.builder.broadcast(value, type.with_axes(STREAM)), node.condition.span)


def default(draft: Draft, node: tree.Input, expression: tree.Expression) -> None:
    """`input text: index(V) = prev said`: what the input is where the caller gives none."""
    body, shop = draft.body, draft.shop
    name = node.name.text
    meaning = evaluated(draft, name, expression)
    if name not in shop.inputs:
        raise Poisoned
    wanted = shop.inputs[name].type
    with shop.at(body, expression.span, name):
        value = fit_declared(
            body,
            meaning,
            wanted.with_axes(NO_AXES),
            expression.span,
            f"the default of `{name}`",
            node.type.span,
        )
        type = shop.builder.type(value)
        if not type.axes <= wanted.axes:
            raise fail(
                "S0507",
                f"`{name}` has one value per sequence",
                expression.span,
                "has one value per step",
                hint="leave out `once`",
            )
        put(draft, f"default.{name}", shop.builder.broadcast(value, wanted), expression.span)
