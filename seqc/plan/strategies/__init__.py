"""The strategies: ways to run a kernel, each with its name, the kind of node that it serves, when it is legal and what it costs.

A backend prints a kernel by the template of its strategy. A new one is a record in the file of its kind and a name here.
"""

from __future__ import annotations

from seqc.plan.strategies.outer import BLOCKS, SQUARES
from seqc.plan.strategies.product import EITHER, FEW, GEMM, PLAIN, ROWS, TILES
from seqc.plan.strategies.scan import LOOP
from seqc.plan.strategies.strategy import Strategy

STRATEGIES: tuple[Strategy, ...] = (ROWS, GEMM, PLAIN, TILES, FEW, EITHER, BLOCKS, SQUARES, LOOP)
"""Of those of a kind, the more special first: of equals it is taken."""

__all__ = ["STRATEGIES", "Strategy"]
