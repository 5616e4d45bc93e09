"""Strategies of outer products: blocks of the result, each summed over all instants in a fixed order."""

from __future__ import annotations

from seqc.plan.rates import Rates
from seqc.plan.strategies.product import PRODUCTS
from seqc.plan.strategies.strategy import Chosen, Strategy, Work, always
from seqc.plan.target import Target
from seqc.plan.types import Outer, Plan

SUMMED = 0.8
"""Share of the multiply-add rate that sums of outer products reach."""


def block_seconds(work: Work, rates: Rates) -> float:
    """Whole vectors are computed, lanes that nobody needs included."""
    return rates.multiply(2.0 * work.cells * work.computed, work.real) / SUMMED


TILED = 0.45
"""Share of their rate at which matrix tiles sum outer products of single precision."""
PARTED = 2.5
"""Operations, beside those tiles, that it takes to divide a number into parts."""


def on_tiles(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Sides of whole vectors."""
    assert isinstance(node, Outer)
    if not target.whole_tiles:
        return "the machine has no matrix tiles, or its numbers are not of single precision"
    narrow = min(node.left.size, node.right.size) // node.rows * 4 <= target.lanes
    return "a side is so narrow that it fills no vector" if narrow else None


def square_seconds(work: Work, rates: Rates) -> float:
    """Both sides are divided into parts and turned, in part while tiles multiply."""
    compute = rates.multiply_tiles(2.0 * work.cells * work.tiled) * PRODUCTS / TILED
    return compute + work.cells * work.depth * PARTED / rates.simple


BLOCKS = Strategy("blocks", "outer", always, block_seconds, "outer")
SQUARES = Strategy("tiles", "outer", on_tiles, square_seconds, "outer_tiles")
