"""States that are matrices: outer products run in the loops that use them, what sums a loop's matrices up runs in that loop."""

from __future__ import annotations

import pytest

from seqc.flow.types import Axis
from seqc.passes import flow_for
from seqc.plan.place import flat, reads_and_writes
from seqc.plan.types import Einsum, Kernel, Plan, Pointwise, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET, compare

MODEL = """
use std.optim: SGD
model M {{
  input u: real[{rows}]
  input k: real[{columns}]
  input q: real[{columns}]
  param p: real[{rows}, {columns}] = glorot
  state S = p
  S = tanh(prev S - outer(prev S @ k, k) / 9) + outer(u, k) / 3 - outer(p @ q, q) / 7
  y = S @ (k * q)
  output y
  output size = sum(S * p)
  loss = mean(sum(y ^ 2) + sum(S ^ 2) / 5 over time, batch)
}}
train M {{ update = SGD(lr = 1e-2) }}
"""
ENTRIES = ("infer", "gradients", "update", "step")


def made(rows: int, columns: int, entry: str, steps: int = 4, length: bool = False) -> Plan:
    """A plan that gives what its Flow means."""
    text = MODEL.format(rows=rows, columns=columns)
    if length:
        text = text.replace("  input u", "  input n: length\n  input u")
    program = lower_text(text)
    return compare(flow_for(program, entry), program, entry, steps=1 if entry == "step" else steps)


def outers(plan: Plan) -> list[Einsum]:
    """Contractions that sum nothing."""
    found = [node for _, node in flat(plan.nodes) if isinstance(node, Einsum) and not node.summed]
    return [
        each
        for each in found
        if len(each.spec.replace(",", "").split("->")[0]) == len(set(each.spec) - set(",->"))
    ]


def loops(plan: Plan) -> list[Kernel]:
    """Kernels of loops over time."""
    return [each for node in plan.nodes if isinstance(node, Scan) for each in node.kernels]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("rows", "columns"), [(3, TARGET.lanes), (5, 2 * TARGET.lanes), (1, TARGET.lanes)])
def test_outer_products_run_where_they_are_used(rows: int, columns: int, entry: str) -> None:
    found = made(rows, columns, entry)
    assert not outers(found)
    loads = [each for _, node in flat(found.nodes) for each in reads_and_writes(found, node)[0]]
    spreads = {each.spread and each.spread.each for each in loads}
    assert spreads == ({columns, 1, None} if rows > 1 else {None})
    assert all(each.size == rows for each in loads if each.spread and each.spread.each == columns)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("columns", [TARGET.lanes - 1, TARGET.lanes + 1])
def test_columns_that_share_vectors_are_made_first(columns: int, entry: str) -> None:
    """Lanes of one vector would read two elements of the left side."""
    assert outers(made(3, columns, entry))


@pytest.mark.parametrize("length", [False, True])
def test_what_shrinks_a_matrix_runs_in_its_loop(length: bool) -> None:
    """Outputs of all steps need two of the states at a time; nothing outside of the loops reads them."""
    found = made(3, 2 * TARGET.lanes, "infer", length=length)
    assert [each for each in loops(found) if isinstance(each, Einsum)]
    assert not [node for node in found.nodes if isinstance(node, Einsum)]
    states = [each for each in found.buffers if each.slots]
    assert states and all(each.ring == 2 for each in states)


def test_vectors_stay_outside() -> None:
    """Sums of a loop's vectors are made across all steps."""
    program = lower_text("""
model M {
  input x: real[8]
  state h: real[8] = 0
  h = tanh(x + prev h)
  output y = sum(h * x)
}
""")
    found = compare(flow_for(program, "infer"), program, "infer")
    assert all(isinstance(each, Pointwise) for each in loops(found))


def test_what_several_sums_share_goes_along() -> None:
    """A matrix of slopes times a gate, which two contractions read, lies nowhere for all steps."""
    program = lower_text("""
use std.optim: SGD
model M {
  input u: real[3]
  input k: real[8]
  param a: real[3] = ones
  param b: real[8] = ones
  state S: real[3, 8] = 0
  S = prev S / 2 + outer(sigmoid(u), ones_of(k)) * outer(a * u, b * k)
  output y = S @ k
  loss = mean(sum(y ^ 2) over time, batch)
}
fn ones_of(x: real[N]) -> y: real[N] {
  y = 0 * x + 1
}
train M { update = SGD(lr = 1e-2) }
""")
    for entry in ("gradients", "update"):
        found = compare(flow_for(program, entry), program, entry)
        large = [each for each in found.buffers if each.size == 24 and len(each.axes) == 2 and not each.ring]
        assert not [each.name for each in large if not each.slots]


def test_slopes_of_matrices_are_summed_up_in_their_loop() -> None:
    for entry in ("gradients", "update"):
        found = made(3, 2 * TARGET.lanes, entry)
        assert not [node for node in found.nodes if isinstance(node, Einsum)]
        assert len([each for each in loops(found) if isinstance(each, Einsum)]) > 3


def test_what_a_loop_needs_does_not_wait_for_it() -> None:
    """Between two loops over the same matrices stands what the second one reads."""
    program = lower_text("""
model M {
  input x: real[3]
  input k: real[8]
  state S: real[3, 8] = 0
  state h: real[3] = 0
  S = tanh(prev S + outer(x, k))
  a = max(S @ k over time)
  h = tanh(prev h + a + S @ k)
  y = h + S @ (2 * k)
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}
""")
    for entry in ("infer", "gradients"):
        compare(flow_for(program, entry), program, entry)


def test_slopes_of_a_readout_wait_for_the_loop_back() -> None:
    """A memory that is read by a key of its own: its matrices of all steps are read in the loop back alone."""
    program = lower_text("""
use std.optim: SGD
model M {
  input v: real[3]
  input k: real[8]
  param b: real[8] = ones
  state S: real[3, 8] = 0
  S = prev S + outer(v - prev S @ (b * k), b * k)
  output y = S @ tanh(b * k)
  loss = mean(sum(y ^ 2) over time, batch)
}
train M { update = SGD(lr = 1e-2) }
""")
    for entry in ("gradients", "update"):
        found = compare(flow_for(program, entry), program, entry)
        kept = {number for number, each in enumerate(found.buffers) if each.slots and not each.ring}
        assert [found.buffers[each].name for each in kept] == ["S"]
        for node in found.nodes:
            if not isinstance(node, Scan) and Axis.TIME in getattr(node, "axes", ()):
                assert not kept & {each.buffer for each in reads_and_writes(found, node)[0]}


HEADS = """
use std.optim: SGD
fn written(S: real[N, D], k: real[D], v: real[N]) = 0.9 * S + outer(v - S @ k, k)
fn read(S: real[N, D], q: real[D]) = S @ q
model M {{
  input  x: real[5]
  target t: real[4]
  param K: real[{heads}, {columns}, 5] = glorot
  param V: real[{heads}, {rows}, 5] = glorot
  param O: real[4, {heads} * {rows}] = glorot
  state S: real[{heads}, {rows}, {columns}] = 0
  S = written(prev S, K @ x / 3, V @ x)
  y = O @ concat(read(S, K @ x))
  output y
  loss = mean(sum((y - t) ^ 2) over time, batch)
}}
train M {{ update = SGD(lr = 1e-2) }}
"""


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("heads", "rows", "columns"), [(3, 2, TARGET.lanes), (2, 5, 2 * TARGET.lanes), (2, 3, 5)]
)
def test_heads_are_one_letter_more(heads: int, rows: int, columns: int, entry: str) -> None:
    """Weights of all heads are one product, and outer products run where they are used, each with the vectors of its head."""
    program = lower_text(HEADS.format(heads=heads, rows=rows, columns=columns))
    plan = compare(flow_for(program, entry), program, entry, steps=1 if entry == "step" else 4)
    kernels = [node for _, node in flat(plan.nodes)]
    assert all(
        Axis.BATCH in each.axes for each in kernels if isinstance(each, Einsum)
    )  # no gradient of weights
    loads = [each for node in kernels for each in reads_and_writes(plan, node)[0] if each.spread]
    whole = columns % TARGET.lanes == 0
    assert {each.spread.block for each in loads if each.spread.each == 1} == (
        {rows * columns} if whole else set()
    )
