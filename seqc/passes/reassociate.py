"""Sums inside a loop: the terms that the loop does not change are added first, so that they leave it.

Takes a Flow; gives the same roots up to rounding.

    before
        %0  : real[8, 8]           = param W
        %1  : real[8, 8]           = param U
        %2  : real[8] {time,batch} = input x
        %3  : real[8] {time,batch} = contract hd,d->h  W, x
        %4  : real[8] {time,batch} = prev h                   # state 0
        %5  : real[8] {time,batch} = contract hk,k->h  U, %4
        %6  : real[8] {time,batch} = add %3, %5
        %7  : real[8]              = param b
        %8  : real[8] {time,batch} = add %6, b
        %10 : real[8] {batch}      = broadcast 0.0
        state 0 h : real[8] {time,batch}, forward = init %10, next %8
        root output.y = %8
    after
        %0  : real[8, 8]           = param W
        %1  : real[8, 8]           = param U
        %2  : real[8] {time,batch} = input x
        %3  : real[8] {time,batch} = contract hd,d->h  W, x
        %4  : real[8] {time,batch} = prev h                   # state 0
        %5  : real[8] {time,batch} = contract hk,k->h  U, %4
        %6  : real[8]              = param b
        %7  : real[8] {time,batch} = add %3, b
        %8  : real[8] {time,batch} = add %7, %5
        %10 : real[8] {batch}      = broadcast 0.0
        state 0 h : real[8] {time,batch}, forward = init %10, next %8
        root output.y = %8
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.flow.order import components, is_cycle
from seqc.flow.types import Flow
from seqc.ops.rewrite import Rebuilder

NOWHERE = -1


def reassociate(flow: Flow) -> Flow:
    """Reorder all sums of which at least two terms can leave a loop."""
    cycle_of = cycles(flow)
    inner = inner_sums(flow, cycle_of)
    sums = {}
    for index, value in enumerate(flow.values):
        if value.op == "add" and value.type.kind.is_real and cycle_of[index] != NOWHERE and not inner[index]:
            terms = terms_of(flow, index, inner)
            outside = [term for term in terms if cycle_of[term] != cycle_of[index]]
            if len(terms) > 2 and len(outside) > 1:
                inside = [term for term in terms if cycle_of[term] == cycle_of[index]]
                sums[index] = (outside, inside)
    return rebuilt(flow, sums) if sums else flow


def cycles(flow: Flow) -> list[int]:
    """For each value the number of the cycle in which it lies."""
    result = [NOWHERE] * len(flow.values)
    for number, members in enumerate(components(flow)):
        if is_cycle(flow, members):
            for index in members:
                result[index] = number
    return result


def inner_sums(flow: Flow, cycle_of: Sequence[int]) -> list[bool]:
    """For each value whether it is a sum that nothing uses but one sum in the same loop."""
    users: list[list[int]] = [[] for _ in flow.values]
    for index, value in enumerate(flow.values):
        for arg in value.args:
            users[arg].append(index)
    kept = set(flow.roots.values())
    for state in flow.states:
        kept.update((state.init, state.next))
    found = []
    for index, value in enumerate(flow.values):
        alone = len(users[index]) == 1 and index not in kept and value.op == "add"
        user = users[index][0] if alone else index
        same = flow.values[user].type.kind is value.type.kind and cycle_of[user] == cycle_of[index]
        found.append(alone and same and flow.values[user].op == "add" and cycle_of[index] != NOWHERE)
    return found


def terms_of(flow: Flow, index: int, inner: Sequence[bool]) -> list[int]:
    """The terms of a sum from left to right, taken out of the sums within it."""
    terms = []
    todo = list(reversed(flow.values[index].args))
    while todo:
        arg = todo.pop()
        if inner[arg]:
            todo.extend(reversed(flow.values[arg].args))
        else:
            terms.append(arg)
    return terms


def rebuilt(flow: Flow, sums: dict[int, tuple[list[int], list[int]]]) -> Flow:
    """Copy the graph with these sums in their new order. The sums within them are left behind for `prune`."""
    walk = Rebuilder(flow)
    for index, value in enumerate(flow.values):
        found = sums.get(index)
        if found is None:
            walk.copy(index)
            continue
        with walk.builder.at(value.origin):
            total = walk.new((found[0] + found[1])[0])
            for term in (found[0] + found[1])[1:]:
                total = walk.builder.plus(total, walk.new(term))
            walk.put(index, walk.builder.broadcast(total, value.type))
    return walk.finish()
