"""Sums that wait for sums: the slope of a norm has both of its sums in one sweep, others stay as they are."""

from __future__ import annotations

import numpy as np

from seqc.flow.types import STREAM, Flow, Kind, Type
from seqc.ops.build import Builder
from seqc.ops.evaluate import evaluate
from seqc.passes import flow_for
from seqc.passes.distribute import distribute, waiting
from seqc.passes.prune import prune
from tests.numeric.programs import lower_text

NORM = """
use std.cells: LayerNorm
model M {
  input  x: real[9]
  y = x |> LayerNorm()
  output y
  loss = mean(sum(y ^ 4) over time, batch)
}
"""


def longest(flow: Flow) -> int:
    """How many sums over a row wait for each other."""
    return max(waiting(flow))


def row(b: Builder, name: str) -> int:
    return b.add("input", type=Type(Kind.REAL, (8,), STREAM), name=name)


def agree(before: Flow, after: Flow) -> None:
    rng = np.random.default_rng(5)
    leaves = {("input", name): rng.normal(size=(3, 2, 8)) for name in "xy"}
    wanted, found = (evaluate(each, leaves, 3, 2, np.float64) for each in (before, after))
    for name in before.roots:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12)


def test_the_slope_of_a_norm_waits_for_one_sum_less() -> None:
    program = lower_text(NORM)
    before, after = (flow_for(program, "gradients", after=name) for name in ("reassociate", "distribute"))
    first, then = (waiting(flow)[flow.roots["grad.input.x"]] for flow in (before, after))
    assert (first, then) == (4, 3)  # mean, variance, and both sums of the slope


def test_terms_signs_and_factors_add_up() -> None:
    b = Builder()
    x, y = row(b, "x"), row(b, "y")
    s = b.reduce("sum", b.exp(x))
    late = b.sub(b.div(b.neg(b.mul(y, s)), b.plus(s, 2.0)), b.mul(3.0, b.sub(x, y)))
    flow = b.finish({"output.z": b.mul(b.reduce("sum", late), x)})
    after = prune(distribute(flow))
    assert (longest(flow), longest(after)) == (2, 1)
    agree(flow, after)


def test_what_deviates_from_a_mean_sums_to_nothing() -> None:
    b = Builder()
    x, y = row(b, "x"), row(b, "y")
    centred = b.sub(x, b.mul(b.reduce("sum", x), 1 / 8))
    spread = b.reduce("sum", b.mul(centred, centred))
    late = b.plus(b.mul(spread, b.mul(centred, 2.0)), y)
    flow = b.finish({"output.z": b.reduce("sum", late)})
    after = prune(distribute(flow))
    assert longest(after) == 1 and sum(value.op == "reduce" for value in after.values) == 1
    agree(flow, after)


def test_products_of_rows_stay() -> None:
    b = Builder()
    x, y = row(b, "x"), row(b, "y")
    late = b.mul(b.mul(x, b.reduce("sum", y)), b.exp(b.mul(y, b.reduce("sum", x))))
    flow = b.finish({"output.z": b.reduce("sum", late)})
    assert distribute(flow) is flow


def test_sums_of_many_parts_stay() -> None:
    b = Builder()
    x = row(b, "x")
    late = b.mul(x, b.reduce("sum", x))
    for _ in range(40):
        late = b.plus(late, late)
    flow = b.finish({"output.z": b.reduce("sum", late)})
    assert distribute(flow) is flow
