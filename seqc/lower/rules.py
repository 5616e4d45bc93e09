"""The update of parameters of one type: an optimizer, lowered into a small Flow without axes.

Takes an optimizer with its arguments; gives a `Rule` and the hypers that its bare numbers become.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqc.flow.types import NO_AXES, Kind, Type
from seqc.lower.body import Body, Entry, Slot
from seqc.lower.declare import declare
from seqc.lower.deploy import record_body
from seqc.lower.draft import Draft
from seqc.lower.meaning import Dynamic, Meaning, Number, OptimizerName, Poisoned
from seqc.lower.order import run
from seqc.lower.program import Hyper, Rule
from seqc.lower.prune import prune
from seqc.lower.scope import find
from seqc.lower.shop import Problems, Shop
from seqc.lower.states import slot
from seqc.lower.statics import fit_static, given_statics
from seqc.ops.build import Builder
from seqc.source.diagnostic import Collector, SeqError, fail
from seqc.syntax import tree

RANGES: Mapping[str, tuple[float | None, float | None]] = {
    "lr": (0.0, None),
    "eps": (0.0, None),
    "rho": (0.0, 1.0),
    "beta1": (0.0, 1.0),
    "beta2": (0.0, 1.0),
    "momentum": (0.0, 1.0),
    "decay": (0.0, None),
    "max_norm": (0.0, None),
}


ROUND_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Use:
    """One optimizer of a record: `prefix` stands before its hypers, `only` lists what it applies to (None: all)."""

    name: OptimizerName
    call: tree.Call
    prefix: str
    only: frozenset[str] | None


def rule_of(draft: Draft, use: Use, type: Type, hypers: dict[str, Hyper], problems: Collector) -> Rule | None:
    """The update of parameters of one type; None where it has mistakes, which were collected."""
    assumed: dict[str, Type] = {}
    for number in range(ROUND_LIMIT):
        found = Problems()
        shop = Shop(draft.shop.library, found, draft.shop.evaluate, assumed, rule=True, place=NO_AXES)
        made: dict[str, Hyper] = {}
        rule: Rule | None = None
        try:
            rule = one_round(shop, draft, use, type, made)
        except SeqError as error:
            found.add(error)
        except Poisoned:
            pass
        news = {
            name: each
            for name, each in shop.found.items()
            if (name in shop.unsettled or name in assumed) and assumed.get(name) != each
        }
        if not news or number == ROUND_LIMIT - 1:
            for each in (*found.errors, *found.warnings):
                problems.add(each)
            for name, hyper in made.items():
                hypers.setdefault(name, hyper)
            return None if found.errors else rule
        assumed = {**assumed, **news}
    return None


def one_round(shop: Shop, draft: Draft, use: Use, type: Type, hypers: dict[str, Hyper]) -> Rule | None:
    """One evaluation of an optimizer for parameters of one type."""
    node = use.name.node
    caller = record_body(
        Draft(
            shop, Body(shop, draft.body.module, "train", "train", entries=draft.body.entries), dims=draft.dims
        ),
        "train",
    )
    body = Body(shop, use.name.module, "optimizer", node.name.text, place=NO_AXES)
    builder = shop.builder
    builder.body, builder.span = caller, use.call.span
    statics = given_statics(caller, node, use.call)
    for static in node.statics:
        meaning = statics.get(static.name.text)
        if meaning is None:
            assert static.default is not None
            meaning = fit_static(body, node, static, shop.evaluate(body, static.default), static.default.span)
        body.bind(static.name.text, "static", static.name.span, hyper_of(shop, use, static, meaning, hypers))
    weight = enter_ports(body, node, type)
    declare(body, node.body)
    if weight.definition is None:
        raise fail(
            "S0405",
            f"`{node.name.text}` does not say what `{weight.name}` becomes",
            weight.span,
            "a parameter without equation",
            hint=f"write `{weight.name} = prev {weight.name} - …`",
        )
    run(body)
    return gathered(body, weight, node, builder)


def hyper_of(
    shop: Shop, use: Use, static: tree.Static, meaning: Meaning, hypers: dict[str, Hyper]
) -> Meaning:
    """A `real` argument that is a bare number may be set between calls."""
    if static.kind != "real" or not isinstance(meaning, Number):
        return meaning
    name = f"{use.prefix}.{static.name.text}"
    low, high = (
        RANGES.get(static.name.text, (None, None))
        if use.name.module.name.startswith("std/")
        else (None, None)
    )
    value = float(meaning.value)
    if (low is not None and value < low) or (high is not None and value > high):
        limits = f"a number from {low:g}" + (f" to {high:g}" if high is not None else "")
        raise fail(
            "S0307",
            f"`{static.name.text}` is out of range",
            use.call.span,
            f"is {value:g}",
            hint=f"expected {limits}",
        )
    hypers[name] = Hyper(name, Type(Kind.REAL), value, low, high, use.name.node.doc or "")
    return Dynamic(shop.builder.add("hyper", type=Type(Kind.REAL), name=name))


def enter_ports(body: Body, node: tree.Optimizer, type: Type) -> Entry:
    """The parameter, which is a state, and its gradient."""
    if len(node.ports) != 2 or any(port.type is not None for port in node.ports):
        raise fail(
            "S0405",
            "an optimizer has two ports: a parameter and its gradient",
            node.name.span,
            f"found {len(node.ports)}",
            hint=f"write `optimizer {node.name.text}(…)(w, g)`",
        )
    first, second = node.ports
    builder = body.shop.builder
    leaf = builder.add("input", type=type, name="w")
    start = tree.State(
        first.span, None, (first.name,), None, tree.Reference(first.name.span, first.name.text)
    )
    weight = Entry(
        first.name.text, "state", first.name.span, None, start, Slot(type, leaf, None, leaf), loose=False
    )
    body.define(weight)
    body.bind(second.name.text, "port", second.name.span, Dynamic(builder.add("input", type=type, name="g")))
    return weight


def gathered(body: Body, weight: Entry, node: tree.Optimizer, builder: Builder) -> Rule | None:
    """The rule, once everything has been evaluated."""
    if body.shop.problems.errors:
        return None
    roots: dict[str, int] = {"w": value_of(body, weight)}
    states = [entry for entry in body.entries.values() if entry.state is not None and entry is not weight]
    firsts: dict[str, int] = {}
    for entry in states:
        made = slot(body, entry, entry.span)
        roots[entry.name] = builder.broadcast(value_of(body, entry), made.type)
        firsts[f"init.{entry.name}"] = builder.broadcast(made.init, made.type)
    flow, _ = prune(builder.finish({**roots, **firsts}))
    return Rule(node.name.text, flow, tuple(entry.name for entry in states))


def value_of(body: Body, entry: Entry) -> int:
    """The new value of a state."""
    meaning = find(body, entry.name, entry.span)
    assert isinstance(meaning, Dynamic)
    return meaning.index
