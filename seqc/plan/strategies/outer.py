"""Strategies of outer products: blocks of the result, each summed over all instants in a fixed order."""

from __future__ import annotations

from seqc.plan.strategies.strategy import Chosen, Strategy, always
from seqc.plan.target import Target
from seqc.plan.types import Outer, Plan


def cost(plan: Plan, node: Chosen, target: Target) -> float:
    """Multiplications by vectors."""
    assert isinstance(node, Outer)
    return node.left.size * node.right.size / target.lanes


BLOCKS = Strategy("blocks", "outer", always, cost, "outer")
