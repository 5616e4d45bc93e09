"""Weights of fewer bits: which packed matrices of an inference plan are stored as bfloat16 or 8-bit integers.

    packs  rows 4x512x128        →      rows 4x512x128 int8      # scales of rows beside the numbers

Takes a Plan and a Target that asks for such weights; gives the Plan with the kind of each matrix. Sums and everything
after them stay in single precision. A matrix keeps its reals where it is computed in the call, lies in columns, or is so
narrow that its rows are dot products: it is small then, and often the last layer.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.plan.target import Target
from seqc.plan.types import Node, PackedMatrix, Plan, Product, Scan

TRAINING = ("gradients", "update", "apply", "initial")
MOST_SEGMENTS = 8


def quantise(plan: Plan, target: Target) -> Plan:
    """The plan with the kinds that `target.weights` asks for."""
    if target.weights == "real" or plan.entry in TRAINING:
        return plan
    refused: set[int] = set()
    for node in products(plan.nodes):
        packs = [segment.pack for segment in node.segments]
        if len(packs) > MOST_SEGMENTS or any(not may_shrink(plan.packs[each]) for each in packs):
            refused.update(packs)
    kinds = tuple(
        pack if number in refused or not may_shrink(pack) else replace(pack, kind=target.weights)
        for number, pack in enumerate(plan.packs)
    )
    return replace(plan, packs=kinds)


def products(nodes: tuple[Node, ...]) -> list[Product]:
    """All products, those inside scans included."""
    found: list[Product] = []
    for node in nodes:
        inner = node.all if isinstance(node, Scan) else (node,)
        found += [each for each in inner if isinstance(each, Product)]
    return found


def may_shrink(pack: PackedMatrix) -> bool:
    """Whether a matrix is made of parameters, row by row, and wide enough for whole vectors."""
    narrow = pack.gates == 1 and pack.units * 4 <= pack.block
    return pack.form == "rows" and pack.sources is not None and not narrow
