"""What a strategy is: a record that `choose` reads.

`legal` gives the reason why a node of a plan cannot run that way, or None; `cost` is in elementary steps for one instant of
one sequence, and serves to compare strategies of one kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seqc.plan.target import Target
from seqc.plan.types import Outer, Plan, Product, Scan

Chosen = Product | Outer | Scan


@dataclass(frozen=True, slots=True)
class Strategy:
    """`kind` is "product", "outer" or "scan"; `template` names what a backend prints."""

    name: str
    kind: str
    legal: Callable[[Plan, Chosen, Target], str | None]
    cost: Callable[[Plan, Chosen, Target], float]
    template: str


def always(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Nothing speaks against it."""
    return None
