"""Sums that wait for sums: the slope of a norm has both of its sums in one sweep, others stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_what_deviates_from_a_mean_is_summed_besides() -> None:
    """Its sum is what the mean was rounded by: left out, the slope of a norm would drift in single precision."""
    b = Builder()
    x, y = row(b, "x"), row(b, "y")
    centred = b.sub(x, b.mul(b.reduce("sum", x), 1 / 8))
    spread = b.reduce("sum", b.mul(centred, centred))
    late = b.plus(b.mul(spread, b.mul(centred, 2.0)), y)
    flow = b.finish({"output.z": b.reduce("sum", late)})
    after = prune(distribute(flow))
    assert (longest(flow), longest(after)) == (3, 2)
    agree(flow, after)


@pytest.mark.parametrize("shift", [0.0, 1e2, 1e4])
def test_slopes_of_norms_are_as_precise_as_before(shift: float) -> None:
    program = lower_text(NORM)
    before, after = (flow_for(program, "gradients", after=name) for name in ("reassociate", "distribute"))
    rng = np.random.default_rng(7)
    leaves = {("input", "x"): rng.normal(size=(5, 3, 9)).astype(np.float32) + np.float32(shift)}
    leaves |= {("param", f"y.layernorm.{name}"): np.full(9, 0.5, np.float32) for name in ("gain", "bias")}
    exact = evaluate(before, leaves, 5, 3, np.float64)["grad.input.x"]
    errors = []
    for flow in (before, after):
        found = evaluate(flow, leaves, 5, 3, np.float32)["grad.input.x"].astype(np.float64)
        errors.append((np.abs(found - exact).max(), np.abs(found.sum(-1)).max()))
    assert errors[1][0] <= 2 * errors[0][0] and errors[1][1] <= 4 * errors[0][1]


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
