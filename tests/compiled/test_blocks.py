"""Chains whose loops take a block of rows each: compiled code against the interpreter, over counts of rows that fill blocks,
begin them and leave some over."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.passes import flow_for
from seqc.plan import plan
from seqc.plan.chain import Chain
from seqc.plan.lanes import runs_in_blocks
from seqc.plan.types import Scan
from tests.compiled.client import UNOPTIMISED
from tests.compiled.compare import LANES, check_gradients, check_infer, check_step, inputs_of, make
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: Dense, LayerNormLSTM
use std.losses: cross_entropy
use std.optim: SGD
model M {{
  input  x: real[3]
  target t: index({size})
  layer net = LayerNormLSTM({size})
  layer out = Dense({size})
  z = x |> net |> out
  output p = softmax(z)
  loss = mean(cross_entropy(z, t) over time, batch)
}}
train M {{ update = SGD(lr = 1e-2)  clip = norm(1.0) }}
"""
SHAPES = ((1, 1), (3, 5), (2, 8), (1, 16), (1, 17), (2, 33))


@pytest.mark.parametrize(
    ("vector_bytes", "real"), [*((each, "f32") for each in sorted({0, 16, 32, LANES})), (LANES, "f64")]
)
def test_blocks_of_rows(vector_bytes: int, real: str, tmp_path: Path) -> None:
    model = lower_text(MODEL.format(size=33))
    pair = make(model, real, tmp_path, vector_bytes=vector_bytes, flags=UNOPTIMISED)
    for steps, batch in SHAPES:
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)


UNREAD = """
use std.cells: Dense, LayerNorm
use std.losses: huber
use std.optim: AdamW
fn odd(y: real) -> z: real {
  a = y
  z = if a < 1 then y else 1 * y * a - y / a
}
model M {
  input  x: real[16]
  input  unread: real
  target y: real[2]
  v = x |> LayerNorm()
  w = odd(v)
  guess = w |> Dense(2)
  loss = mean(sum(huber(guess, y, 0.1)) over time, batch)
}
train M { update = AdamW() }
"""


def test_a_number_that_is_the_same_for_all_rows(tmp_path: Path) -> None:
    """The gradient of an input that nothing reads is stored by the loop that runs over the rows anyway."""
    pair = make(lower_text(UNREAD), "f32", tmp_path)
    check_gradients(pair, inputs_of(pair, 3, 17), 3, 17)


@pytest.mark.parametrize(
    ("entry", "size", "expected"),
    [("update", 33, {True}), ("infer", 33, {True, False}), ("step", 33, {False}), ("update", 300, {False})],
)
def test_short_rows_go_in_blocks(entry: str, size: int, expected: set[bool]) -> None:
    """Inference has one row as a rule, in the loop over time; behind it all steps are rows."""
    program = lower_text(MODEL.format(size=size))
    found = set()
    made = plan(flow_for(program, entry), program, entry, TARGET)
    for node in made.nodes:
        for each in node.kernels if isinstance(node, Scan) else (node,):
            if isinstance(each, Chain) and sum(sweep.size > 1 for sweep in each.sweeps) > 1:
                found.add(runs_in_blocks(made, each, isinstance(node, Scan), TARGET.lanes))
    assert found == expected
