"""The choice of strategies: for every product, outer product and scan the cheapest one that is legal.

Takes a Plan; gives it with `strategy` filled in. A strategy that the options force must be legal: if it is not, the error says
why, and nothing else is taken in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from seqc.plan.chain import Chain, Sweep
from seqc.plan.strategies import STRATEGIES, Strategy
from seqc.plan.strategies.strategy import Chosen
from seqc.plan.target import Target
from seqc.plan.types import Guard, Kernel, Node, Outer, Plan, Pointwise, Product, Scan


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """`force` leads from a kind of node ("product", "outer", "scan") to the strategy that it must take; `recompute`
    lets later phases compute cheap values again; `epilogues` lets loops run on the sums of products; `chains` joins loops
    and sums over the units of a row; `stretch` is the number of cells of stretches of time, wherever they are legal (0:
    none, None: where they pay); `ragged` lets rows be sorted by their lengths; `verify` checks the finished plan."""

    force: tuple[tuple[str, str], ...] = field(default=())
    recompute: bool = True
    epilogues: bool = True
    chains: bool = True
    stretch: int | None = None
    ragged: bool = True
    verify: bool = True


class StrategyError(Exception):
    """A forced strategy that does not exist or is not legal."""


def choose(plan: Plan, target: Target, options: PlanOptions) -> Plan:
    """The plan with strategies."""
    forced = dict(options.force)
    for kind, name in options.force:
        if all((each.kind, each.name) != (kind, name) for each in STRATEGIES):
            known = ", ".join(each.name for each in STRATEGIES if each.kind == kind)
            raise StrategyError(f"there is no strategy {name} for {kind}; there are: {known or 'none'}")
    return replace(plan, nodes=tuple(chosen(plan, node, target, forced) for node in plan.nodes))


def chosen(plan: Plan, node: Node, target: Target, forced: dict[str, str]) -> Node:
    """One node with its strategy, and those inside it."""
    if isinstance(node, Scan):
        kernels = tuple(
            in_loop(plan, chosen_kernel(plan, kernel, target, forced), target) for kernel in node.kernels
        )
        return replace(node, kernels=kernels, strategy=best(plan, node, target, forced, "scan").name)
    if isinstance(node, Guard):
        return node
    kernel = chosen_kernel(plan, node, target, forced)
    return in_loop(plan, kernel, target) if plan.entry in ONE_STEP else kernel


def chosen_kernel(plan: Plan, node: Kernel, target: Target, forced: dict[str, str]) -> Kernel:
    """A kernel with its strategy, if there is a choice."""
    if isinstance(node, Product):
        return replace(node, strategy=best(plan, node, target, forced, "product").name)
    if isinstance(node, Outer):
        return replace(node, strategy=best(plan, node, target, forced, "outer").name)
    return node


ONE_STEP = ("step", "generate")
"""Entry points that their caller repeats for each step."""

QUICK = {"tanh": "quick_tanh", "sigmoid": "quick_sigmoid"}
"""Functions that a loop over time waits for, and their short forms."""


Loop = TypeVar("Loop", Pointwise, Sweep)

ASKS_FOR_DIGITS = frozenset({"log", "log1p", "pow", "div", "sqrt"})
"""Functions of a sigmoid near 0 that show its relative error."""


def in_loop(plan: Plan, node: Kernel, target: Target) -> Kernel:
    """A kernel that runs once for each step, on functions by their short forms: everything waits for it. Weights larger than the first
    cache are taken to and fro."""
    if isinstance(node, Pointwise):
        return quickened(node)
    if isinstance(node, Chain):
        return replace(node, sweeps=tuple(quickened(each) for each in node.sweeps))
    if not isinstance(node, Product):
        return node
    if node.epilogue is not None:
        node = replace(node, epilogue=quickened(node.epilogue))
    weights = sum(plan.packs[each.pack].bytes(target.real_bytes) for each in node.segments)
    return replace(node, turns=node.strategy == "gemm" and weights > target.l1_bytes)


def quickened(node: Loop) -> Loop:
    """The loop with short forms of its functions. A sigmoid whose relative error would show stays."""
    exact = {number for each in node.statements if each.op in ASKS_FOR_DIGITS for number in each.args}
    statements = tuple(
        each if each.op == "sigmoid" and each.id in exact else replace(each, op=QUICK.get(each.op, each.op))
        for each in node.statements
    )
    return replace(node, statements=statements)


def best(plan: Plan, node: Chosen, target: Target, forced: dict[str, str], kind: str) -> Strategy:
    """The forced strategy, or the cheapest legal one."""
    candidates = [each for each in STRATEGIES if each.kind == kind]
    if kind in forced:
        strategy = next(each for each in candidates if each.name == forced[kind])
        reason = strategy.legal(plan, node, target)
        if reason is not None:
            raise StrategyError(f"{strategy.name} cannot run {node.origin or kind}: {reason}")
        return strategy
    legal = [each for each in candidates if each.legal(plan, node, target) is None]
    return min(legal, key=lambda each: each.cost(plan, node, target))
