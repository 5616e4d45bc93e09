"""Fewer bits: which packed matrices are stored as bfloat16 or 8-bit integers, and which products are made of bfloat16.

    packs  rows 4x512x128        →      rows 4x512x128 int8      # scales of rows beside the numbers

Takes a Plan and a Target that asks for it; gives the Plan with the kind of each matrix. What runs on matrix tiles in single
precision reads each number as three of bfloat16. Sums and everything after them stay
in single precision. A matrix keeps its reals where it is computed in the call or is so narrow that its rows are dot
products: it is small then, and often the last layer. Weights of training are stored as they are; its products may round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from seqc.plan.strategies.product import EITHER_WAY
from seqc.plan.target import Target
from seqc.plan.types import Guard, Kernel, Node, Outer, Outers, PackedMatrix, Plan, Product, Scan

TRAINING = ("gradients", "update", "apply", "initial")
MOST_SEGMENTS = 8


def quantise(plan: Plan, target: Target) -> Plan:
    """The plan with the kinds that `target.weights` and `target.math` ask for."""
    if target.math == "bf16":
        return rounded(plan, target)
    if target.whole_tiles:
        plan = on_tiles(plan)
    if target.weights == "real" or plan.entry in TRAINING:
        return plan
    refused = {number for number, pack in enumerate(plan.packs) if not may_shrink(pack)}
    for node in products(plan.nodes):
        packs = [segment.pack for segment in node.segments]
        if len(packs) > MOST_SEGMENTS or any(not may_shrink(plan.packs[each]) for each in packs):
            refused.update(packs)
    halves = "exact" if target.tiles else "twins" if target.dots else "bf16"
    kind = halves if target.weights == "bf16" else target.weights
    return replace(plan, packs=kinds(plan, refused, kind))


def kinds(plan: Plan, refused: set[int], kind: str) -> tuple[PackedMatrix, ...]:
    """The packed matrices, those that are not refused of the new kind."""
    return tuple(
        pack if number in refused else replace(pack, kind=kind) for number, pack in enumerate(plan.packs)
    )


def on_tiles(plan: Plan) -> Plan:
    """The plan with weights as strategies of matrix tiles read them. A matrix that is read in two ways is packed twice."""
    wanted = {"tiles": "split", **dict.fromkeys(EITHER_WAY, "either")}
    packs = list(plan.packs)
    free = set(range(len(packs))) - {
        segment.pack
        for node in products(plan.nodes)
        for segment in node.segments
        if node.strategy not in wanted
    }
    known: dict[tuple[int, str], int] = {}

    def of_kind(number: int, kind: str) -> int:
        """The number of a matrix in another form: its own, or a new one where somebody reads it as it was."""
        if (number, kind) not in known:
            known[number, kind] = number if number in free else len(packs)
            if number not in free:
                packs.append(plan.packs[number])
            packs[known[number, kind]] = replace(plan.packs[number], kind=kind)
            free.discard(number)
        return known[number, kind]

    def made(kernel: Kernel) -> Kernel:
        if isinstance(kernel, Outer) and kernel.strategy == "tiles":
            return replace(kernel, math="split")
        if not isinstance(kernel, Product) or kernel.strategy not in wanted:
            return kernel
        kind = wanted[kernel.strategy]
        segments = tuple(replace(each, pack=of_kind(each.pack, kind)) for each in kernel.segments)
        return replace(kernel, segments=segments)

    nodes = tuple(each_kernel(node, made) for node in plan.nodes)
    return replace(plan, nodes=nodes, packs=tuple(packs))


def each_kernel(node: Node, made: Callable[[Kernel], Kernel]) -> Node:
    """A node with `made` of each of its kernels."""
    if isinstance(node, Guard):
        return node
    if not isinstance(node, Scan):
        return made(node)
    before, inner, after = (
        tuple(made(each) for each in some) for some in (node.before, node.kernels, node.after)
    )
    return replace(node, before=before, kernels=inner, after=after)


def rounded(plan: Plan, target: Target) -> Plan:
    """The plan with products of bfloat16: all whose matrices are parameters and not narrow, and all outer products."""
    refused: set[int] = set()
    for node in products(plan.nodes):
        packs = [segment.pack for segment in node.segments]
        wide = all(plan.packs[each].sources is not None and not narrow(plan.packs[each]) for each in packs)
        if len(packs) > MOST_SEGMENTS or not wide:
            refused.update(packs)
    stored = "pairs" if target.weights == "bf16" and plan.entry not in TRAINING else "rounded"
    kind, math = {"tiles": "pairs", "dots": "dots"}.get(target.halves, stored), target.halves or target.math

    def made(kernel: Kernel) -> Kernel:
        return replace(kernel, math=math) if isinstance(kernel, Outer | Outers) else kernel

    nodes = tuple(each_kernel(node, made) for node in plan.nodes)
    return replace(plan, nodes=nodes, packs=kinds(plan, refused, kind))


def products(nodes: tuple[Node, ...]) -> list[Product]:
    """All products, those inside scans included."""
    found: list[Product] = []
    for node in nodes:
        inner = node.all if isinstance(node, Scan) else (node,)
        found += [each for each in inner if isinstance(each, Product)]
    return found


def may_shrink(pack: PackedMatrix) -> bool:
    """Whether a matrix is made of parameters, row by row, and wide enough for whole vectors."""
    return pack.form == "rows" and pack.sources is not None and not narrow(pack)


def narrow(pack: PackedMatrix) -> bool:
    """Whether a matrix has so few units that each is a dot product."""
    return pack.gates == 1 and pack.units * 4 <= pack.block
