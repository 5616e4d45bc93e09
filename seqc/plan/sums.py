"""Sums: additions that do nothing but enter another are one sum, with all terms of theirs.

Reads a `Graph` with the uses of its values.
"""

from __future__ import annotations

from seqc.plan.graph import Graph, Use


def is_sum(graph: Graph, index: int) -> bool:
    """Whether a value is an addition that a kernel computes."""
    return graph.op[index] == "add" and graph.is_computed(index) and not graph.uniform[index]


def only_use(graph: Graph, index: int) -> Use | None:
    """The single use of a value as a whole, if it has no other."""
    uses = graph.uses[index]
    return uses[0] if len(uses) == 1 and uses[0].whole and uses[0].user >= 0 else None


def is_inner_sum(graph: Graph, index: int) -> bool:
    """Whether a sum does nothing but enter another of the same type in the same phase."""
    use = only_use(graph, index)
    return use is not None and is_sum(graph, use.user) and belongs(graph, index, use.user)


def belongs(graph: Graph, index: int, total: int) -> bool:
    """Whether a value has the type and phase of a sum that it enters."""
    return graph.phase[index] == graph.phase[total] and graph.type(index) == graph.type(total)


def may_join(graph: Graph, term: int, total: int) -> bool:
    """Whether a term is a product that nobody else reads."""
    return term in graph.segments and belongs(graph, term, total) and only_use(graph, term) is not None


def sum_terms(graph: Graph, total: int) -> tuple[list[int], list[int]]:
    """The additions of a sum in running order, and its terms."""
    sums: list[int] = []
    terms: list[int] = []
    todo = [total]
    while todo:
        index = todo.pop()
        sums.append(index)
        for arg in graph.args[index]:
            base = graph.through(arg)
            inner = is_sum(graph, base) and only_use(graph, base) is not None and belongs(graph, base, total)
            (todo if inner else terms).append(base)
    return sorted(sums, key=lambda index: graph.position[index]), terms
