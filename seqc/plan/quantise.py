"""Fewer bits: which packed matrices are stored as bfloat16 or 8-bit integers, and which products are made of bfloat16.

    packs  rows 4x512x128        →      rows 4x512x128 int8      # scales of rows beside the numbers

Takes a Plan and a Target that asks for it; gives the Plan with the kind of each matrix. Sums and everything after them stay
in single precision. A matrix keeps its reals where it is computed in the call or is so narrow that its rows are dot
products: it is small then, and often the last layer. Weights of training are stored as they are; its products may round.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.plan.target import Target
from seqc.plan.types import Kernel, Node, Outer, Outers, PackedMatrix, Plan, Product, Scan

TRAINING = ("gradients", "update", "apply", "initial")
MOST_SEGMENTS = 8


def quantise(plan: Plan, target: Target) -> Plan:
    """The plan with the kinds that `target.weights` and `target.math` ask for."""
    if target.math == "bf16":
        return rounded(plan, target)
    if target.weights == "real" or plan.entry in TRAINING:
        return plan
    refused = {number for number, pack in enumerate(plan.packs) if not may_shrink(pack)}
    for node in products(plan.nodes):
        packs = [segment.pack for segment in node.segments]
        if len(packs) > MOST_SEGMENTS or any(not may_shrink(plan.packs[each]) for each in packs):
            refused.update(packs)
    return replace(plan, packs=kinds(plan, refused, target.weights))


def kinds(plan: Plan, refused: set[int], kind: str) -> tuple[PackedMatrix, ...]:
    """The packed matrices, those that are not refused of the new kind."""
    return tuple(
        pack if number in refused else replace(pack, kind=kind) for number, pack in enumerate(plan.packs)
    )


def rounded(plan: Plan, target: Target) -> Plan:
    """The plan with products of bfloat16: all whose matrices are parameters and not narrow, and all outer products."""
    refused: set[int] = set()
    for node in products(plan.nodes):
        packs = [segment.pack for segment in node.segments]
        wide = all(plan.packs[each].sources is not None and not narrow(plan.packs[each]) for each in packs)
        if len(packs) > MOST_SEGMENTS or not wide:
            refused.update(packs)
    halves = target.tiles or (target.weights == "bf16" and plan.entry not in TRAINING)
    nodes = tuple(with_math(node, target) for node in plan.nodes)
    return replace(plan, nodes=nodes, packs=kinds(plan, refused, "pairs" if halves else "rounded"))


def with_math(node: Node, target: Target) -> Node:
    """A node whose outer products round what enters their sums."""
    math = "tiles" if target.tiles else target.math

    def made(kernel: Kernel) -> Kernel:
        return replace(kernel, math=math) if isinstance(kernel, Outer | Outers) else kernel

    if isinstance(node, Scan):
        before, after = (tuple(made(each) for each in some) for some in (node.before, node.after))
        return replace(node, before=before, kernels=tuple(made(each) for each in node.kernels), after=after)
    return replace(node, math=math) if isinstance(node, Outer | Outers) else node


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
