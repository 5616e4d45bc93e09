"""A contraction of an array times a number, or of its opposite, is that of the array, times the number, where it has fewer elements.

Takes a Flow; gives the same roots up to rounding. Slopes of matrix states are made so: nobody stores the matrix a second time.

    before
        %0 : real[8, 8] {time,batch} = input x
        %1 : real[8] {time,batch}    = input y
        %2 : real {time,batch}       = input k
        %3 : real[8, 8] {time,batch} = mul k, x
        %4 : real[8, 8] {time,batch} = neg %3
        %5 : real[8] {time,batch}    = contract ab,b->a  %4, y
        root output.z = %5
    after
        %0 : real[8, 8] {time,batch} = input x
        %1 : real[8] {time,batch}    = input y
        %2 : real {time,batch}       = input k
        %3 : real[8] {time,batch}    = contract ab,b->a  x, y
        %4 : real[8] {time,batch}    = mul %3, k
        %5 : real[8] {time,batch}    = neg %4
        root output.z = %5
"""

from __future__ import annotations

from seqc.flow.types import Flow, Kind
from seqc.ops.rewrite import Rebuilder


def factor(flow: Flow) -> Flow:
    """Take factors out of contractions, where nothing else needs the array times them."""
    others = read_otherwise(flow)
    found: dict[int, list[tuple[int, list[int | None]]]] = {}
    for index, value in enumerate(flow.values):
        if value.op == "contract":
            bare = [without_factors(flow, index, arg, others) for arg in value.args]
            if any(factors for _, factors in bare):
                found[index] = bare
    return rebuilt(flow, found) if found else flow


def rebuilt(flow: Flow, found: dict[int, list[tuple[int, list[int | None]]]]) -> Flow:
    """Copy the graph with these contractions made of what is left of their arguments, times the factors."""
    walk = Rebuilder(flow)
    for index, value in enumerate(flow.values):
        if index not in found:
            walk.copy(index)
            continue
        builder, bare = walk.builder, found[index]
        with builder.at(value.origin):
            first, second = (walk.new(arg) for arg, _ in bare)
            axes = value.type.axes & (builder.type(first).axes | builder.type(second).axes)
            made = builder.contract(str(value.attr("spec")), first, second, axes=axes)
            for number in (each for _, factors in bare for each in reversed(factors)):
                made = builder.neg(made) if number is None else builder.mul(made, walk.new(number))
            walk.put(index, builder.broadcast(made, value.type))
    return walk.finish()


def read_otherwise(flow: Flow) -> set[int]:
    """What others than contractions and further multiples read as it is."""
    found = set(flow.roots.values()) | {each for state in flow.states for each in (state.init, state.next)}
    for value in flow.values:
        if value.op not in ("contract", "mul", "neg"):
            found |= set(value.args)
    return found


def without_factors(flow: Flow, index: int, arg: int, others: set[int]) -> tuple[int, list[int | None]]:
    """An argument of a contraction without its factors, and these from the last on; None stands for -1."""
    result, factors = flow.values[index].type, list[int | None]()
    while arg not in others and flow.values[arg].type.size > result.size:
        value = flow.values[arg]
        if value.type.kind is not Kind.REAL or value.op not in ("mul", "neg"):
            break
        long = [each for each in value.args if flow.values[each].type.dims]
        numbers = [each for each in value.args if not flow.values[each].type.dims]
        if len(long) != 1 or any(not flow.values[each].type.axes <= result.axes for each in numbers):
            break
        factors += numbers or [None]
        (arg,) = long
    return arg, factors
