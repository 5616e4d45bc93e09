"""Walks over expressions without recursion: their parts, the names that they read, the layers whose parts they read."""

from __future__ import annotations

from collections.abc import Iterator

from seqc.syntax import tree


def children(node: object) -> Iterator[tree.Expression]:
    """The direct parts of an expression, in reading order."""
    if isinstance(node, tree.Unary | tree.Override | tree.Member):
        yield node.value
    elif isinstance(node, tree.Binary):
        yield from (node.left, node.right)
    elif isinstance(node, tree.Vector):
        yield from node.items
    elif isinstance(node, tree.Choose):
        yield from (node.condition, node.then, node.otherwise)
    elif isinstance(node, tree.Call):
        yield node.function
        for each in node.arguments:
            yield each.value if isinstance(each, tree.Override) else each
    elif isinstance(node, tree.Pipe):
        yield from (node.value, *node.stages)
    elif isinstance(node, tree.Reduce):
        yield from (node.function, node.value)
        if node.where is not None:
            yield node.where
    elif isinstance(node, tree.Pick):
        yield node.value
        for index in node.indices:
            if isinstance(index, tree.Slice):
                yield from (end for end in (index.low, index.high) if end is not None)
            else:
                yield index


def nodes(node: tree.Expression) -> Iterator[tree.Expression]:
    """An expression and all parts of it, in reading order."""
    pending = [node]
    while pending:
        each = pending.pop()
        yield each
        pending += reversed(list(children(each)))


def names(node: tree.Expression) -> Iterator[str]:
    """The names that an expression reads within the step: not those behind `prev`."""
    for each in nodes(node):
        if isinstance(each, tree.Reference):
            yield each.name


def owners(node: tree.Expression) -> set[str]:
    """The layers of which an expression reads parts."""
    return {
        each.value.name
        for each in nodes(node)
        if isinstance(each, tree.Member) and isinstance(each.value, tree.Reference)
    }
