"""The innermost loops of a contraction: letters whose loops are a tile in registers.

    ab,b->a     left[1, b] right[b, a]: sums along both operands
    ab,a->b     left[1, a] right[a, b]: columns of neighbours
    a,b->ab     left[a, 1] right[1, b]: the same, without a sum
    ab,cb->ca   left[c, b] right[a, b]: sums along both operands again
    ba,cb->ac   left[c, b] right[b, a]: columns, the result turned round

Takes an `Einsum`; gives the letters, and whether its operands change places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqc.flow.types import Kind
from seqc.plan.types import Einsum, Plan


@dataclass(frozen=True, slots=True)
class Tiled:
    """`row` walks along the left operand and the result, `column` along the right one and the result, `sum` along both operands; ""
    where there is none. `swapped`: left is the right operand of the node."""

    row: str
    column: str
    sum: str
    swapped: bool

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(letter for letter in (self.row, self.column, self.sum) if letter)

    def sizes(
        self,
        extents: Mapping[str, int],
        left: Mapping[str, int],
        right: Mapping[str, int],
        out: Mapping[str, int],
    ) -> tuple[int, ...]:
        """The arguments of `Innermost`, by the steps of each letter in operands and result."""
        row, column, sum = self.row, self.column, self.sum
        counts = (extents.get(row, 1), extents[column], extents.get(sum, 1))
        steps = (left.get(row, 0), left.get(sum, 0), right[column], right.get(sum, 0))
        return (*counts, *steps, out.get(row, 0), out[column])


def tile_of(plan: Plan, node: Einsum) -> Tiled | None:
    """The tile of a contraction of reals; None where its operands lie across each other."""
    kinds = {plan.buffers[each.buffer].kind for each in (node.left, node.right, node.out)}
    sources, result = node.spec.split("->")
    first, second = sources.split(",")
    if kinds != {Kind.REAL} or any(len(set(each)) < len(each) for each in (first, second, result)):
        return None
    ways = [
        way
        for left, right, swapped in ((first, second, False), (second, first, True))
        if (way := tile_by(left, right, result, swapped)) is not None
    ]
    return max(ways, key=lambda way: way.column == result[-1], default=None)


def tile_by(left: str, right: str, result: str, swapped: bool) -> Tiled | None:
    """The tile whose columns are those of the right operand."""
    row = next((each for each in reversed(result) if each in left and each not in right), "")
    summed = [each for each in left if each in right and each not in result]
    last = right[-1:]
    if last and last in result and last not in left:
        return Tiled(row, last, summed[-1] if summed else "", swapped)
    column = result[-1:]
    if column and column in right and column not in left and summed and left[-1] == last == summed[-1]:
        return Tiled(row, column, last, swapped)
    return None
