"""Strategies of products: packed panels on vectors, or plain loops."""

from __future__ import annotations

from seqc.plan.strategies.strategy import Chosen, Strategy, always
from seqc.plan.types import Plan, Product, Target


def multiplications(plan: Plan, node: Chosen) -> int:
    """Multiplications for one instant of one sequence."""
    assert isinstance(node, Product)
    packs = [plan.packs[each.pack] for each in node.segments]
    return sum(pack.units * pack.gates * pack.depth for pack in packs)


def panel_cost(plan: Plan, node: Chosen, target: Target) -> float:
    """Whole vectors are computed, lanes that nobody needs included."""
    assert isinstance(node, Product)
    return sum(plan.packs[each.pack].elements / target.lanes for each in node.segments)


def plain_cost(plan: Plan, node: Chosen, target: Target) -> float:
    """One multiplication after the other."""
    return 2.0 * multiplications(plan, node)


GEMM = Strategy("gemm", "product", always, panel_cost, "product")
PLAIN = Strategy("plain", "product", always, plain_cost, "product_plain")
