"""Equality of two trees with their places left out; the measure of `fmt` and of the tests."""

from __future__ import annotations

import dataclasses

from seqc.source.span import Span
from seqc.syntax.tree import Node


def same(one: object, other: object) -> bool:
    """Whether two trees are equal when places are left out."""
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, tuple) and isinstance(right, tuple):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif isinstance(left, Span):
            continue
        elif isinstance(left, Node):
            pairs.extend((getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
        elif left != right and repr(left) != repr(right):
            return False
    return True
