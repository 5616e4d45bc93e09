"""A row of a table times a matrix is a row of the table times that matrix: the product is made once for each row of
the table instead of once for each step of each sequence, forwards and, as `differentiate` follows, backwards.

Takes a Flow; gives the same roots up to rounding. All matrices that meet one row go into one wider table. Only tables
of few rows are taken: with fewer steps than rows in a call, the wider table would cost more than it saves.

    before
        %0 : index(5) {time,batch} = input k
        %1 : real[5, 3]            = param table
        %2 : real[3] {time,batch}  = gather table, k
        %3 : real[4, 3]            = param Wi
        %4 : real[4, 3]            = param Wf
        %5 : real[4] {time,batch}  = contract hd,d->h  Wi, %2
        %6 : real[4] {time,batch}  = contract hd,d->h  Wf, %2
        %7 : real[4] {time,batch}  = mul %5, %6
        root output.y = %7
    after
        %0  : index(5) {time,batch} = input k
        %1  : real[5, 3]            = param table
        %2  : real[4, 3]            = param Wi
        %3  : real[4, 3]            = param Wf
        %4  : real[5, 4]            = contract hd,rd->rh  Wi, table
        %5  : real[5, 4]            = contract hd,rd->rh  Wf, table
        %6  : real[5, 8]            = concat dim=1  %4, %5
        %7  : real[8] {time,batch}  = gather %6, k
        %8  : real[4] {time,batch}  = pick dim=0 indices=(0..3) drop=false  %7
        %9  : real[4] {time,batch}  = pick dim=0 indices=(4..7) drop=false  %7
        %10 : real[4] {time,batch}  = mul %8, %9
        root output.y = %10
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqc.flow.types import Flow, Kind
from seqc.ops.rewrite import Rebuilder

MOST_ROWS = 512
"""Tables of more rows stay as they are; a training step of 32 sequences of 64 steps has 2048 rows."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A contraction of a gathered row with a matrix: its value, the matrix, and the letters of the matrix."""

    index: int
    matrix: int
    letters: str
    result: str


def commute(flow: Flow) -> Flow:
    """Move products with parameters from gathered rows to their tables."""
    groups = meetings(flow)
    if not groups:
        return flow
    first = {group[0].index: gather for gather, group in groups.items()}
    member = {each.index for group in groups.values() for each in group}
    walk = Rebuilder(flow)
    built: set[int] = set()
    for index in range(len(flow.values)):
        if index in first:
            replace_group(walk, built, first[index], groups[first[index]])
        elif index not in member and index not in built:
            walk.copy(index)
    return walk.finish()


def meetings(flow: Flow) -> Mapping[int, Sequence[Meeting]]:
    """For each row of a small table the products that it enters."""
    groups: dict[int, list[Meeting]] = {}
    for index, value in enumerate(flow.values):
        if value.op != "contract" or value.type.kind is not Kind.REAL:
            continue
        names, result = str(value.attr("spec")).split("->")
        first, second = names.split(",")
        a, b = value.args
        for row, own, matrix, letters in ((a, first, b, second), (b, second, a, first)):
            if is_small_row(flow, row) and value.type.axes == flow.values[row].type.axes:
                fits = len(own) == len(result) == 1 and sorted(letters) == sorted(own + result)
                if fits and not flow.values[matrix].type.axes and own != result:
                    groups.setdefault(row, []).append(Meeting(index, matrix, letters, result))
                    break
    return groups


def is_small_row(flow: Flow, index: int) -> bool:
    """Whether a value is a row of a small table that is the same at all times, chosen at each step or sequence."""
    value = flow.values[index]
    if value.op != "gather" or value.type.kind is not Kind.REAL:
        return False
    table, position = (flow.values[arg].type for arg in value.args)
    small = len(table.dims) == 2 and table.dims[0] <= MOST_ROWS
    return small and not table.axes and bool(position.axes)


def replace_group(walk: Rebuilder, built: set[int], gather: int, group: Sequence[Meeting]) -> None:
    """One gather from a wider table, and the part of it for each product."""
    flow, builder = walk.flow, walk.builder
    table, position = flow.values[gather].args
    parts = []
    for each in group:
        bring(walk, built, each.matrix)
        own = next(letter for letter in each.letters if letter != each.result)
        row = next(letter for letter in "rstuvw" if letter not in each.letters)
        spec = f"{each.letters},{row}{own}->{row}{each.result}"
        with builder.at(flow.values[each.index].origin):
            parts.append(builder.contract(spec, walk.new(each.matrix), walk.new(table)))
    with builder.at(flow.values[group[0].index].origin):
        wide = parts[0] if len(parts) == 1 else builder.concat(*parts, dim=1)
        row_of_all = builder.gather(wide, walk.new(position))
    start = 0
    for each, part in zip(group, parts, strict=True):
        size = builder.type(part).dims[1]
        indices = tuple(range(start, start + size))
        with builder.at(flow.values[each.index].origin):
            walk.put(each.index, row_of_all if len(parts) == 1 else builder.pick(row_of_all, 0, indices))
        start += size


def bring(walk: Rebuilder, built: set[int], wanted: int) -> None:
    """Copy a value without axes, and what it is made of, before its turn."""
    todo = [wanted]
    while todo:
        index = todo[-1]
        missing = [arg for arg in walk.flow.values[index].args if walk.places[arg] < 0]
        if missing:
            todo += missing
            continue
        todo.pop()
        if walk.places[index] < 0:
            walk.copy(index)
            built.add(index)
