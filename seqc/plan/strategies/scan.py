"""Strategies of scans: a loop over the steps."""

from __future__ import annotations

from seqc.plan.strategies.strategy import Chosen, Strategy, always
from seqc.plan.target import Target
from seqc.plan.types import Plan, Scan


def cost(plan: Plan, node: Chosen, target: Target) -> float:
    """One call for each kernel."""
    assert isinstance(node, Scan)
    return float(len(node.kernels))


LOOP = Strategy("loop", "scan", always, cost, "scan")
