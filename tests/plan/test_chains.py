"""Loops and sums over the units of a row as one kernel: what joins, what stays in place, what is never made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.passes import flow_for
from seqc.plan import PlanError, PlanOptions, plan, verify
from seqc.plan.chain import Chain
from seqc.plan.place import flat
from seqc.plan.types import Plan, Product, Reduce, Scan, Scatter
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET, compare

SOFTMAX = """
use std.cells: Dense
use std.losses: cross_entropy
use std.optim: SGD
model M {
  input  x: real[3]
  target t: index(COUNT)
  layer out = Dense(COUNT)
  z = x |> out
  output z
  loss = mean(cross_entropy(z, t) over time, batch)
}
train M { update = SGD(lr = 0.1) }
"""

NORMALISED = """
model M {
  input x: real[5]
  param gain: real[5] = ones
  state s: real[5] = 0
  c = prev s + x - mean(x)
  s = gain * c / sqrt(mean(c ^ 2) + 0.1) + max(c) - min(c)
  output s
  loss = mean(sum(s) over time, batch)
}
"""


OF_ONE = """
model M {
  input x: real[1]
  input k: index(1)
  input y: real[9]
  z = log_softmax(x) + mean(y)
  output w = z[k]
}
"""
"""A vector of one element, which the loop that makes it would be asked for by number."""


def planned(text: str, entry: str, options: PlanOptions | None = None) -> Plan:
    program = lower_text(text)
    return plan(flow_for(program, entry), program, entry, TARGET, options)


def chains(made: Plan) -> list[Chain]:
    return [node for _, node in flat(made.nodes) if isinstance(node, Chain)]


@pytest.mark.parametrize("count", [7, 3000])
def test_logits_become_gradients_in_their_place(count: int) -> None:
    """A loss of any number of labels takes one kernel, no one-hot rows and, where rows are long, one buffer."""
    made = planned(SOFTMAX.replace("COUNT", str(count)), "update")
    (chain,) = chains(made)
    assert not any(isinstance(node, Scatter) for _, node in flat(made.nodes))
    assert [len(sweep.picks) for sweep in chain.sweeps].count(1) == 1
    wide = {number for number, each in enumerate(made.buffers) if each.size == count and each.axes}
    used = {operand.buffer for operand in (*chain.reads(), *chain.writes())} & wide
    assert len(used) == 1


def test_an_output_is_not_overwritten() -> None:
    made = planned(SOFTMAX.replace("COUNT", "3000"), "gradients")
    (chain,) = chains(made)
    stored = {made.buffers[operand.buffer].home.role for operand in chain.writes()}
    assert "output" not in stored


def test_a_normalisation_within_a_loop() -> None:
    made = planned(NORMALISED, "infer")
    (scan,) = [node for node in made.nodes if isinstance(node, Scan)]
    assert sum(isinstance(each, Chain) for each in scan.kernels) == 1
    assert not any(isinstance(each, Reduce) for each in scan.kernels)


def test_without() -> None:
    made = planned(SOFTMAX.replace("COUNT", "7"), "update", PlanOptions(chains=False))
    assert not chains(made)


@pytest.mark.parametrize(
    "text", [SOFTMAX.replace("COUNT", "6"), SOFTMAX.replace("COUNT", "2000"), NORMALISED, OF_ONE]
)
@pytest.mark.parametrize("chained", [True, False])
def test_agreement(text: str, chained: bool) -> None:
    program = lower_text(text)
    for entry in ("infer",) if text == OF_ONE else ("infer", "evaluate", "gradients"):
        compare(flow_for(program, entry), program, entry, options=PlanOptions(chains=chained))


def test_a_chain_that_reads_an_element_of_another_sweep_is_no_plan() -> None:
    made = planned(SOFTMAX.replace("COUNT", "7"), "update")
    (chain,) = chains(made)
    *others, last = chain.sweeps
    element = next(each.id for sweep in others if sweep.size > 1 for each in sweep.statements)
    (_, operand), *_ = last.stores
    broken = replace(chain, sweeps=(*others, replace(last, stores=((element, operand),))))
    nodes = tuple(broken if node is chain else node for node in made.nodes)
    with pytest.raises(PlanError):
        verify(replace(made, nodes=nodes))


def test_products_stay() -> None:
    made = planned(SOFTMAX.replace("COUNT", "7"), "update")
    assert sum(isinstance(node, Product) for node in made.nodes) == 1


PARTS = """
model M {
  input x: real[8]
  param W: real[12, 8] = glorot
  z = W @ x
  a = sigmoid(z[0:3]) * z[3:6]
  b = tanh(z[9:12] + a) / sqrt(mean(a ^ 2) + 0.1)
  y = b + z[6:9] * a
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}
"""


def test_gradients_of_slices_are_one_vector() -> None:
    """Whatever the order in which the parts of a vector are used, no part of its gradient is moved or added to zeros."""
    program = lower_text(PARTS)
    flow = flow_for(program, "gradients")
    assert not any(value.op == "place" for value in flow.values)
    assert sum(value.op == "concat" for value in flow.values) == 1
    compare(flow, program, "gradients")


def test_rows_are_divided_by_reciprocals() -> None:
    flow = flow_for(lower_text(PARTS), "infer")
    assert all(not flow.values[value.args[1]].type.dims for value in flow.values if value.op == "div")
    assert not any(value.op == "div" and value.type.dims for value in flow.values)


PIECES = """
use std.cells: Dense, LayerNormLSTM, RNN
model M {
  input x: real[7]
  u = x |> RNN(3)
  v = concat(u, tanh(0.9 * u))
  y = v |> Dense(5)
  w = x |> LayerNormLSTM(1)
  output y
  loss = mean(sum(y ^ 2) + sum(v ^ 2) + sum(w) over time, batch)
}
"""


@pytest.mark.parametrize("entry", ["infer", "evaluate", "gradients"])
def test_rows_written_in_pieces_before_a_chain_and_within(entry: str) -> None:
    program = lower_text(PIECES)
    compare(flow_for(program, entry), program, entry)


HELD = """
use std.cells: Dense, RMSNorm
cell Cell(H)(x: real[D]) -> y: real[H] {
  param A: real[H, H] = orthogonal
  param B: real[H, D] = glorot
  param E: real[H, H] = orthogonal
  param F: real[H, D] = glorot
  layer norm = RMSNorm()
  state s: real[H] = 0
  i = sin(B @ x + A @ prev s)
  k = atan(F @ x + E @ prev s)
  s = (prev s + norm(i)) / (1 + (prev s) ^ 2 + abs(k))
  y = s
}
model M {
  input x: real[2]
  target t: real[5] once
  z = mean(x |> Cell(5) over time)
  output z
  loss = mean(sum((z - t) ^ 2) over batch)
}
"""


def test_what_a_loop_reads_at_every_step_is_not_overwritten() -> None:
    """The slope of a mean over time is made once, before the loop that reads it."""
    program = lower_text(HELD)
    for stretch in (0, 6):
        flow = flow_for(program, "gradients")
        compare(flow, program, "gradients", 9, 2, options=PlanOptions(stretch=stretch))


def test_sums_of_rows_that_a_loop_reads_anyway_are_made_in_it() -> None:
    """The slope of a norm wants the sum of what deviates from the mean, which its loop reads."""
    program = lower_text("""
use std.cells: LayerNormLSTM
model M {
  input x: real[3]
  y = x |> LayerNormLSTM(9)
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}
""")
    flow = flow_for(program, "gradients")
    made = compare(flow, program, "gradients", options=PlanOptions(stretch=0))
    forward, back = (number for number, node in enumerate(made.nodes) if isinstance(node, Scan))
    between = [node for node in made.nodes[forward + 1 : back] if isinstance(node, Chain)]
    assert all(sweep.size < 4 * 9 for chain in between for sweep in chain.sweeps)
