"""Strategies of outer products: blocks of the result, each summed over all instants in a fixed order."""

from __future__ import annotations

from seqc.plan.rates import Rates
from seqc.plan.strategies.strategy import Strategy, Work, always

SUMMED = 0.8
"""Share of the multiply-add rate that sums of outer products reach."""


def block_seconds(work: Work, rates: Rates) -> float:
    """Whole vectors are computed, lanes that nobody needs included."""
    return rates.multiply(2.0 * work.cells * work.computed, work.real) / SUMMED


BLOCKS = Strategy("blocks", "outer", always, block_seconds, "outer")
