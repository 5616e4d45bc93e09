"""Sizes that stand side by side are one, sums that a contraction can make, and contractions that are sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seqc.flow.types import NO_AXES, STREAM, Flow, Kind, Type
from seqc.ops.build import Builder
from seqc.ops.evaluate import evaluate
from seqc.passes.merge import merge
from seqc.passes.prune import prune
from seqc.passes.simplify import simplify

SIZES = {"W": (2, 3, 4), "G": (2, 3), "X": (2, 4), "S": (2, 3, 4), "x": (4,), "g": (3,)}


def leaf(b: Builder, name: str) -> int:
    """Weights are called W, all else differs from row to row and step to step."""
    axes = NO_AXES if name == "W" else STREAM
    return b.add("param" if name == "W" else "input", type=Type(Kind.REAL, SIZES[name], axes), name=name)


def agree(before: Flow, after: Flow) -> None:
    rng = np.random.default_rng(5)
    leaves = {("param", "W"): rng.normal(size=SIZES["W"])}
    leaves |= {("input", name): rng.normal(size=(3, 2, *dims)) for name, dims in SIZES.items()}
    wanted, found = (evaluate(each, leaves, 3, 2, np.float64) for each in (before, after))
    for name in before.roots:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12)


def specs(flow: Flow) -> list[str]:
    return [str(value.attr("spec")) for value in flow.values if value.op == "contract"]


MERGED = {
    "weights of heads": ("abz,z->ab", "W", "x", STREAM, ["az,z->a"], 0),
    "their gradient": ("ab,z->abz", "G", "x", NO_AXES, ["a,z->az"], 0),
    "an outer product": ("ab,z->abz", "G", "x", STREAM, ["a,z->az"], 0),
    "weights laid out anew": ("baz,bz->a", "W", "X", STREAM, ["ba,b->a"], 1),
    "their gradient, laid out": ("a,bz->baz", "g", "X", NO_AXES, ["a,b->ba"], 1),
    "all of both": ("baz,baz->", "S", "S", STREAM, ["b,b->"], 0),
    "a matrix of each head": ("baz,bz->ba", "S", "X", STREAM, ["baz,bz->ba"], 0),
    "weights of each head": ("baz,bz->ba", "W", "X", STREAM, ["baz,bz->ba"], 0),
}


@pytest.mark.parametrize("name", list(MERGED))
def test_sizes_that_stand_side_by_side_are_one(name: str) -> None:
    spec, first, second, axes, expected, turned = MERGED[name]
    b = Builder()
    made = b.contract(spec, leaf(b, first), leaf(b, second), axes=axes)
    flow = b.finish({"output.y": made})
    after = prune(merge(flow))
    agree(flow, after)
    assert specs(after) == expected
    assert [value.op for value in after.values].count("transpose") == turned
    assert after.values[after.roots["output.y"]].type == flow.values[made].type


SUMMED: dict[str, tuple[Callable[[Builder], int], list[str], list[str]]] = {
    "what both have": (
        lambda b: b.reduce("sum", b.contract("baz,bz->ba", leaf(b, "S"), leaf(b, "X")), (0,)),
        ["baz,bz->a"],
        [],
    ),
    "what one has": (
        lambda b: b.reduce("sum", b.contract("baz,bz->ba", leaf(b, "S"), leaf(b, "X")), (1,)),
        ["baz,bz->ba"],
        ["reduce"],
    ),
    "of a transpose": (
        lambda b: b.reduce("max", b.add("transpose", leaf(b, "S"), order=(2, 0, 1)), (1,)),
        [],
        ["reduce", "transpose"],
    ),
    "ones": (
        lambda b: b.contract("baz,z->ba", leaf(b, "S"), b.const(2.0, Kind.REAL, (4,))),
        [],
        ["reduce", "mul"],
    ),
    "ones that turn": (
        lambda b: b.contract("baz,z->ab", leaf(b, "S"), b.const(1.0, Kind.REAL, (4,))),
        ["baz,z->ab"],
        [],
    ),
}


@pytest.mark.parametrize("name", list(SUMMED))
def test_sums_and_contractions_take_each_others_place(name: str) -> None:
    make, expected, others = SUMMED[name]
    b = Builder()
    flow = b.finish({"output.y": make(b)})
    after = simplify(flow)
    agree(flow, after)
    assert specs(after) == expected
    assert [value.op for value in after.values if value.op in ("reduce", "transpose", "mul")] == others
