"""A contraction of an array times a number, or of its opposite, is that of the array, times the number, where it has fewer elements;
one of what varies and of weights, added up, is the sum of both contractions.

Takes a Flow; gives the same roots up to rounding. Slopes of matrix states are made so, and scores of keys that have positions:
nobody stores the matrix a second time, and weights times a vector are a product.

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

from dataclasses import dataclass

from seqc.flow.types import Flow, Kind
from seqc.ops.rewrite import Rebuilder


@dataclass(frozen=True, slots=True)
class Bare:
    """What is left of an argument of a contraction: its terms, and whether each is taken away; and its factors from the last
    on, None for -1."""

    terms: tuple[tuple[int, bool], ...]
    factors: tuple[int | None, ...] = ()


def factor(flow: Flow) -> Flow:
    """Take factors and weights out of contractions, where nothing else needs the array with them."""
    others = read_otherwise(flow)
    found: dict[int, list[Bare]] = {}
    for index, value in enumerate(flow.values):
        if value.op == "contract":
            bare = [without_factors(flow, index, arg, others) for arg in value.args]
            if any(each.factors or len(each.terms) > 1 for each in bare):
                found[index] = bare
    return rebuilt(flow, found) if found else flow


def rebuilt(flow: Flow, found: dict[int, list[Bare]]) -> Flow:
    """Copy the graph with these contractions made of what is left of their arguments, times the factors."""
    walk = Rebuilder(flow)
    for index, value in enumerate(flow.values):
        if index not in found:
            walk.copy(index)
            continue
        builder, (left, right) = walk.builder, found[index]
        with builder.at(value.origin):
            made = None
            for (first, minus), (second, other) in ((a, b) for a in left.terms for b in right.terms):
                pair = walk.new(first), walk.new(second)
                axes = value.type.axes & (builder.type(pair[0]).axes | builder.type(pair[1]).axes)
                part = builder.contract(str(value.attr("spec")), *pair, axes=axes)
                if minus != other:
                    part = builder.neg(part)
                made = part if made is None else builder.plus(made, part)
            assert made is not None
            for number in (*reversed(left.factors), *reversed(right.factors)):
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


def without_factors(flow: Flow, index: int, arg: int, others: set[int]) -> Bare:
    """An argument of a contraction taken apart."""
    result, factors = flow.values[index].type, list[int | None]()
    while arg not in others and flow.values[arg].type.size > result.size:
        value = flow.values[arg]
        if value.type.kind is not Kind.REAL or value.op not in ("mul", "neg"):
            return Bare(terms(flow, index, arg), tuple(factors))
        long = [each for each in value.args if flow.values[each].type.dims]
        numbers = [each for each in value.args if not flow.values[each].type.dims]
        if len(long) != 1 or any(not flow.values[each].type.axes <= result.axes for each in numbers):
            break
        factors += numbers or [None]
        (arg,) = long
    return Bare(((arg, False),), tuple(factors))


def terms(flow: Flow, index: int, arg: int) -> tuple[tuple[int, bool], ...]:
    """The two terms of a matrix that meets a vector, if one of them is made of weights alone and the other varies; else itself."""
    value = flow.values[arg]
    if value.op in ("add", "sub") and value.type.kind is Kind.REAL:
        types = [flow.values[each].type for each in value.args]
        whole = all(each.dims == value.type.dims for each in types)
        vector = any(len(flow.values[each].type.dims) == 1 for each in flow.values[index].args if each != arg)
        if whole and vector and bool(types[0].axes) != bool(types[1].axes):
            return (value.args[0], False), (value.args[1], value.op == "sub")
    return ((arg, False),)
