"""What a strategy is: a record that `choose` and `cost` read.

`legal` gives the reason why a node of a plan cannot run that way, or None; `seconds` is the time of its arithmetic. What every
strategy needs alike, such as what weights and operands take to arrive, is counted in `cost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seqc.plan.rates import Rates
from seqc.plan.target import Target
from seqc.plan.types import Outer, Plan, Product, Scan

Chosen = Product | Outer | Scan


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a kernel. `cells` are instants and rows; `useful` multiply-adds of a cell, `computed` those with the lanes
    that nobody needs; `panels` blocks of units that are begun for each group of cells; `weights` bytes out of cache `level`;
    `cycle` seconds; `real` bytes of an element; `depth` terms of a sum, and whether equations need the sums of `whole` rows
    at once; `tiled` multiply-adds with all that whole tiles hold."""

    cells: int
    useful: float
    computed: float
    panels: int = 1
    weights: float = 0.0
    level: int = 0
    cycle: float = 0.0
    real: int = 4
    depth: int = 0
    whole: bool = True
    tiled: float = 0.0


@dataclass(frozen=True, slots=True)
class Strategy:
    """`kind` is "product", "outer" or "scan"; `template` names what a backend prints."""

    name: str
    kind: str
    legal: Callable[[Plan, Chosen, Target], str | None]
    seconds: Callable[[Work, Rates], float]
    template: str


def always(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Nothing speaks against it."""
    return None
