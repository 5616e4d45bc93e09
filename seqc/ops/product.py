"""The numpy meaning of `contract`: two operands over letters, as a matrix product.

Takes the letters of dims, with `T` and `B` for axes; gives a function of two arrays. What the shapes decide is decided
once, so that inside a loop over time only transposed views, reshapes and one product are left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seqc.flow.types import Axis, Type
from seqc.ops.op import Array, Call, Run, ShapeError

AXIS_LETTERS = {Axis.TIME: "\u2192", Axis.BATCH: "\u2191"}
"""Letters of the axes: arrows, so that no letter of a dim can meet them."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The letters of both operands and of the result."""

    first: str
    second: str
    result: str

    def __str__(self) -> str:
        return f"{self.first},{self.second}->{self.result}"


def parse_spec(text: str) -> Spec:
    """`hd,d->h` taken apart; ShapeError unless it has this form."""
    left, arrow, result = text.partition("->")
    first, comma, second = left.partition(",")
    if not arrow or not comma:
        raise ShapeError(f"spec {text!r} is not of the form `hd,d->h`")
    for part in (first, second, result):
        if len(set(part)) != len(part) or not (part.isalpha() or not part):
            raise ShapeError(f"spec {text!r} repeats a letter or has something else")
    if not set(result) <= set(first) | set(second):
        raise ShapeError(f"spec {text!r}: a letter of the result is in no operand")
    return Spec(first, second, result)


def axis_letters(type: Type) -> str:
    """The letters of the axes that an array of this type has, in its order."""
    return "".join(AXIS_LETTERS[axis] for axis in Axis if axis in type.axes)


def contract_meaning(call: Call) -> Run:
    """The product that the spec and the axes describe."""
    text = call.attrs["spec"]
    assert isinstance(text, str)
    spec = parse_spec(text)
    first = axis_letters(call.args[0]) + spec.first
    second = axis_letters(call.args[1]) + spec.second
    result = axis_letters(call.type) + spec.result
    return product(first, second, result)


def product(first: str, second: str, result: str) -> Run:
    """A function of two arrays whose dimensions carry these letters."""
    sum_first, first = summed(first, second + result)
    sum_second, second = summed(second, first + result)
    shared = [letter for letter in first if letter in second and letter in result]
    inner = [letter for letter in first if letter in second and letter not in result]
    left = [letter for letter in result if letter in first and letter not in second]
    right = [letter for letter in result if letter in second and letter not in first]
    if shared and not (left and right):
        multiply = einsum(first, second, result)
    elif order_cost(shared + right + left, result) < order_cost(shared + left + right, result):
        multiply = swapped(matrix_product(second, first, result, (shared, inner, right, left)))
    else:
        multiply = matrix_product(first, second, result, (shared, inner, left, right))
    if sum_first is None and sum_second is None:
        return multiply

    def run(a: Array, b: Array) -> Array:
        return multiply(
            a if sum_first is None else np.sum(a, axis=sum_first),
            b if sum_second is None else np.sum(b, axis=sum_second),
        )

    return run


def summed(letters: str, elsewhere: str) -> tuple[tuple[int, ...] | None, str]:
    """The positions of letters that stand nowhere else, which are summed at once, and the letters left."""
    alone = tuple(place for place, letter in enumerate(letters) if letter not in elsewhere)
    return alone or None, "".join(letter for letter in letters if letter in elsewhere)


def swapped(function: Run) -> Run:
    """The same function with its operands exchanged."""
    return lambda a, b: function(b, a)


def order_cost(order: list[str], result: str) -> int:
    """0 where a product comes out in the order of the result."""
    return int("".join(order) != result)


def einsum(first: str, second: str, result: str) -> Run:
    """numpy's einsum, for what is no matrix product."""
    plain = {letter: chr(ord("a") + place) for place, letter in enumerate(dict.fromkeys(first + second))}
    names = str.maketrans(plain)
    spec = f"{first.translate(names)},{second.translate(names)}->{result.translate(names)}"
    return lambda a, b: np.einsum(spec, a, b)


Groups = tuple[list[str], list[str], list[str], list[str]]


def matrix_product(first: str, second: str, result: str, groups: Groups) -> Run:
    """[shared, left, inner] @ [shared, inner, right], brought to the order of the result."""
    shared, inner, left, right = groups
    open_first = arranged(first, (shared, left, inner))
    open_second = arranged(second, (shared, inner, right))
    produced = "".join(shared + left + right)
    turn = tuple(produced.index(letter) for letter in result)
    in_order = turn == tuple(range(len(turn)))
    single = len(shared) <= 1 and len(left) == 1 and len(right) == 1
    if single and in_order:
        return lambda a, b: np.matmul(open_first(a), open_second(b))
    heights = [first.index(letter) for letter in shared + left]
    widths = [second.index(letter) for letter in right]

    def run(a: Array, b: Array) -> Array:
        shape = [a.shape[place] for place in heights] + [b.shape[place] for place in widths]
        array = np.matmul(open_first(a), open_second(b)).reshape(shape)
        return array if in_order else array.transpose(turn)

    return run


def arranged(letters: str, groups: tuple[list[str], list[str], list[str]]) -> Callable[[Array], Array]:
    """A function that brings an array into the order of the groups and merges the dimensions of each."""
    wanted = [letter for group in groups for letter in group]
    turn = tuple(letters.index(letter) for letter in wanted)
    in_order = turn == tuple(range(len(turn)))
    outer = len(groups[0])
    lengths = [len(group) for group in groups[1:]]
    plain = outer <= 1 and lengths == [1, 1]
    if plain:
        return (lambda array: array) if in_order else (lambda array: array.transpose(turn))
    cut = outer + lengths[0]

    def arrange(array: Array) -> Array:
        turned = np.asarray(array).transpose(turn)
        shape = turned.shape
        rows, columns = int(np.prod(shape[outer:cut])), int(np.prod(shape[cut:]))
        head = (int(np.prod(shape[:outer])),) if outer else ()
        return turned.reshape((*head, rows, columns))

    return arrange
