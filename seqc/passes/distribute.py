"""A sum over a row that waits for another sum: factors that all elements share are taken out of it, so that it need not wait.

Takes a Flow; gives the same roots up to rounding. A norm's slope is made so: both of its sums are then known after one sweep
over the row. Only sums that need fewer sums before them afterwards are taken apart, into as few parts as that takes. What
deviates from a mean sums to little more than 0, but to what the mean was rounded by: without it the slope of a norm would drift.

    before
        %0 : real[8] {time,batch} = input x
        %1 : real[8] {time,batch} = input y
        %2 : real {time,batch}    = reduce how=sum dims=(0)  x
        %3 : real[8] {time,batch} = mul %2, y
        %4 : real[8] {time,batch} = add %3, x
        %5 : real {time,batch}    = reduce how=sum dims=(0)  %4
        %6 : real[8] {time,batch} = sub %4, %5
        root output.y = %6
    after
        %0 : real[8] {time,batch} = input x
        %1 : real[8] {time,batch} = input y
        %2 : real {time,batch}    = reduce how=sum dims=(0)  x
        %3 : real[8] {time,batch} = mul %2, y
        %4 : real[8] {time,batch} = add %3, x
        %5 : real {time,batch}    = reduce how=sum dims=(0)  y
        %6 : real {time,batch}    = mul %5, %2
        %7 : real {time,batch}    = reduce how=sum dims=(0)  x
        %8 : real {time,batch}    = add %6, %7
        %9 : real[8] {time,batch} = sub %4, %8
        root output.y = %9
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seqc.flow.types import Flow
from seqc.ops.rewrite import Rebuilder
from seqc.passes.reassociate import cycles

BARRIERS = frozenset({"reduce", "contract", "argmax"})
"""Operations of which a row has to be read to its end."""

MOST = 8
"""Parts of a sum: more would take longer than what they wait for."""


@dataclass(frozen=True, slots=True)
class Part:
    """The sum over `row` times and over some factors, each one number for the whole row; below zero if `minus`."""

    row: int
    factors: tuple[tuple[str, int], ...] = ()
    minus: bool = False


def distribute(flow: Flow) -> Flow:
    """Take apart all sums of which that shortens what they wait for."""
    waits, cycle_of = waiting(flow), cycles(flow)
    found: dict[int, list[Part]] = {}
    for index in range(len(flow.values)):
        parts = taken_apart(flow, index, waits)
        near = parts and all(
            cycle_of[each.row] == cycle_of[index] or deviates(flow, each.row) for each in parts
        )
        if parts and near:
            found[index] = parts
    return rebuilt(flow, found) if found else flow


def rebuilt(flow: Flow, sums: dict[int, list[Part]]) -> Flow:
    """Copy the graph with these sums made of their parts."""
    walk = Rebuilder(flow)
    for index, value in enumerate(flow.values):
        if index not in sums:
            walk.copy(index)
            continue
        with walk.builder.at(value.origin):
            total = summed(walk, sums[index][0])
            for part in sums[index][1:]:
                total = walk.builder.plus(total, summed(walk, part))
            walk.put(index, walk.builder.broadcast(total, value.type))
    return walk.finish()


def deviates(flow: Flow, row: int) -> bool:
    """Whether a row is what differs from its mean: a loop that reads it, as the slope of its norm does, sums it up besides."""
    value = flow.values[row]
    if value.op != "sub" or not flow.values[value.args[0]].type.dims:
        return False
    x, mean = value.args[0], flow.values[value.args[1]]
    if mean.op != "mul" or mean.type.dims:
        return False
    total = flow.values[mean.args[0]]
    return total.op == "reduce" and total.attr("how") == "sum" and total.args == (x,)


def waiting(flow: Flow) -> list[int]:
    """For each value how many sums have to be known one after the other before it is."""
    found: list[int] = []
    for value in flow.values:
        before = max((found[arg] for arg in value.args), default=0)
        found.append(before + (value.op in BARRIERS))
    return found


def taken_apart(flow: Flow, index: int, waits: Sequence[int]) -> list[Part] | None:
    """The parts of a sum over a row, if it waits for less by them; with the shortest wait that there is."""
    value = flow.values[index]
    if value.op != "reduce" or value.attr("how") != "sum" or not value.type.kind.is_real or value.type.dims:
        return None
    row = value.args[0]
    if len(flow.values[row].type.dims) != 1 or flow.values[row].type.axes != value.type.axes:
        return None
    best = None
    for limit in reversed(range(waits[row])):
        parts = split(flow, row, limit, waits)
        if parts is None:
            break
        best = parts
    return best


def split(flow: Flow, row: int, limit: int, waits: Sequence[int]) -> list[Part] | None:
    """A row as parts whose sums can be made after `limit` others, and whose factors are known no later than these sums."""
    parts: list[Part] = []
    todo = [Part(row)]
    while todo:
        part = todo.pop()
        if waits[part.row] <= limit:
            parts.append(without_constants(flow, part))
            continue
        inner = opened(flow, part)
        late = inner is not None and any(
            waits[factor] > limit + 1 for each in inner for _, factor in each.factors
        )
        if inner is None or late or len(parts) + len(todo) + len(inner) > MOST:
            return None
        todo += reversed(inner)
    return parts


def without_constants(flow: Flow, part: Part) -> Part:
    """The same part, its row no multiple of a constant."""
    while flow.values[part.row].op in ("mul", "div") and (inner := opened(flow, part)):
        if flow.values[inner[0].factors[0][1]].op != "const":
            break
        part = inner[0]
    return part


def opened(flow: Flow, part: Part) -> list[Part] | None:
    """The terms of a part, or what is left of it without a factor; None if it is neither a sum nor a multiple."""
    value = flow.values[part.row]
    long = [arg for arg in value.args if flow.values[arg].type.dims]
    if value.op == "neg":
        return [replace(part, row=long[0], minus=not part.minus)]
    if value.op in ("add", "sub") and len(long) == 2:
        other = part.minus != (value.op == "sub")
        return [replace(part, row=long[0]), replace(part, row=long[1], minus=other)]
    if len(long) == 1 and (value.op == "mul" or (value.op == "div" and long[0] == value.args[0])):
        factor = next(arg for arg in value.args if not flow.values[arg].type.dims)
        return [replace(part, row=long[0], factors=((value.op, factor), *part.factors))]
    return None


def summed(walk: Rebuilder, part: Part) -> int:
    """One part, built anew."""
    builder = walk.builder
    total = builder.reduce("sum", walk.new(part.row))
    for op, factor in part.factors:
        total = builder.div(total, walk.new(factor)) if op == "div" else builder.mul(total, walk.new(factor))
    return builder.neg(total) if part.minus else total
