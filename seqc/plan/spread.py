"""Products of elements whose operands are shorter than the result: outer products, rows or columns of a matrix times a vector each.

    o = contract(u, k, "a,b->ab")      →      o = u spread along b * k spread along a, elementwise

Takes a `Graph`; turns contractions that sum nothing into elementwise products, whose loops read an operand more than once. Then they
run where their results are used, and need no memory.
"""

from __future__ import annotations

import math

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Spread
from seqc.plan.graph import Graph
from seqc.plan.stack import letters


def spread_operands(graph: Graph, lanes: int) -> None:
    """Let contractions without sums, of reals of each row of a batch, be products of elements where whole vectors of `lanes` read either
    neighbours of an operand or one element of it."""
    for index in graph.in_order():
        if graph.op[index] != "contract" or not differs_by_row(graph, index):
            continue
        *operands, result = letters(graph, index)
        dims = dict(zip(result, graph.type(index).dims, strict=True))
        found = [spread_of(each, result, dims, lanes) for each in operands]
        if all(fits for fits, _ in found):
            graph.op[index], graph.spread[index] = "mul", tuple(spread for _, spread in found)


def differs_by_row(graph: Graph, index: int) -> bool:
    """Whether a contraction of reals has a batch, and sums over no axis."""
    types = [graph.type(each) for each in (*graph.args[index], index)]
    axes = graph.type(index).axes
    return Axis.BATCH in axes and all(each.kind is Kind.REAL and each.axes <= axes for each in types)


def spread_of(operand: str, result: str, dims: dict[str, int], lanes: int) -> tuple[bool, Spread | None]:
    """Whether whole vectors of the result read neighbours of an operand or one element of it, and which; its letters stand in
    the result in at most two runs, of which the first begins it: `cb` in `cab` is a round of `b` for each `c`."""
    if not operand or len(set(result)) < len(result):
        return False, None
    shared = 0 if operand in result else sum(result.startswith(operand[: n + 1]) for n in range(len(operand)))
    last = operand[shared:]
    start = result.find(last)
    if start < 0 or (shared and start < shared):
        return False, None
    each = math.prod(dims[letter] for letter in result[start + len(last) :])
    round = math.prod(dims[letter] for letter in last)
    block = math.prod(dims[letter] for letter in result[shared:]) if shared else 0
    if round == math.prod(dims.values()):
        return True, None
    return (each if each > 1 else round) % lanes == 0, Spread(each, round, block)
