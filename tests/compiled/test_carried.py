"""A loss that turns time round beside outputs that do not: compiled code against the interpreter, states carried or not."""

from __future__ import annotations

from pathlib import Path

from tests.compiled.client import native
from tests.compiled.compare import check_gradients, check_infer, check_step, inputs_of, make
from tests.numeric.programs import lower_text

MODEL = """
use std.cells: GRU, Both
use std.optim: SGD
model M {
  input x: real[2]
  state s: real = 0
  s = 0.5 * prev s + x[0]
  output o = s
  v = x |> Both(GRU(3))
  loss = mean(sum(v ^ 2) + s ^ 2 over time, batch)
}
train M { update = SGD(lr = 1e-2) }
"""


def test_states_live_on_beside_a_loss_that_turns_time(tmp_path: Path) -> None:
    pair = make(lower_text(MODEL), "f64", tmp_path, flags=native("f64"))
    assert [each["name"] for each in pair.manifest["states"]] == ["s"]
    for steps, batch in ((1, 1), (4, 3)):
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)
