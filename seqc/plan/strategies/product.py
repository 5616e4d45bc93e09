"""Strategies of products: packed panels on vectors, all sums of a row in registers, matrix tiles, or plain loops."""

from __future__ import annotations

from seqc.plan.rates import Rates
from seqc.plan.strategies.strategy import Chosen, Strategy, Work, always
from seqc.plan.target import Target
from seqc.plan.types import Plan, Product, Scan

TRAINING = ("gradients", "update")
MOST_SUMS = 8
"""Vectors of sums that stay in registers beside what a row needs else."""
FEW_SUMS = 3
"""Vectors of sums of a row that are so few that they are cut into parts, which panels of many rows do slowly."""
SHALLOW = 32
"""Terms of a sum up to which this shows."""

MANY_ROWS = 8
"""Rows of a call from which tiles multiply where the weights are packed for both."""
FEW_ROWS = 5
"""Rows whose parts fill one tile; agrees with `few_rows` of the runtime."""
MOST_TERMS = 8
"""Terms of a product on tiles."""
PRODUCTS, PARTS = 6, 3
"""Products of parts that tiles add up for one of single precision, and parts of a number, two bytes each."""
TILED = 0.65
"""Share of their rate that tiles reach there."""
TILE_HEIGHT = 16
"""Rows that tiles multiply in the time of one."""
READY, DEEPEST = 393216, 4096
"""Parts of rows that lie ready while all weights pass over them, and terms of a sum that so many whole rows may have; agrees with
`tile_rows_at_once` of the runtime."""
APART = 0.35
"""Share of what the shorter takes of products and waiting for weights that is not hidden behind the other."""
PARTED, TILE_CALL = 5, 300
"""Operations that it takes to divide a number into parts, and cycles to begin and end with tiles."""

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


def on_tiles(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Weights that are parameters, wide enough for vectors."""
    assert isinstance(node, Product)
    packs = [plan.packs[each.pack] for each in node.segments]
    if not target.whole_tiles:
        return "the machine has no matrix tiles, or its numbers are not of single precision"
    if target.weights != "real":
        return "its weights may have fewer bits"
    if any(each.sources is None for each in packs):
        return "its weights are computed in the call"
    if any(each.gates == 1 and each.units * 4 <= each.block for each in packs):
        return "it has so few units that each is a dot product"
    if node.epilogue is not None and sum(each.depth for each in node.segments) > DEEPEST:
        return (
            f"equations run on its sums, which are more than {DEEPEST} deep: their rows would fill the stack"
        )
    return f"it has more than {MOST_TERMS} terms" if len(packs) > MOST_TERMS else None


def tile_seconds(work: Work, rates: Rates) -> float:
    """Each value of a row is divided into parts first; weights that do not lie near are waited for beside the products, once for as
    many rows as lie ready, or for all that pass over one stretch of the depth after the other."""
    rows = -(-work.cells // TILE_HEIGHT) * TILE_HEIGHT
    compute = rates.multiply_tiles(2.0 * rows * work.tiled) * PRODUCTS / TILED
    parting = work.cells * work.depth * PARTED / rates.simple
    passes = -(-work.cells * work.depth * PARTS // READY) if work.whole else 1
    waiting = passes * work.weights / rates.reads[work.level] if work.level > 1 else 0.0
    return max(compute, waiting) + APART * min(compute, waiting) + parting + TILE_CALL * work.cycle


def either(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Loops over time of calls with one row or many; training has many."""
    if plan.entry in TRAINING:
        return "training has many rows"
    if not any(node is kernel for scan in plan.nodes if isinstance(scan, Scan) for kernel in scan.kernels):
        return "it stands in no loop over time"
    return on_tiles(plan, node, target)


def either_seconds(work: Work, rates: Rates) -> float:
    """As the rows of the call ask for."""
    return (tile_seconds if work.cells >= MANY_ROWS else panel_seconds)(work, rates)


def few_fit(plan: Plan, node: Chosen, target: Target) -> str | None:
    """Equations run on the sums of a row, which fit the registers."""
    assert isinstance(node, Product)
    if node.epilogue is None:
        return "nothing runs on its sums"
    return either(plan, node, target) or rows_fit(plan, node, target)


def few_seconds(work: Work, rates: Rates) -> float:
    """As the rows of the call ask for."""
    return (tile_seconds if work.cells >= MANY_ROWS else row_seconds)(work, rates)


GEMM = Strategy("gemm", "product", always, panel_seconds, "product")
ROWS = Strategy("rows", "product", rows_fit, row_seconds, "product_rows")
PLAIN = Strategy("plain", "product", whole_weights, plain_seconds, "product_plain")
TILES = Strategy("tiles", "product", on_tiles, tile_seconds, "product_tiles")
EITHER = Strategy("either", "product", either, either_seconds, "product_either")
FEW = Strategy("either_rows", "product", few_fit, few_seconds, "product_either_rows")

EITHER_WAY = ("either", "either_rows")
"""Strategies whose weights are packed for vectors and for tiles."""
