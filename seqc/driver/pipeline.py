"""The rooms in their order: files → Tree → Program → Flow → Plan → text. Nothing is written here.

`programs` stops after the meaning, `flows` after the passes, `plans` after scheduling, `translate` at the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.driver.toolchain import Toolchain
from seqc.flow.types import Flow
from seqc.lower import LowerOptions, check
from seqc.lower.program import Deploy, Program
from seqc.passes import apply_flow, flow_for, initial_optimizer
from seqc.passes.segment import segment
from seqc.plan import PlanOptions, plan
from seqc.plan.choose import expected
from seqc.plan.rates import Rates
from seqc.plan.target import Target
from seqc.plan.types import Plan
from seqc.source.diagnostic import Diagnostic
from seqc.source.suggest import nearest
from seqc.syntax.parse import parse

Observe = Callable[[str, Flow], None]


def programs(
    reader: Reader, options: Options, warn: Callable[[Diagnostic], None] = lambda _: None
) -> tuple[Program, ...]:
    """All models of a file; SeqError with every independent mistake."""
    source = reader.first()
    found, warnings = check(parse(source), source, reader, LowerOptions(options.model, dict(options.dims)))
    for each in warnings:
        warn(each)
    return found


def program(reader: Reader, options: Options, warn: Callable[[Diagnostic], None] = lambda _: None) -> Program:
    """The one model of a file, or the one that `options.model` names."""
    found = programs(reader, options, warn)
    if options.model is not None:
        found = tuple(each for each in found if each.name == options.model)
    if not found:
        raise UserFault(
            "S0803", f"`{reader.path.name}` has no model to build", remedy="declare one: `model Name { … }`"
        )
    if len(found) > 1:
        names = ", ".join(f"`{each.name}`" for each in found)
        raise UserFault(
            "S0804",
            f"`{reader.path.name}` has several models",
            f"they are {names}",
            "choose one with `--model NAME`",
        )
    return found[0] if options.part is None else segment(found[0], options.part)


def profile(model: Program, options: Options) -> Deploy | None:
    """The `deploy` record that the options name."""
    if options.deploy is None:
        return None
    for each in model.deploys:
        if each.name == options.deploy:
            return each
    names = [each.name for each in model.deploys]
    close = nearest(options.deploy, names)
    listed = ", ".join(f"`{name}`" for name in names) or "none"
    raise UserFault(
        "S0607",
        f"{model.name} has no deploy profile `{options.deploy}`",
        f"its profiles: {listed}",
        f"did you mean `{close}`?" if close else None,
    )


def entries(model: Program) -> tuple[str, ...]:
    """The entry points that this model has, those without a plan of their own (apply) included."""
    found = ["infer"]
    if "loss" in model.flow.roots:
        found += ["evaluate", "gradients"]
        if model.rules:
            found += ["apply", "update"]
    if model.causal:
        found.append("step")
        if any(each.default for each in model.inputs):
            found.append("generate")
    return tuple(found)


PARTS: Mapping[str, tuple[str, ...]] = {
    "advance": ("infer",),
    "score": ("infer",),
    "close": ("evaluate", "gradients"),
    "back": ("gradients",),
}
"""What the parts of a model that is trained in segments are called for."""


def entries_of(model: Program, profile: Deploy | None, part: str | None = None) -> tuple[str, ...]:
    """The entry points of a build: all, or those that run step by step where a profile streams; without training where
    weights are stored in fewer bits."""
    if part is not None:
        return PARTS[part]
    found = entries(model)
    if profile is None:
        return found
    if profile.weights.startswith(("bf16", "int8")):
        found = tuple(each for each in found if each not in ("gradients", "apply", "update"))
    if profile.mode != "streaming":
        return found
    return tuple(each for each in found if each in ("step", "generate"))


def flows(
    model: Program, observe: Observe | None = None, wanted: tuple[str, ...] | None = None
) -> Mapping[str, Flow]:
    """The Flow of every entry point; `apply` is the update rule, `initial` the first optimizer states."""
    found: dict[str, Flow] = {}
    for entry in entries(model) if wanted is None else wanted:
        if entry == "apply":
            found["apply"] = apply_flow(model)
            found["initial"] = initial_optimizer(model)
        else:
            found[entry] = flow_for(model, entry, observe=observe)
    return found


def target_of(
    toolchain: Toolchain,
    real: str,
    weights: str = "real",
    model: Program | None = None,
    math: str = "real",
    rates: Rates | None = None,
) -> Target:
    """What `plan` may know of the machine, how inference shall store its weights, what products are made of, and how wide a
    vector this model fills (`fills_half`). `rates` are measured ones."""
    name, real_bytes, width = toolchain.march or "portable", 8 if real == "f64" else 4, toolchain.vector_bytes
    split = toolchain.splits_vectors
    halves = model is not None and width == 64 and fills_half(model, width // real_bytes, split)
    width = width // 2 if halves else width
    rounds, whole = "real" if real == "f64" else math, width == 64
    tiles, dots = toolchain.has_tiles and whole, toolchain.has_dots and whole
    made = Target(name, width, real_bytes, weights=weights, math=rounds, tiles=tiles, dots=dots)
    return made if rates is None else measured(made, rates, halves and not split)


def measured(target: Target, rates: Rates, halves: bool = False) -> Target:
    """A target whose machine was measured, for whole vectors; half a vector takes as long to multiply as a whole one."""
    if halves:
        both = {each: getattr(rates, each) / 2 for each in ("operations", "operations_double")}
        rates = replace(rates, **both)
    first, second, _ = rates.sizes
    return replace(target, rates=rates, l1_bytes=first, l2_bytes=second)


WASTE = 1.25
"""How many times as much work whole vectors may be as halves, on cores that multiply halves."""


def fills_half(model: Program, lanes: int, split: bool) -> bool:
    """Whether a model runs on half vectors: all its sizes fit one, and divisions take half the time; or a core `split`s vectors of so many
    `lanes` to multiply them, and the rows and columns of its matrices fill halves so much better."""
    if longest(model) <= lanes // 2:
        return True
    return split and padded(model, lanes) >= WASTE * padded(model, lanes // 2)


def padded(model: Program, lanes: int) -> int:
    """Elements of all matrices with their rows, and with their columns, in whole vectors."""
    matrices = [each.type.dims for each in model.parameters if len(each.type.dims) == 2]
    return sum(-(-a // lanes) * lanes * b + -(-b // lanes) * lanes * a for a, b in matrices)


def longest(model: Program) -> int:
    """The largest size of anything that a model learns, takes or gives."""
    types = [each.type for each in model.parameters] + [each.type for each in model.inputs]
    types += [model.flow.values[root].type for root in model.flow.roots.values()]
    return max((size for type in types for size in type.dims), default=1)


Chosen = Mapping[str, PlanOptions]
"""What the planner is told for an entry point."""


def chosen_for(
    model: Program, profile: Deploy | None = None, tuned: Mapping[str, PlanOptions] | None = None
) -> Chosen:
    """The options of each entry point: the sizes of a profile's calls, and what was found best by timing."""
    steps, batch = ((), ()) if profile is None else (profile.steps, profile.batch)
    found = {}
    for entry in (*entries(model), "initial"):
        options = (tuned or {}).get(entry, PlanOptions())
        found[entry] = replace(options, sizes=expected(entry, steps, batch))
    return found


def plans(
    model: Program, target: Target, wanted: tuple[str, ...] | None = None, chosen: Chosen | None = None
) -> Mapping[str, Plan]:
    """The Plan of every entry point, or of those wanted."""
    told = chosen or {}
    return {
        entry: plan(flow, model, entry, target, told.get(entry))
        for entry, flow in flows(model, wanted=wanted).items()
    }
