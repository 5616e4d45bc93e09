"""Rows of a table that was multiplied once: loops on the sums of products read them where they lie, unless that may go wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.passes import flow_for
from seqc.plan import plan
from seqc.plan.lookup import look_up
from seqc.plan.types import Gather, Plan, Product, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: Embedding, LSTM, Dense
use std.losses: cross_entropy
use std.optim: SGD
model M {{
  input  x: index(5){fed}
  target t: index(5)
  state  said: index(5) = 0
  layer table = Embedding(6)
  layer net = LSTM(8)
  layer out = Dense(5)
  z = x |> table |> net |> out
  output z
  said = argmax(z)
  loss = mean(cross_entropy(z, t) over time, batch)
}}
train M {{ update = SGD(lr = 0.1) }}
"""


def planned(entry: str, fed: str = "") -> Plan:
    """The plan of a character model."""
    program = lower_text(MODEL.format(fed=fed))
    return plan(flow_for(program, entry), program, entry, TARGET)


def forward(made: Plan) -> list[object]:
    """The kernels of the first loop over time."""
    return list(next(node for node in made.nodes if isinstance(node, Scan)).kernels)


@pytest.mark.parametrize("more", [{}, {"fed": " = prev said"}])
@pytest.mark.parametrize("entry", ["update", "gradients"])
def test_a_loop_reads_rows_where_they_lie(entry: str, more: dict[str, str]) -> None:
    kernels = forward(planned(entry, **more))
    assert not any(isinstance(each, Gather) for each in kernels)
    product = next(each for each in kernels if isinstance(each, Product))
    assert product.epilogue is not None
    rows = [each for _, each, _ in product.epilogue.loads if each.lookup is not None]
    assert [each.offset for each in rows] == [0, 8, 16, 24], "one stretch of a row for each gate"
    assert {(each.lookup.count, each.lookup.width) for each in rows if each.lookup} == {(5, 32)}


def test_an_index_that_may_name_no_row_is_looked_up_with_care() -> None:
    """Targets may be missing, which is a number below 0; only inputs are always inside of their bounds."""
    program = lower_text(MODEL.format(fed=""))
    made = plan(flow_for(program, "update"), program, "update", TARGET, after="epilogues")
    assert any(isinstance(each, Gather) for each in forward(made))
    assert not any(isinstance(each, Gather) for each in forward(look_up(made, program)))
    missing = replace(program, inputs=tuple(replace(each, target=True) for each in program.inputs))
    assert look_up(made, missing) == made


TWO = """
use std.cells: Dense, Embedding
use std.losses: cross_entropy
use std.optim: SGD
model M {
  input  x: index(5)
  input  k: index(7)
  target t: index(5)
  layer table = Embedding(6)
  layer other = Embedding(6)
  layer one = Dense(8)
  layer two = Dense(8)
  layer back = Dense(8)
  layer out = Dense(5)
  state h: real[8] = 0
  h = tanh((x |> table |> one) + (k |> other |> two) + (prev h |> back))
  z = h |> out
  output z
  loss = mean(cross_entropy(z, t) over time, batch)
}
train M { update = SGD(lr = 0.1) }
"""


def test_all_tables_of_a_loop_are_read_where_they_lie() -> None:
    program = lower_text(TWO)
    (product,) = forward(plan(flow_for(program, "update"), program, "update", TARGET))
    assert isinstance(product, Product) and product.epilogue is not None
    assert {each.lookup.count for _, each, _ in product.epilogue.loads if each.lookup} == {5, 7}
