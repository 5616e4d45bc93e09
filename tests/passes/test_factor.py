"""What leaves contractions of matrices: numbers, and weights that are added to what varies; and outer products that are added up."""

from __future__ import annotations

import numpy as np

from seqc.flow.types import STREAM, Axis, Flow, Kind, Type
from seqc.ops.build import Builder
from seqc.ops.evaluate import evaluate
from seqc.passes.factor import factor
from seqc.passes.prune import prune
from seqc.passes.simplify import simplify

SIZES = {"K": (5, 4), "P": (5, 4), "Q": (5, 4), "q": (4,), "r": (5,)}


def leaf(b: Builder, name: str, *, varies: bool = True) -> int:
    axes = STREAM if varies else frozenset[Axis]()
    return b.add("input" if varies else "param", type=Type(Kind.REAL, SIZES[name], axes), name=name)


def agree(before: Flow, after: Flow) -> None:
    rng = np.random.default_rng(5)
    leaves = {}
    for name, dims in SIZES.items():
        leaves["input", name] = rng.normal(size=(3, 2, *dims))
        leaves["param", name] = rng.normal(size=dims)
    wanted, found = (evaluate(each, leaves, 3, 2, np.float64) for each in (before, after))
    for name in before.roots:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12)


def test_weights_that_are_added_to_keys_meet_the_query_by_themselves() -> None:
    b = Builder()
    K, P, q = leaf(b, "K"), leaf(b, "P", varies=False), leaf(b, "q")
    flow = b.finish({"output.s": b.contract("ak,k->a", b.neg(b.sub(K, P)), q)})
    after = prune(factor(flow))
    assert [value.op for value in after.values].count("contract") == 2
    assert all(value.type.dims != (5, 4) or value.op in ("input", "param") for value in after.values)
    agree(flow, after)


def test_what_somebody_else_reads_or_what_varies_stays_together() -> None:
    b = Builder()
    K, Q, P, q = leaf(b, "K"), leaf(b, "Q"), leaf(b, "P", varies=False), leaf(b, "q")
    both, read = b.plus(K, Q), b.plus(K, P)
    roots = {"s": b.contract("ak,k->a", both, q), "t": b.contract("ak,k->a", read, q), "m": read}
    flow = b.finish({f"output.{name}": index for name, index in roots.items()})
    assert factor(flow) is flow


def test_outer_products_that_are_added_up_are_one_product() -> None:
    b = Builder()
    r, q = leaf(b, "r"), leaf(b, "q")
    outer = b.contract("a,k->ak", r, q)
    total = b.reduce("sum", outer, (), axes=frozenset())
    flow = b.finish({"output.m": outer, "output.w": total})
    after = simplify(flow)
    made = after.values[after.roots["output.w"]]
    assert made.op == "contract" and made.type == Type(Kind.REAL, (5, 4))
    agree(flow, after)


def test_a_sum_over_time_alone_of_what_one_side_lacks_stays() -> None:
    b = Builder()
    r, P = leaf(b, "r"), b.add("param", type=Type(Kind.REAL, (4,)), name="q")
    flow = b.finish({"output.w": b.reduce("sum", b.contract("a,k->ak", r, P), (), axes=frozenset())})
    assert any(value.op == "reduce" for value in simplify(flow).values)
