"""The choice of strategies: for every product, outer product and scan the legal one that the cost model finds quickest.

Takes a Plan; gives it with `strategy` filled in. Costs are those at the sizes of calls that are expected, with the rates of
the target; several sizes count alike, as ratios. A strategy that the options force must be legal: if it is not, the error
says why, and nothing else is taken in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from seqc.plan.chain import Chain, Sweep
from seqc.plan.cost import cost, residents
from seqc.plan.setting import Setting
from seqc.plan.strategies import STRATEGIES, Strategy
from seqc.plan.strategies.product import TRAINING
from seqc.plan.strategies.strategy import Chosen
from seqc.plan.target import Target
from seqc.plan.types import Guard, Kernel, Node, Outer, Plan, Pointwise, Product, Scan

Sizes = tuple[tuple[int, int], ...]
"""Steps and rows of calls."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """`force` leads from a kind of node ("product", "outer", "scan") to the strategy that it must take, `prefer` to one
    that it takes where it may, `products` from the number of a product, in running order, to what was found best for it
    by timing. `sizes` are those of the calls to be quick for; `recompute` lets later phases compute cheap values again;
    `epilogues` lets loops run on the sums of products; `chains` joins loops and sums over the units of a row; `stretch` is
    the number of cells of stretches of time, wherever they are legal (0: none, None: where they pay); `ragged` lets
    rows be sorted by their lengths; `beside` sums small gradients of one left side together; `verify` checks the finished
    plan."""

    force: tuple[tuple[str, str], ...] = field(default=())
    prefer: tuple[tuple[str, str], ...] = field(default=())
    products: tuple[tuple[int, str], ...] = field(default=())
    sizes: Sizes = ()
    recompute: bool = True
    epilogues: bool = True
    chains: bool = True
    stretch: int | None = None
    ragged: bool = True
    beside: bool = True
    verify: bool = True


ONE_STEP = ("step", "generate")
"""Entry points that their caller repeats for each step."""


def expected(entry: str, steps: tuple[int, ...] = (), batch: tuple[int, ...] = ()) -> Sizes:
    """The sizes of calls that an entry point is made quick for: what a profile names, or else usual ones: one row and
    many, and many alone in training."""
    rows = batch or ((1,) if entry in ONE_STEP else (32,) if entry in TRAINING else (1, 32))
    times = (1,) if entry in ONE_STEP else steps or (64,)
    return tuple((each, row) for each in times for row in rows)


class StrategyError(Exception):
    """A forced strategy that does not exist or is not legal."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """What a choice depends on; `numbers` are those of the products by their place in the plan, `inside` the bytes that
    the loop at hand reads at every step, None outside of loops."""

    plan: Plan
    target: Target
    options: PlanOptions
    numbers: dict[int, int]
    inside: float | None = None

    def seconds(self, node: Chosen, name: str) -> float:
        """The logarithm of a node's time with a strategy, over the expected sizes."""
        named, looped = replace(node, strategy=name), self.inside is not None
        total = 0.0
        for steps, batch in self.options.sizes or expected(self.plan.entry):
            setting = Setting(self.plan, self.target, self.target.speed, steps, batch, self.inside or 0.0)
            total += math.log(max(1e-12, cost(setting, named, looped).seconds))
        return total

    def best(self, node: Chosen, kind: str) -> str:
        """The forced strategy, the one that was timed best, or the quickest legal one."""
        forced, wish = dict(self.options.force).get(kind), dict(self.options.prefer).get(kind)
        if forced is not None:
            reason = strategy_of(kind, forced).legal(self.plan, node, self.target)
            if reason is not None:
                raise StrategyError(f"{forced} cannot run {node.origin or kind}: {reason}")
            return forced
        legal = [each.name for each in STRATEGIES if each.kind == kind and self.legal(each, node)]
        timed = dict(self.options.products).get(self.numbers.get(id(node), -1))
        for name in (wish, timed):
            if name in legal:
                return name
        return legal[0] if len(legal) == 1 else min(legal, key=lambda name: self.seconds(node, name))

    def legal(self, strategy: Strategy, node: Chosen) -> bool:
        """Whether a node may run that way."""
        return strategy.legal(self.plan, node, self.target) is None


def strategy_of(kind: str, name: str) -> Strategy:
    """The strategy of a name; StrategyError if there is none."""
    for each in STRATEGIES:
        if (each.kind, each.name) == (kind, name):
            return each
    known = ", ".join(each.name for each in STRATEGIES if each.kind == kind)
    raise StrategyError(f"there is no strategy {name} for {kind}; there are: {known or 'none'}")


def products_of(plan: Plan) -> tuple[tuple[int | None, Product], ...]:
    """All products in running order, each with the number of its scan among the nodes, or None."""
    found: list[tuple[int | None, Product]] = []
    for place, node in enumerate(plan.nodes):
        if isinstance(node, Product):
            found.append((None, node))
        elif isinstance(node, Scan):
            found += [(place, each) for each in node.kernels if isinstance(each, Product)]
    return tuple(found)


def choose(plan: Plan, target: Target, options: PlanOptions) -> Plan:
    """The plan with strategies."""
    for kind, name in (*options.force, *options.prefer):
        strategy_of(kind, name)
    numbers = {id(node): number for number, (_, node) in enumerate(products_of(plan))}
    chooser = Chooser(plan, target, options, numbers)
    return replace(plan, nodes=tuple(chosen(chooser, node) for node in plan.nodes))


def chosen(chooser: Chooser, node: Node) -> Node:
    """One node with its strategy, and those inside it."""
    plan, target = chooser.plan, chooser.target
    if isinstance(node, Scan):
        inner = replace(chooser, inside=residents(plan, target, node))
        kernels = tuple(in_loop(plan, chosen_kernel(inner, kernel), target) for kernel in node.kernels)
        return replace(node, kernels=kernels, strategy=chooser.best(node, "scan"))
    if isinstance(node, Guard):
        return node
    kernel = chosen_kernel(chooser, node)
    return in_loop(plan, kernel, target) if plan.entry in ONE_STEP else kernel


def chosen_kernel(chooser: Chooser, node: Kernel) -> Kernel:
    """A kernel with its strategy, if there is a choice."""
    if isinstance(node, Product):
        return replace(node, strategy=chooser.best(node, "product"))
    if isinstance(node, Outer):
        return replace(node, strategy=chooser.best(node, "outer"))
    return node


QUICK = {"tanh": "quick_tanh", "sigmoid": "quick_sigmoid"}
"""Functions that a loop over time waits for, and their short forms."""
COARSE = {"tanh": "coarse_tanh", "sigmoid": "coarse_sigmoid"}
"""The same where products round their operands to bfloat16: shorter still, with errors far below that."""


Loop = TypeVar("Loop", Pointwise, Sweep)

ASKS_FOR_DIGITS = frozenset({"log", "log1p", "pow", "div", "sqrt"})
"""Functions of a sigmoid near 0 that show its relative error."""


def in_loop(plan: Plan, node: Kernel, target: Target) -> Kernel:
    """A kernel that runs once for each step, on functions by their short forms: everything waits for it. Weights larger than the first
    cache are taken to and fro."""
    forms = COARSE if target.math == "bf16" else QUICK
    if isinstance(node, Pointwise):
        return quickened(node, forms)
    if isinstance(node, Chain):
        return replace(node, sweeps=tuple(quickened(each, forms) for each in node.sweeps))
    if not isinstance(node, Product):
        return node
    if node.epilogue is not None:
        node = replace(node, epilogue=quickened(node.epilogue, forms))
    weights = sum(plan.packs[each.pack].bytes(target.real_bytes) for each in node.segments)
    return replace(node, turns=node.strategy in ("gemm", "tiles", "either") and weights > target.l1_bytes)


def quickened(node: Loop, forms: Mapping[str, str]) -> Loop:
    """The loop with short `forms` of its functions. A sigmoid whose relative error would show stays."""
    exact = {number for each in node.statements if each.op in ASKS_FOR_DIGITS for number in each.args}
    statements = tuple(
        each if each.op == "sigmoid" and each.id in exact else replace(each, op=forms.get(each.op, each.op))
        for each in node.statements
    )
    return replace(node, statements=statements)
