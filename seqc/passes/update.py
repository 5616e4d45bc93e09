"""The update of the weights, as a Flow without axes: gradients in, new weights and optimizer states out.

Takes a Program with its rules; gives `apply_flow` (check that all gradients are finite, clip, step of each optimizer)
and `initial_optimizer` (the first values of the optimizer states).

    before
        %0 : real = input w
        %1 : real = input g
        %2 : real = sub w, g
        root w = %2
    after
        %0  : real = input g.p
        %1  : f64  = cast g.p
        %2  : f64  = mul %1, %1
        %3  : f64  = reduce how=sum dims=()  %2
        %4  : f64  = sub %3, %3
        %6  : bool = eq %4, 0.0
        %7  : real = hyper clip
        %8  : f64  = sqrt %3
        %10 : f64  = add %8, 1e-06
        %11 : f64  = cast clip
        %12 : f64  = div %11, %10
        %14 : f64  = minimum %12, 1.0
        %15 : real = cast %14
        %16 : real = mul g.p, %15
        %17 : real = input w.p
        %18 : real = sub w.p, %16
        root finite = %6
        root w.p = %18
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seqc.flow.types import Flow, Kind, Type
from seqc.ops.build import Builder
from seqc.ops.op import FlowError
from seqc.ops.rewrite import Rebuilder
from seqc.passes.differentiate import reached
from seqc.passes.prune import prune

if TYPE_CHECKING:
    from seqc.lower.program import Parameter, Program, Rule

TINY = 1e-6
"""Added to a norm before it divides, as PyTorch does."""


def trained_parameters(program: Program) -> tuple[Parameter, ...]:
    """The parameters that an update changes: they have a rule, are not frozen, and a gradient reaches them."""
    frozen = program.train.freeze if program.train is not None else ()
    names = [
        each.name for each in program.parameters if each.name in program.rules and each.name not in frozen
    ]
    found = frozenset(reached(program.flow, "param", names)) if "loss" in program.flow.roots else frozenset()
    return tuple(each for each in program.parameters if each.name in found)


def apply_flow(program: Program) -> Flow:
    """All rules in one graph: roots `finite`, then `w.<parameter>` and `o.<parameter>.<state>` by parameter."""
    builder = Builder()
    parameters = trained_parameters(program)
    gradients = {
        each.name: builder.add("input", type=each.type, name=f"g.{each.name}") for each in parameters
    }
    squares = {name: square_sum(builder, gradient) for name, gradient in gradients.items()}
    total = summed(builder, list(squares.values()))
    roots = {"finite": builder.eq(builder.sub(total, total), builder.zero(total))}
    clipped = clip(builder, program, gradients, squares, total)
    for each in parameters:
        rule = program.rules[each.name]
        leaves = {"g": clipped[each.name]}
        found = inline(builder, each.name, rule, leaves, ("w", *rule.states))
        roots[f"w.{each.name}"] = found["w"]
        for state in rule.states:
            roots[f"o.{each.name}.{state}"] = found[state]
    return builder.finish(roots)


def initial_optimizer(program: Program) -> Flow:
    """The first value of each optimizer state: roots `o.<parameter>.<state>`."""
    builder = Builder()
    roots = {}
    for each in trained_parameters(program):
        rule = program.rules[each.name]
        found = inline(builder, each.name, rule, {}, tuple(f"init.{state}" for state in rule.states))
        for state in rule.states:
            once = found[f"init.{state}"]
            roots[f"o.{each.name}.{state}"] = once
    return builder.finish(roots)


def inline(
    builder: Builder, name: str, rule: Rule, leaves: Mapping[str, int], wanted: Sequence[str]
) -> dict[str, int]:
    """Copy what a rule needs for the wanted roots; `leaves` are inputs that have a value already."""
    flow = prune(Flow(rule.flow.values, rule.flow.states, {root: rule.flow.roots[root] for root in wanted}))
    walk = Rebuilder(flow, builder)
    for index, value in enumerate(flow.values):
        if value.op != "input":
            walk.copy(index)
            continue
        leaf = str(value.attr("name"))
        if leaf in leaves:
            walk.put(index, leaves[leaf])
            continue
        full = f"{leaf}.{name}" if leaf in ("w", "g") else f"o.{name}.{leaf}"
        walk.put(index, builder.add("input", type=value.type, origin=value.origin, name=full))
    return {root: walk.new(index) for root, index in flow.roots.items()}


def square_sum(builder: Builder, gradient: int) -> int:
    """The sum of squares of all elements, in double precision."""
    wide = builder.cast(gradient, Kind.F64)
    return builder.reduce("sum", builder.mul(wide, wide))


def summed(builder: Builder, parts: Sequence[int]) -> int:
    """The sum of scalars in double precision; zero without any."""
    if not parts:
        return builder.const(0.0, Kind.F64)
    total = parts[0]
    for part in parts[1:]:
        total = builder.plus(total, part)
    return total


def clip(
    builder: Builder, program: Program, gradients: Mapping[str, int], squares: Mapping[str, int], total: int
) -> dict[str, int]:
    """The gradients as the `train` record wants them clipped."""
    rule = program.train.clip if program.train is not None else None
    if rule is None or not gradients:
        return dict(gradients)
    kind = next(each.type.kind for each in program.hypers if each.name == "clip")
    bound = builder.add("hyper", type=Type(kind), name="clip")
    if rule.how == "value":
        return {name: within(builder, gradient, bound) for name, gradient in gradients.items()}
    if rule.how == "norm":
        shared = factor(builder, total, bound)
        factors = {name: shared for name in gradients}
    elif rule.how == "norm_each":
        factors = {name: factor(builder, square, bound) for name, square in squares.items()}
    else:
        raise FlowError(f"there is no clipping {rule.how}")
    return {
        name: builder.mul(gradient, builder.cast(factors[name], builder.type(gradient).kind))
        for name, gradient in gradients.items()
    }


def within(builder: Builder, gradient: int, bound: int) -> int:
    """The gradient, each element within [-bound, bound]."""
    limit = builder.cast(bound, builder.type(gradient).kind)
    return builder.maximum(builder.minimum(gradient, limit), builder.neg(limit))


def factor(builder: Builder, squares: int, bound: int) -> int:
    """min(1, bound / (norm + 1e-6)), in double precision."""
    norm = builder.plus(builder.sqrt(squares), TINY)
    ratio = builder.div(builder.cast(bound, Kind.F64), norm)
    return builder.minimum(ratio, 1.0)
