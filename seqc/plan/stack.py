"""Products: contractions with a weight matrix, chained where they are summed and stacked where they share an operand.

    i = W1 @ x + U1 @ h + b1                 p1 = [W1 x + U1 h], p2 = [W2 x + U2 h]     # one product, two gates
    f = W2 @ x + U2 @ h + b2          →      i = b1 + p1, f = b2 + p2

Takes a `Graph`; rewrites it so that `graph.segments` holds the summands of every product, and gives the stacks.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import Kind
from seqc.plan.graph import Graph, Segment, collect_uses
from seqc.plan.inside import take_along
from seqc.plan.sums import is_inner_sum, is_sum, may_join, sum_terms


@dataclass(frozen=True, slots=True)
class Stack:
    """Values that one product computes: its gates, in order."""

    members: tuple[int, ...]


def letters(graph: Graph, index: int) -> tuple[str, str, str]:
    """The letters of a contraction: both operands and the result."""
    spec = str(graph.attr(index, "spec"))
    operands, result = spec.split("->")
    first, second = operands.split(",")
    return first, second, result


def segment_of(graph: Graph, index: int) -> Segment | None:
    """A contraction as weights times a vector that varies; None if it is anything else."""
    if graph.op[index] != "contract":
        return None
    first, second, result = letters(graph, index)
    a, b = graph.args[index]
    if len(first) == len(second) == len(result) == 2:
        return rows_segment(graph, index)
    for matrix, vector, names, name in ((a, b, first, second), (b, a, second, first)):
        if len(names) != 2 or len(name) != 1 or len(result) != 1 or name == result:
            continue
        if set(names) != {name, result} or graph.type(matrix).axes or not graph.type(vector).axes:
            continue
        if graph.type(index).axes != graph.type(vector).axes:
            continue
        if any(graph.type(each).kind is not Kind.REAL for each in (matrix, vector, index)):
            continue
        rows = names[0] == result
        matrix, turned = untransposed(graph, matrix)
        form = "rows" if rows != turned else "columns"
        return Segment(form, matrix, vector, graph.size(index), graph.size(vector))
    return None


def rows_segment(graph: Graph, index: int) -> Segment | None:
    """A product of two matrices without axes, as weights times the rows of the other; None if it is anything else."""
    first, second, result = letters(graph, index)
    a, b = graph.args[index]
    if any(graph.type(each).kind is not Kind.REAL or graph.type(each).axes for each in (a, b, index)):
        return None
    row, unit = result[0], result[1]
    for matrix, vectors, names, own in ((a, b, first, second), (b, a, second, first)):
        inner = own[1]
        if own[0] != row or len({row, unit, inner}) < 3 or set(names) != {unit, inner}:
            continue
        rows, depth = graph.type(vectors).dims
        matrix, turned = untransposed(graph, matrix)
        form = "rows" if (names[0] == unit) != turned else "columns"
        return Segment(form, matrix, vectors, graph.type(index).dims[1], depth, rows)
    return None


def untransposed(graph: Graph, matrix: int) -> tuple[int, bool]:
    """The matrix behind transpositions, and whether their number is odd."""
    turned = False
    while graph.op[matrix] == "transpose" and len(graph.type(matrix).dims) == 2:
        turned ^= graph.wholes(matrix, "order") == (1, 0)
        matrix = graph.args[matrix][0]
    return matrix, turned


def find_products(graph: Graph, along: int = 0) -> None:
    """Turn contractions with matrices into products, and sums of products into one product each. Loops take along products of
    up to `along` terms, besides those that are shorter than what it takes to read them."""
    for index in graph.in_order():
        segment = segment_of(graph, index)
        if segment is not None:
            graph.segments[index] = (segment,)
    collect_uses(graph)
    if take_along(graph, along):
        collect_uses(graph)
    if scale_columns(graph):
        collect_uses(graph)
    for index in reversed(list(graph.in_order())):
        if is_sum(graph, index) and not is_inner_sum(graph, index):
            chain(graph, index)


def scale_columns(graph: Graph) -> bool:
    """Products with one term, which only loops of their own phase read, become elementwise, a column times a number, where one of
    them would stand alone: then those that they are added to share a stack. Whether there were any."""
    short: dict[tuple[int, tuple[int, int]], list[int]] = {}
    for index, segments in sorted(graph.segments.items()):
        near = graph.uses[index] and all(
            use.user >= 0 and use.whole and use.phase == graph.phase[index] and graph.is_pointwise(use.user)
            for use in graph.uses[index]
        )
        if near and len(segments) == 1 and segments[0].depth == 1 and segments[0].rows == 1:
            short.setdefault((graph.phase[index], graph.ref[segments[0].vector]), []).append(index)
    joining = {
        term
        for index in graph.in_order()
        if is_sum(graph, index) and not is_inner_sum(graph, index)
        for term in joined_terms(graph, index)
    }
    found = [index for group in short.values() if not joining.issuperset(group) for index in group]
    for index in found:
        (segment,) = graph.segments.pop(index)
        graph.op[index], graph.args[index] = "mul", (segment.matrix, segment.vector)
    return bool(found)


def chain(graph: Graph, total: int) -> None:
    """Join the products among the terms of a sum: the last of them takes the segments of all."""
    sums, terms = sum_terms(graph, total)
    joined = joined_terms(graph, total)
    if not joined:
        return
    segments = tuple(each for term in joined for each in graph.segments[term])
    segments = tuple(sorted(segments, key=lambda each: graph.position[each.vector]))
    kept = joined[-1]
    for term in joined[:-1]:
        del graph.segments[term]
        graph.live[term] = False
    rest = sorted((term for term in terms if term not in joined), key=lambda term: graph.position[term])
    dropped = sums[: len(joined) - 1]
    sums = sums[len(joined) - 1 :]
    for each in dropped:
        if each != total:
            graph.live[each] = False
    if not sums:
        graph.segments[total] = segments
        del graph.segments[kept]
        graph.live[kept] = False
        return
    graph.segments[kept] = segments
    add_up(graph, sorted([*rest, kept], key=lambda term: graph.position[term]), sums)


def joined_terms(graph: Graph, total: int) -> list[int]:
    """The products among the terms of a sum that become one, in running order; none where there are fewer than two."""
    terms = [term for term in sum_terms(graph, total)[1] if may_join(graph, term, total)]
    return sorted(terms, key=lambda term: graph.position[term]) if len(terms) > 1 else []


def add_up(graph: Graph, terms: list[int], sums: list[int]) -> None:
    """Let the sums, in order, add the terms, in order."""
    running = terms[0]
    for term, total in zip(terms[1:], sums, strict=True):
        graph.args[total] = (running, term)
        running = total


def find_stacks(graph: Graph) -> dict[int, Stack]:
    """The stack of every product, by member. Needs the uses of all values."""
    groups: dict[object, list[int]] = {}
    for index in graph.computed():
        if index in graph.segments and graph.uses[index]:
            groups.setdefault(stack_key(graph, index), []).append(index)
    return {member: Stack(tuple(members)) for members in groups.values() for member in members}


def stack_key(graph: Graph, index: int) -> object:
    """What products of one stack have in common; products that cannot be stacked have a key of their own."""
    segments = graph.segments[index]
    plain = all(
        each.form == "rows" and each.rows == 1 and is_parameter(graph, each.matrix) for each in segments
    )
    loose = any(
        use.user < 0 or not use.whole or not graph.is_pointwise(use.user) for use in graph.uses[index]
    )
    if not plain or loose:
        return index
    vectors = tuple(graph.ref[each.vector] for each in segments)
    depths = tuple(each.depth for each in segments)
    return (
        graph.phase[index],
        graph.type(index).axes,
        graph.type(index).kind,
        segments[0].units,
        vectors,
        depths,
    )


def is_parameter(graph: Graph, matrix: int) -> bool:
    """Whether a matrix is a parameter or rows of one, as it lies in the weight arena."""
    base, _ = graph.ref[matrix]
    return graph.op[base] == "param" and graph.type(matrix).kind is graph.type(base).kind
