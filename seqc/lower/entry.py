"""From files to programs: each model evaluated until its types are settled, checked, pruned, and given its records.

`lower` gives one Program for each model of the first file; `check` gives the warnings beside them. Both raise all
independent mistakes together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from seqc.flow.types import Type
from seqc.lower import expression
from seqc.lower.deploy import deploys_of
from seqc.lower.draft import Draft
from seqc.lower.legality import check_flow, streaming
from seqc.lower.model import evaluate_model
from seqc.lower.names import Library, Module, Read, load
from seqc.lower.program import Deploy, Input, Program, Rule, Train
from seqc.lower.prune import prune
from seqc.lower.scope import KNOWN
from seqc.lower.shop import Problems, Shop
from seqc.lower.train import train_of
from seqc.source.diagnostic import Collector, Diagnostic, Label, SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.source.text import Source
from seqc.syntax import tree

ROUND_LIMIT = 40
RECURSION = 150_000


@dataclass(frozen=True, slots=True)
class LowerOptions:
    """`model` picks one of several, `dims` overrides `dim`s by name."""

    model: str | None = None
    dims: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def lower(
    file: tree.File,
    source: Source,
    read: Read,
    options: LowerOptions | None = None,
    warn: Callable[[Diagnostic], None] | None = None,
) -> tuple[Program, ...]:
    """The programs of a file; `warn` is given each warning."""
    programs, warnings = check(file, source, read, options)
    if warn is not None:
        for each in warnings:
            warn(each)
    return programs


def check(
    file: tree.File, source: Source, read: Read, options: LowerOptions | None = None
) -> tuple[tuple[Program, ...], tuple[Diagnostic, ...]]:
    """The programs of a file and the warnings about them."""
    chosen = options or LowerOptions()
    problems = Collector()
    with deep_recursion(file):
        library = load(file, source, read, problems, KNOWN)
        models = models_of(library.main, file, chosen, problems)
        broken = bool(problems.errors)
        found = [one(library, model, chosen, problems, broken) for model in models]
    unknown_dims(models, chosen, problems)
    return tuple(each for each in found if each is not None), problems.finish()


@contextmanager
def deep_recursion(file: tree.File) -> Iterator[None]:
    """Lets evaluation follow long chains of names; Python's own frames lie on the heap."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        yield
    except RecursionError:
        raise fail(
            "S0209",
            "this program is nested too deeply",
            Span(file.span.source, 0, 0),
            "somewhere here",
            hint="shorten the longest chain of names that need each other",
        ) from None
    finally:
        sys.setrecursionlimit(before)


def models_of(
    module: Module, file: tree.File, options: LowerOptions, problems: Collector
) -> list[tree.Model]:
    """The models asked for; records that belong to none are refused."""
    names = list(module.models)
    seen: dict[tuple[str, str], tree.Train | tree.Deploy] = {}
    for item in file.items:
        if not isinstance(item, tree.Train | tree.Deploy):
            continue
        model = item.name if isinstance(item, tree.Train) else item.model
        if model.text not in module.models:
            near = nearest(model.text, names) or (names[0] if len(names) == 1 else None)
            hint = f"did you mean `{near}`?" if near else None
            problems.add(
                fail(
                    "S0213",
                    f"there is no model `{model.text}`",
                    model.span,
                    "not a model of this file",
                    hint=hint,
                )
            )
        key = ("train", model.text) if isinstance(item, tree.Train) else ("deploy", item.name.text)
        if key in seen:
            what = (
                f"`{model.text}` has two `train` records"
                if key[0] == "train"
                else f"two profiles are called `{key[1]}`"
            )
            problems.add(
                fail(
                    "S0202",
                    what,
                    item.name.span,
                    "defined again",
                    others=(Label(seen[key].name.span, "first here"),),
                    hint="put them together" if key[0] == "train" else "rename one of them",
                )
            )
        seen[key] = item
    if options.model is not None:
        if options.model not in module.models:
            near = nearest(options.model, names)
            listed = ", ".join(f"`{name}`" for name in names) or "none"
            problems.add(
                fail(
                    "S0213",
                    f"there is no model `{options.model}`",
                    None,
                    notes=(f"this file has {listed}",),
                    hint=f"did you mean `{near}`?" if near else None,
                )
            )
            return []
        return [module.models[options.model]]
    return list(module.models.values())


def one(
    library: Library, model: tree.Model, options: LowerOptions, problems: Collector, broken: bool
) -> Program | None:
    """One model as a program; None where it, or a file that it needs (`broken`), has mistakes, which were collected."""
    found = Collector()
    try:
        draft = settle(library, model, options, found)
        return None if found.errors or broken else finished(library, model, draft, found)
    except SeqError as error:
        found.add(error)
        return None
    finally:
        for each in (*found.errors, *found.warnings):
            problems.add(each)


def settle(library: Library, model: tree.Model, options: LowerOptions, problems: Collector) -> Draft:
    """Rounds until every state has the type that its equation gives it."""
    assumed: dict[str, Type] = {}
    for number in range(ROUND_LIMIT):
        found = Problems()
        shop = Shop(library, found, expression.evaluate, assumed)
        draft = evaluate_model(shop, model, options.dims)
        news = {
            name: type
            for name, type in shop.found.items()
            if (name in shop.unsettled or name in assumed) and assumed.get(name) != type
        }
        if not news or number == ROUND_LIMIT - 1 or shop.stopped:
            for each in (*found.errors, *found.warnings):
                problems.add(each)
            return draft
        assumed = {**assumed, **news}
    raise AssertionError("the last round returns")


def finished(library: Library, model: tree.Model, draft: Draft, problems: Collector) -> Program | None:
    """A draft without mistakes, checked as a whole and given its records."""
    shop = draft.shop
    flow, kept = prune(shop.builder.finish(draft.roots))
    sites = [shop.builder.sites[index] for index in kept]
    check_flow(flow, sites, draft, problems)
    reason = streaming(flow, sites)
    file = library.main.file
    alive = {str(value.attr("name")) for value in flow.values if value.op == "param"}
    parameters = tuple(each for name, each in shop.parameters.items() if name in alive)
    hypers = list(shop.hypers.values())
    rules: Mapping[str, Rule] = {}
    train: Train | None = None
    for item in file.items:
        if isinstance(item, tree.Train) and item.name.text == model.name.text:
            train, rules, more = train_of(draft, library, item, parameters, flow, problems)
            hypers += more
    deploys: tuple[Deploy, ...] = deploys_of(draft, library, model, reason, problems)
    if problems.errors:
        return None
    return Program(
        name=model.name.text,
        flow=flow,
        parameters=parameters,
        inputs=as_declared(model, shop.inputs),
        hypers=tuple(hypers),
        rules=MappingProxyType(dict(rules)),
        train=train,
        deploys=deploys,
        causal=reason is None,
        why_not=None if reason is None else (reason.text, reason.span),
        dims=tuple(draft.dims.items()),
        doc=model.doc or "",
    )


def as_declared(model: tree.Model, inputs: Mapping[str, Input]) -> tuple[Input, ...]:
    """The inputs in the order of their declarations, in which callers give them; some are asked for earlier."""
    declared = (node.name.text for node in model.body if isinstance(node, tree.Input | tree.Target))
    return tuple(inputs[name] for name in declared if name in inputs)


def unknown_dims(models: list[tree.Model], options: LowerOptions, problems: Collector) -> None:
    """S0806 for an override of a `dim` that no model has."""
    known = [
        binding.name.text
        for model in models
        for each in model.body
        if isinstance(each, tree.Dim)
        for binding in each.bindings
    ]
    for name in options.dims:
        if name not in known and models:
            near = nearest(name, known)
            listed = ", ".join(f"`{each}`" for each in known) or "none"
            problems.add(
                fail(
                    "S0806",
                    f"there is no `dim {name}` to override",
                    None,
                    notes=(f"the model has {listed}",),
                    hint=f"did you mean `{near}`?" if near else None,
                )
            )
