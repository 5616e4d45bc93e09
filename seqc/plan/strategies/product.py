"""Strategies of products: packed panels on vectors, all sums of a row in registers, or plain loops."""

from __future__ import annotations

from seqc.plan.strategies.strategy import Chosen, Strategy, always
from seqc.plan.target import Target
from seqc.plan.types import Plan, Product

MOST_SUMS = 8
"""Vectors of sums that stay in registers beside what a row needs else."""


def multiplications(plan: Plan, node: Chosen) -> int:
    """Multiplications for one instant of one sequence."""
    assert isinstance(node, Product)
    packs = [plan.packs[each.pack] for each in node.segments]
    return sum(pack.units * pack.gates * pack.depth for pack in packs)


def panel_cost(plan: Plan, node: Chosen, target: Target) -> float:
    """Whole vectors are computed, lanes that nobody needs included."""
    assert isinstance(node, Product)
    return sum(plan.packs[each.pack].elements / target.lanes for each in node.segments)


def rows_fit(plan: Plan, node: Chosen, target: Target) -> str | None:
    """All sums of a row in registers, all weights in the first cache."""
    assert isinstance(node, Product)
    pack = plan.packs[node.segments[0].pack]
    if node.epilogue is None:
        return "nothing runs on its sums"
    if target.weights != "real" or target.math != "real":
        return "its weights may have fewer bits"
    if pack.gates == 1 and pack.units * 4 <= target.lanes:
        return "it has so few units that each is a dot product"
    if -(-pack.units // target.lanes) * pack.gates > MOST_SUMS:
        return f"the sums of a row fill more than {MOST_SUMS} vectors"
    if (
        sum(plan.packs[each.pack].elements for each in node.segments) * target.real_bytes
        > target.l1_bytes * 3 // 4
    ):
        return "its weights do not fit the first cache"
    return None


def rows_cost(plan: Plan, node: Chosen, target: Target) -> float:
    """The same work without a call for each row and panel."""
    return 0.9 * panel_cost(plan, node, target)


def whole_weights(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Plain loops read reals."""
    fewer = target.weights != "real" or target.math != "real"
    return "its weights may have fewer bits" if fewer else None


def plain_cost(plan: Plan, node: Chosen, target: Target) -> float:
    """One multiplication after the other."""
    return 2.0 * multiplications(plan, node)


GEMM = Strategy("gemm", "product", always, panel_cost, "product")
ROWS = Strategy("rows", "product", rows_fit, rows_cost, "product_rows")
PLAIN = Strategy("plain", "product", whole_weights, plain_cost, "product_plain")
