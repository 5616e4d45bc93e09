"""Sizes that always stand side by side in a contraction are one: weights of heads times a vector are one product.

Takes a Flow; gives the same roots. Only views are made, and weights and their gradients laid out anew where that makes a matrix of them.

    before
        %0 : real[2, 4, 8]           = param W
        %1 : real[8] {time,batch}    = input x
        %2 : real[2, 4] {time,batch} = contract abz,z->ab  W, x
        root output.y = %2
    after
        %0 : real[2, 4, 8]           = param W
        %1 : real[8] {time,batch}    = input x
        %2 : real[8, 8]              = reshape W
        %3 : real[8] {time,batch}    = contract az,z->a  %2, x
        %4 : real[2, 4] {time,batch} = reshape %3
        root output.y = %4
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from seqc.flow.types import Flow, Type, Value
from seqc.ops.build import Builder
from seqc.ops.product import parse_spec
from seqc.ops.rewrite import Rebuilder, rewrite


@dataclass(frozen=True, slots=True)
class Side:
    """An operand or the result of a contraction: its letters as they are, and in groups that become one size each."""

    letters: str
    groups: tuple[str, ...]

    @property
    def order(self) -> tuple[int, ...]:
        """Where each dim comes from when the groups stand one behind the other."""
        return tuple(self.letters.index(letter) for group in self.groups for letter in group)

    @property
    def turned(self) -> bool:
        """Whether the groups stand in another order than the letters."""
        return list(self.order) != sorted(self.order)


def merge(flow: Flow) -> Flow:
    """Join sizes in all contractions."""

    def change(walk: Rebuilder, index: int, value: Value) -> int | None:
        return joined(walk.builder, value, walk.args(index)) if value.op == "contract" else None

    return rewrite(flow, change)


def joined(builder: Builder, value: Value, args: tuple[int, ...]) -> int | None:
    """A contraction by way of fewer sizes; None where there is nothing to join."""
    spec = parse_spec(str(value.attr("spec")))
    loose = [not type.axes for type in (*(builder.type(arg) for arg in args), value.type)]
    sides = grouped((spec.first, spec.second, spec.result), loose)
    if sides is None:
        return None
    with builder.at(value.origin):
        first, second = (laid_out(builder, arg, side) for arg, side in zip(args, sides[:2], strict=True))
        short = ["".join(group[0] for group in side.groups) for side in sides]
        made = builder.contract(f"{short[0]},{short[1]}->{short[2]}", first, second, axes=value.type.axes)
        return restored(builder, made, sides[2], value.type)


def grouped(letters: tuple[str, str, str], loose: list[bool]) -> tuple[Side, Side, Side] | None:
    """Letters in groups, the same on every side: in the order that all sides have, or with what is the same for all rows and
    steps (`loose`) laid out anew, if that makes a matrix of it."""
    for kept in (letters, tuple(each for each, free in zip(letters, loose, strict=True) if not free)):
        groups = groups_of(letters, kept)
        if any(len(group) > 1 for group in groups):
            first, second, result = (Side(each, in_order(each, groups)) for each in letters)
            counts = [len(side.groups) for side in (first, second, result)]
            matrix = sorted(counts) == [1, 1, 2] and loose[counts.index(2)]
            if kept == letters or matrix:
                return first, second, result
    return None


def groups_of(letters: tuple[str, str, str], kept: tuple[str, ...]) -> list[str]:
    """Runs of letters that are on the same sides and follow each other on all of `kept`; other letters alone."""
    where = {letter: [letter in side for side in letters] for side in letters for letter in side}
    groups: list[str] = []
    for side in (*kept, *letters):
        for place, letter in enumerate(side):
            if any(letter in group for group in groups):
                continue
            before = side[place - 1] if place else ""
            follows = (
                side in kept
                and before != ""
                and where[before] == where[letter]
                and all(before + letter in each for each in kept if letter in each)
            )
            if follows:
                groups[-1] += letter
            else:
                groups.append(letter)
    return groups


def in_order(letters: str, groups: list[str]) -> tuple[str, ...]:
    """The groups of a side, as their first letters stand."""
    return tuple(
        sorted((group for group in groups if group[0] in letters), key=lambda group: letters.index(group[0]))
    )


def laid_out(builder: Builder, arg: int, side: Side) -> int:
    """An operand with one size for each group."""
    if side.turned:
        arg = builder.add("transpose", arg, order=side.order)
    sizes = iter(builder.type(arg).dims)
    dims = tuple(math.prod(next(sizes) for _ in group) for group in side.groups)
    return arg if dims == builder.type(arg).dims else builder.reshape(arg, dims)


def restored(builder: Builder, made: int, side: Side, type: Type) -> int:
    """The result with the sizes that it had."""
    made = builder.reshape(made, tuple(type.dims[place] for place in side.order))
    if not side.turned:
        return made
    return builder.add(
        "transpose", made, order=tuple(side.order.index(place) for place in range(len(side.order)))
    )
