"""Strategies of products: packed panels on vectors, all sums of a row in registers, or plain loops."""

from __future__ import annotations

from seqc.plan.rates import Rates
from seqc.plan.strategies.strategy import Chosen, Strategy, Work, always
from seqc.plan.target import Target
from seqc.plan.types import Plan, Product

MOST_SUMS = 8
"""Vectors of sums that stay in registers beside what a row needs else."""
FEW_SUMS = 3
"""Vectors of sums of a row that are so few that they are cut into parts, which panels of many rows do slowly."""
SHALLOW = 32
"""Terms of a sum up to which this shows."""

PLAIN_SHARE = 1 / 32
"""Share of the multiply-add rate that plain loops over packed weights reach."""
REACHED = 0.9
"""Share of the multiply-add rate that products in panels reach."""
ROWS_TOGETHER = 6
"""Rows whose sums are in registers together while a panel of weights is read."""
PANEL, ROW = 30, 4
"""Cycles to begin a panel for a group of rows, and a row whose sums are in registers all at once."""


def panel_seconds(work: Work, rates: Rates) -> float:
    """Whole vectors are computed, lanes that nobody needs included; each group of rows but the first, which `cost` counts, reads
    all weights once more, panel by panel."""
    groups = -(-work.cells // ROWS_TOGETHER)
    compute = rates.multiply(2.0 * work.cells * work.computed, work.real) / REACHED
    again = (groups - 1) * work.weights / rates.reads[min(work.level, 1)]
    return max(compute, again) + groups * work.panels * PANEL * work.cycle


def rows_fit(plan: Plan, node: Chosen, target: Target) -> str | None:
    """All sums of a row in registers, all weights in the first cache."""
    assert isinstance(node, Product)
    pack = plan.packs[node.segments[0].pack]
    vectors = -(-pack.units // target.lanes) * pack.gates
    depth = sum(each.depth for each in node.segments)
    alone = vectors <= FEW_SUMS and depth <= SHALLOW and node.rows == 1 and not node.turns
    if node.epilogue is None and not alone:
        return "nothing runs on its sums, which are many or deep"
    if target.weights != "real" or target.math != "real":
        return "its weights may have fewer bits"
    if pack.gates == 1 and pack.units * 4 <= target.lanes:
        return "it has so few units that each is a dot product"
    if vectors > MOST_SUMS:
        return f"the sums of a row fill more than {MOST_SUMS} vectors"
    if (
        sum(plan.packs[each.pack].elements for each in node.segments) * target.real_bytes
        > target.l1_bytes * 3 // 4
    ):
        return "its weights do not fit the first cache"
    return None


def row_seconds(work: Work, rates: Rates) -> float:
    """Every row reads all weights, which lie in the first cache, without beginning each panel."""
    compute = rates.multiply(2.0 * work.cells * work.computed, work.real) / REACHED
    return compute + work.cells * ROW * work.cycle


def whole_weights(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Plain loops read reals."""
    fewer = target.weights != "real" or target.math != "real"
    return "its weights may have fewer bits" if fewer else None


def plain_seconds(work: Work, rates: Rates) -> float:
    """One multiplication after the other; sums are put together to vectors, panel by panel, which waits for their stores."""
    compute = rates.multiply(2.0 * work.cells * work.useful, work.real) / PLAIN_SHARE
    return compute + work.cells * work.panels * PANEL * work.cycle


GEMM = Strategy("gemm", "product", always, panel_seconds, "product")
ROWS = Strategy("rows", "product", rows_fit, row_seconds, "product_rows")
PLAIN = Strategy("plain", "product", whole_weights, plain_seconds, "product_plain")
