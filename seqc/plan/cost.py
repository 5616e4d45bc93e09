"""What a Plan should cost on a machine of given rates, kernel by kernel: operations, bytes, seconds, and what bounds them.

Takes a Plan, a Target, `Rates` and one T and B; gives a `Cost` for each kernel. A kernel takes as long as the slowest of its
parts: multiply-adds, elementary functions, the weights out of the cache level that holds them, the streams that it reads and
writes. The floor counts what no program can leave out: its products, and weights that a loop reads at every step.
"""

from __future__ import annotations

import math
from dataclasses import replace

from seqc.flow.types import Axis
from seqc.plan.buffers import Operand
from seqc.plan.chain import Chain, Sweep
from seqc.plan.lanes import runs_on_rows
from seqc.plan.place import element_bytes, flat, reads_and_writes
from seqc.plan.rates import LEVELS, Rates
from seqc.plan.setting import Cost, Setting
from seqc.plan.strategies import STRATEGIES, Strategy
from seqc.plan.strategies.outer import square_seconds
from seqc.plan.strategies.product import EITHER_WAY, MANY_ROWS, PARTS, PRODUCTS, ROWS_TOGETHER
from seqc.plan.strategies.strategy import Work
from seqc.plan.target import Target
from seqc.plan.tiled import tile_of
from seqc.plan.types import (
    Categorical,
    Einsum,
    Node,
    Outer,
    Outers,
    Plan,
    Pointwise,
    Product,
    Reduce,
    Scan,
    Scatter,
    Transpose,
)

DIVISIONS = frozenset({"div", "sqrt", "root", "mod", "idiv"})
FREE = frozenset({"const", "uniform", "broadcast", "instant", "stop", "clipped", "reshape"})
FUNCTIONS = frozenset(
    {"pow", "exp", "log", "log1p", "expm1", "sin", "cos", "tan", "atan", "tanh", "sigmoid", "softplus", "erf"}
    | {"quick_tanh", "quick_sigmoid", "coarse_tanh", "coarse_sigmoid"}
)
TILES_IN_LOOPS, TILES_BY_ROWS = 0.6, 0.25
"""Shares of their rate at which matrix tiles multiply rows by weights, which they read in between, and sum outer products,
both sides of which are rounded and turned first."""

DIVISION = 16
"""Simple operations that take as long as one division."""
COARSE = 1.7
"""How many values of a coarse function are computed in the time of one of the fast class."""
INDEXED, TILED = 1 / 64, 1 / 4
"""Share of the multiply-add rate that loops over any indices reach, and those whose innermost ones are tiles."""
CHAIN = 150
"""Cycles that a step of a loop waits for functions of functions, where the next step needs their result."""


def costs(
    plan: Plan, target: Target, rates: Rates, steps: int, batch: int
) -> tuple[tuple[int, Node, Cost], ...]:
    """For each kernel in running order: the number of its scan or -1, the kernel, its cost. ValueError for T or B below 1."""
    if steps < 1 or batch < 1:
        raise ValueError(f"steps and batch are counted from 1, found {steps} and {batch}")
    setting = Setting(plan, target, rates, steps, batch)
    scans = [node for node in plan.nodes if isinstance(node, Scan)]
    resident = [residents(plan, target, scan) for scan in scans]
    found = []
    for scan, node in flat(plan.nodes):
        here = setting if scan < 0 else replace(setting, residents=resident[scan])
        found.append((scan, node, cost(here, node, scan >= 0)))
    return tuple(found)


def residents(plan: Plan, target: Target, scan: Scan) -> float:
    """Bytes of weights that a scan reads at each step."""
    packs = {each.pack for kernel in scan.kernels if isinstance(kernel, Product) for each in kernel.segments}
    return float(sum(plan.packs[pack].bytes(target.real_bytes) for pack in sorted(packs)))


def cost(setting: Setting, node: Node, looped: bool) -> Cost:
    """One kernel; `looped`: it stands in a scan and runs once for each step."""
    runs = setting.steps if looped else 1
    match node:
        case Product():
            one = _product(setting, node, looped)
        case Outer():
            one = _outer(setting, node, looped)
        case Outers():
            one = _outers(setting, node, looped)
        case Einsum():
            one = _einsum(setting, node, looped)
        case Pointwise():
            one = _pointwise(setting, node, looped)
        case Chain():
            one = _chain(setting, node, looped)
        case Reduce() | Categorical():
            one = _reduce(setting, node, looped)
        case _:
            one = _carried(setting, node, looped)
    total = one.seconds + setting.rates.call
    bound = one.bound if one.seconds > setting.rates.call else "calls"
    return replace(
        one,
        operations=one.operations * runs,
        values=one.values * runs,
        bytes=one.bytes * runs,
        runs=runs,
        seconds=total * runs,
        least=one.least * runs,
        bound=bound,
    )


def _streams(setting: Setting, operands: list[Operand], cells: int, looped: bool) -> tuple[float, float, str]:
    """Bytes that move, the seconds that this takes, and the farthest level that it goes to."""
    total, seconds, farthest = 0.0, 0.0, 0
    for operand in operands:
        buffer = setting.plan.buffers[operand.buffer]
        rows = setting.batch if Axis.BATCH in buffer.axes else 1
        instants = setting.steps if Axis.TIME in buffer.axes and not looped and not operand.at else 1
        bytes = float(operand.size * element_bytes(buffer, setting.target) * min(cells, rows * instants))
        level = setting.rates.level(setting.whole(operand.buffer))
        total += bytes
        seconds += bytes / setting.rates.reads[level]
        farthest = max(farthest, level)
    return total, seconds, LEVELS[farthest]


def _slowest(parts: dict[str, float]) -> tuple[float, str]:
    bound = max(parts, key=lambda name: parts[name])
    return parts[bound], bound


def _multiply(setting: Setting, operations: float) -> float:
    return setting.rates.multiply(operations, setting.target.real_bytes)


def _product(setting: Setting, node: Product, looped: bool) -> Cost:
    cells = setting.cells(node.axes, looped) * node.rows
    packs = [setting.plan.packs[each.pack] for each in node.segments]
    weights = float(sum(pack.bytes(setting.target.real_bytes) for pack in packs))
    tiled = _in_parts(node, cells)
    if tiled:
        weights = float(sum(2 * PARTS * pack.elements for pack in packs))
    useful = 2.0 * cells * sum(pack.units * pack.gates * pack.depth for pack in packs)
    level = setting.rates.level(max(weights, setting.residents))
    loading = weights / setting.rates.reads[level]
    dots = {pack.kind for pack in packs} == {"dots"}
    rates = setting.rates.in_pairs() if dots else setting.rates
    compute = _strategy("product", node.strategy).seconds(_work(setting, node, cells, weights, level), rates)
    if cells < ROWS_TOGETHER and not tiled:
        compute = max(compute, _latency(setting, node, cells))
    own = "pairs" if dots else "multiply-adds"
    multiplied = rates.multiply(useful, setting.target.real_bytes)
    if share := _share_of_tiles(setting, node, cells):
        own, multiplied = "matrix tiles", setting.rates.multiply_tiles(useful) * share
        compute = (
            compute if tiled else setting.rates.multiply_tiles(useful) * max(1.0, share) / TILES_IN_LOOPS
        )
    read, written = reads_and_writes(setting.plan, node)
    bytes, moving, farthest = _streams(setting, [*read, *written], cells, looped)
    seconds, bound = _slowest(
        {own: compute, f"weights from {LEVELS[level]}": loading, f"streams, {farthest}": moving}
    )
    values = 0.0
    if node.epilogue is not None:
        inner = _pointwise(setting, node.epilogue, looped)
        values = inner.values
        spent, functions, _ = _arithmetic(setting, node.epilogue, cells)
        seconds += spent + (CHAIN * _cycle(setting) if looped and functions else 0.0)
    least = max(multiplied, loading if looped else 0.0)
    return Cost(useful, values, weights + bytes, weights, 1, seconds, least, bound)


def _in_parts(node: Product, cells: int) -> bool:
    """Whether single precision is multiplied on tiles, each number in parts."""
    return node.strategy == "tiles" or (node.strategy in EITHER_WAY and cells >= MANY_ROWS)


def _share_of_tiles(setting: Setting, node: Product, cells: int) -> float:
    """Operations of tiles in bfloat16 for each one of a product; 0 where vectors multiply."""
    packs = [setting.plan.packs[each.pack] for each in node.segments]
    kinds = {pack.kind for pack in packs}
    if not setting.target.tiles:
        return 0.0
    if _in_parts(node, cells):
        return PRODUCTS
    if kinds == {"int8"}:  # as `runtime/tiles8.hpp` decides it; twice as many as in bfloat16, were it all
        quads = sum(-(-pack.depth // 4) for pack in packs)
        tiles = sum(-(-pack.depth // 64) for pack in packs)
        return 0.5 if quads > 9 * tiles and cells * quads >= 64 * (tiles + 1) else 0.0
    return 1.0 if kinds == {"pairs"} else PARTS if kinds == {"exact"} else 0.0


def _work(setting: Setting, node: Product, cells: int, weights: float, level: int) -> Work:
    """What a product has to do, for its strategy."""
    packs = [setting.plan.packs[each.pack] for each in node.segments]
    useful = float(sum(pack.units * pack.gates * pack.depth for pack in packs))
    computed = float(sum(pack.elements for pack in packs))
    panels = max(-(-pack.units // max(1, pack.block)) for pack in packs)
    depth = sum(pack.depth for pack in packs)
    tiled = sum(-(-pack.units // 16) * 16 * pack.gates * -(-pack.depth // 32) * 32 for pack in packs)
    real = setting.target.real_bytes
    whole = node.epilogue is not None
    return Work(
        cells, useful, computed, panels, weights, level, _cycle(setting), real, depth, whole, float(tiled)
    )


def _strategy(kind: str, name: str) -> Strategy:
    """A strategy by its name, the usual one of its kind where a plan has none yet."""
    wanted = name or {"product": "gemm", "outer": "blocks"}[kind]
    return next(each for each in STRATEGIES if (each.kind, each.name) == (kind, wanted))


def _latency(setting: Setting, node: Product, cells: int) -> float:
    """Few sums at once wait for each other: a multiply-add takes four cycles, and eight are needed to hide that."""
    packs = [setting.plan.packs[each.pack] for each in node.segments]
    width = max(1.0, max(pack.elements / max(1, pack.depth) for pack in packs) / setting.target.lanes)
    depth = sum(pack.depth for pack in packs)
    return depth * 4.0 * _cycle(setting) * min(1.0, 8.0 / (width * cells)) / 2.0 if width * cells < 8 else 0.0


def _cycle(setting: Setting) -> float:
    """Seconds of one cycle of a core with two multiply-adds a cycle."""
    lanes = setting.target.vector_bytes / 4
    return 4.0 * lanes / setting.rates.operations


def _outer(setting: Setting, node: Outer, looped: bool) -> Cost:
    cells = setting.cells(node.axes, looped) * node.rows
    left, right = node.left.size // node.rows, node.right.size // node.rows
    useful = 2.0 * cells * left * right
    lanes = setting.target.lanes
    work = Work(
        cells,
        left * right,
        left * -(-right // lanes) * lanes,
        real=setting.target.real_bytes,
        depth=left + right,
        tiled=float(-(-left // 16) * 16 * -(-right // 16) * 16),
    )
    bytes, moving, farthest = _streams(setting, [node.left, node.right, node.out], cells, looped)
    own, compute, least = _summing(setting, node, useful, work)
    seconds, bound = _slowest({own: compute, f"streams, {farthest}": moving})
    return Cost(useful, 0.0, bytes, 0.0, 1, seconds, least, bound)


def _summing(setting: Setting, node: Outer | Outers, useful: float, work: Work) -> tuple[str, float, float]:
    """What sums outer products, how long it takes, and how long it takes at the least."""
    if node.math == "tiles":
        least = setting.rates.multiply_tiles(useful)
        return "matrix tiles", least / TILES_BY_ROWS, least
    if node.math == "split" or getattr(node, "strategy", "") == "tiles":
        least = setting.rates.multiply_tiles(useful) * PRODUCTS
        return "matrix tiles", square_seconds(work, setting.rates), least
    strategy = _strategy("outer", node.strategy if isinstance(node, Outer) else "")
    if node.math == "dots":
        rates = setting.rates.in_pairs()
        return "pairs", strategy.seconds(work, rates), rates.multiply(useful)
    return "multiply-adds", strategy.seconds(work, setting.rates), _multiply(setting, useful)


def _outers(setting: Setting, node: Outers, looped: bool) -> Cost:
    cells, lanes = setting.cells(node.axes, looped), setting.target.lanes
    wide = sum(right.operand.size for right in node.rights)
    useful = 2.0 * cells * node.left.size * wide
    work = Work(
        cells,
        node.left.size * wide,
        -(-node.left.size // lanes) * lanes * wide,
        real=setting.target.real_bytes,
        depth=node.left.size + wide,
        tiled=float(
            sum(-(-node.left.size // 16) * 16 * -(-each.operand.size // 16) * 16 for each in node.rights)
        ),
    )
    read, written = reads_and_writes(setting.plan, node)
    bytes, moving, farthest = _streams(setting, [*read, *written], cells, looped)
    own, compute, least = _summing(setting, node, useful, work)
    seconds, bound = _slowest({own: compute, f"streams, {farthest}": moving})
    return Cost(useful, 0.0, bytes, 0.0, 1, seconds, least, bound)


def _einsum(setting: Setting, node: Einsum, looped: bool) -> Cost:
    cells = setting.cells(node.axes | node.summed, looped)
    count = cells * math.prod(extent for _, extent in node.extents)
    bytes, moving, farthest = _streams(setting, [node.left, node.right, node.out], cells, looped)
    work = _multiply(setting, 2.0 * count)
    share = INDEXED if tile_of(setting.plan, node) is None else TILED
    seconds, bound = _slowest({"multiply-adds": work / share, f"streams, {farthest}": moving})
    return Cost(2.0 * count, 0.0, bytes, 0.0, 1, seconds, work, bound)


def _arithmetic(
    setting: Setting, node: Pointwise | Sweep, cells: int, rows: bool = False
) -> tuple[float, float, float]:
    """Seconds of a loop's statements, those of functions among them, and how many values functions give; `rows`: they lie
    in lanes."""
    rates, lanes = setting.rates, setting.target.lanes
    width = -(-node.size // lanes) * lanes if node.size > 1 else 1
    elements = float(-(-cells // lanes) * lanes * node.size if rows else cells * width)
    double = setting.target.real_bytes == 8
    simple = rates.operations_double / 2 if double else rates.operations / 2
    known = {"exp": rates.exp, "tanh": rates.tanh, "sigmoid": rates.sigmoid}
    known |= {f"quick_{name}": rates.tanh for name in ("tanh", "sigmoid")}
    known |= {f"coarse_{name}": rates.tanh * COARSE for name in ("tanh", "sigmoid")}
    plain, functions, values = 0.0, 0.0, 0.0
    for each in node.statements:
        if each.op in FUNCTIONS:
            rate = known.get(each.op, rates.exp / 2)
            functions += elements / (rate / 3 if double else rate)
            values += cells * node.size
        elif each.op not in FREE:
            plain += elements * (DIVISION if each.op in DIVISIONS else 1) / simple
    functions += elements * len(getattr(node, "draws", ())) / (rates.exp / 4)
    if node.size == 1 and not rows:  # one number at a time, in the lanes of nothing
        plain, functions = plain * lanes / 2, functions * lanes / 2
    return plain + functions, functions, values


def _pointwise(setting: Setting, node: Pointwise, looped: bool) -> Cost:
    cells = setting.cells(node.axes, looped)
    read, written = reads_and_writes(setting.plan, node)
    bytes, moving, farthest = _streams(setting, [*read, *written], cells, looped)
    rows = runs_on_rows(setting.plan, node, setting.target.lanes)
    spent, functions, values = _arithmetic(setting, node, cells, rows)
    name = "functions" if functions > spent / 2 else "arithmetic"
    seconds, bound = _slowest({name: spent, f"streams, {farthest}": moving})
    return Cost(0.0, values, bytes, 0.0, 1, seconds, 0.0, bound)


def _chain(setting: Setting, node: Chain, looped: bool) -> Cost:
    """What its sweeps leave for one another costs no stream."""
    cells = setting.cells(node.axes, looped)
    read, written = reads_and_writes(setting.plan, node)
    bytes, moving, farthest = _streams(setting, list(dict.fromkeys([*read, *written])), cells, looped)
    spent, functions, values = 0.0, 0.0, 0.0
    rows = runs_on_rows(setting.plan, node, setting.target.lanes)
    for sweep in node.sweeps:
        found = _arithmetic(setting, sweep, cells, rows)
        folded = cells * sweep.size * (len(sweep.folds) + len(sweep.spots)) / setting.rates.simple
        spent, functions, values = spent + found[0] + folded, functions + found[1], values + found[2]
    name = "functions" if functions > spent / 2 else "arithmetic"
    seconds, bound = _slowest({name: spent, f"streams, {farthest}": moving})
    return Cost(0.0, values, bytes, 0.0, 1, seconds, 0.0, bound)


def _reduce(setting: Setting, node: Reduce | Categorical, looped: bool) -> Cost:
    if isinstance(node, Reduce):
        cells = setting.cells(node.axes | node.summed, looped)
        elements = float(cells * node.outer * node.middle * node.inner)
        work = elements / setting.rates.simple * (4.0 if node.how == "argmax" or node.inner == 1 else 1.0)
    else:
        cells = setting.cells(node.axes, looped)
        elements = float(cells * node.logits.size)
        work = elements / setting.rates.exp + elements / setting.rates.simple
    read, written = reads_and_writes(setting.plan, node)
    bytes, moving, farthest = _streams(setting, [*read, *written], cells, looped)
    seconds, bound = _slowest({"arithmetic": work, f"streams, {farthest}": moving})
    return Cost(0.0, 0.0, bytes, 0.0, 1, seconds, 0.0, bound)


def _carried(setting: Setting, node: Node, looped: bool) -> Cost:
    """What only carries elements from here to there."""
    axes: frozenset[Axis] = getattr(node, "axes", frozenset())
    cells = setting.cells(axes | node.summed if isinstance(node, Scatter) else axes, looped)
    read, written = reads_and_writes(setting.plan, node)
    bytes, moving, farthest = _streams(setting, [*read, *written], cells, looped)
    if isinstance(node, Transpose):
        moving *= 4.0  # against the grain of cache lines
    return Cost(0.0, 0.0, bytes, 0.0, 1, moving, 0.0, f"streams, {farthest}")


def total(found: tuple[tuple[int, Node, Cost], ...]) -> Cost:
    """All kernels of a plan together; `bound` is that of the one that takes longest."""
    if not found:
        return Cost()
    parts = [each for _, _, each in found]
    longest = max(parts, key=lambda each: each.seconds)
    return Cost(
        sum(each.operations for each in parts),
        sum(each.values for each in parts),
        sum(each.bytes for each in parts),
        sum(each.weights for each in parts),
        sum(each.runs for each in parts),
        sum(each.seconds for each in parts),
        sum(each.least for each in parts),
        longest.bound,
    )
