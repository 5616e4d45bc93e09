"""Sums of squares in double precision, which clipping by norm asks for, as one pass over what is summed.

    a = cast g; b = a * a; s = sum b      →      s = squares g

Takes a `Graph`; rewrites it so that neither the wide numbers nor their squares need memory.
"""

from __future__ import annotations

from seqc.flow.types import Kind
from seqc.plan.graph import Graph


def find_squares(graph: Graph) -> None:
    """Let sums over all elements of squares of a wider kind read the narrow elements themselves."""
    for index in graph.in_order():
        source = squared(graph, index)
        if source is not None:
            graph.op[index], graph.args[index] = "squares", (source,)


def squared(graph: Graph, index: int) -> int | None:
    """What a value is the sum of squares of, if it is one without axes; None otherwise."""
    if graph.op[index] != "reduce" or graph.attr(index, "how") != "sum" or graph.type(index).dims:
        return None
    (product,) = graph.args[index]
    if (
        graph.op[product] != "mul"
        or graph.type(product).axes
        or graph.args[product][0] != graph.args[product][1]
    ):
        return None
    wide = graph.args[product][0]
    if graph.op[wide] != "cast" or graph.type(wide).kind is not Kind.F64:
        return None
    (source,) = graph.args[wide]
    return source if graph.type(source).kind is Kind.REAL and graph.type(source).dims else None
