"""Products of elements whose operands are shorter than the result: outer products, rows or columns of a matrix times a vector each.

    o = contract(u, k, "a,b->ab")      →      o = u spread along b * k spread along a, elementwise

Takes a `Graph`; turns contractions that sum nothing into elementwise products, whose loops read an operand more than once. Then they
run where their results are used, and need no memory.
"""

from __future__ import annotations

import math

from seqc.flow.types import Axis, Kind
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
        spreads = tuple(each for each in found if each is not None)
        if len(spreads) == len(operands):
            graph.op[index], graph.spread[index] = "mul", spreads


def differs_by_row(graph: Graph, index: int) -> bool:
    """Whether a contraction of reals has a batch, and sums over no axis."""
    types = [graph.type(each) for each in (*graph.args[index], index)]
    axes = graph.type(index).axes
    return Axis.BATCH in axes and all(each.kind is Kind.REAL and each.axes <= axes for each in types)


def spread_of(operand: str, result: str, dims: dict[str, int], lanes: int) -> int | None:
    """How many neighbours of the result read one element of an operand, whose letters are side by side in both; 0 where each has its
    own; None where a vector would read elements that are neither one nor neighbours."""
    start = result.find(operand)
    if not operand or start < 0 or len(set(result)) < len(result):
        return None
    inner = math.prod(dims[each] for each in result[start + len(operand) :])
    size = math.prod(dims[each] for each in operand)
    if size == math.prod(dims.values()):
        return 0
    return inner if (inner if inner > 1 else size) % lanes == 0 else None
