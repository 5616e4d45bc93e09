"""States of models that turn time round somewhere: those behind the outputs live on between calls unless an output turns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqc.driver.load import load
from seqc.flow.carried import carried_states, is_carried
from tests.compiled.compare import check_gradients, check_infer, check_step, inputs_of, make
from tests.numeric.programs import lower_text

LOSS = """
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
TOTAL = """
model M {{
  input x: real[2]
  state s: real = 0
  s = prev s + x[0]
  output o = s
  {0}
}}
"""
METRIC = TOTAL.format("loss = mean(s ^ 2 over time, batch)  metric back = mean(reverse(s) over time, batch)")
OUTPUT = TOTAL.format("output back = reverse(s)")


@pytest.mark.parametrize(
    ("text", "run", "training", "names"),
    [(LOSS, True, False, ["s"]), (METRIC, True, False, ["s"]), (OUTPUT, False, False, [])],
)
def test_what_is_carried(text: str, run: bool, training: bool, names: list[str]) -> None:
    flow = lower_text(text).flow
    assert (is_carried(flow, "infer"), is_carried(flow, "gradients")) == (run, training)
    assert [each.name for each in carried_states(flow)] == names


@pytest.mark.parametrize("text", [LOSS, METRIC])
def test_steps_are_the_whole(text: str, tmp_path: Path) -> None:
    """Step by step, and in two calls, what one call gives: the interpreter, which compiled code is held against."""
    path = tmp_path / "m.seq"
    path.write_text(text, encoding="utf-8")
    model = load(path, engine="evaluator", seed=1)
    x = np.random.default_rng(2).normal(size=(4, 1, 2)).astype(np.float32)
    whole = model.infer(x)
    state = model.state(1)
    assert np.array_equal(np.stack([model.step(each, state=state) for each in x]), whole)
    state = model.state(1)
    halves = [model.infer(x[:1], state=state), model.infer(x[1:], state=state)]
    assert np.array_equal(np.concatenate(halves), whole)


def test_compiled_states_live_on_beside_a_loss_that_turns_time(tmp_path: Path) -> None:
    pair = make(lower_text(LOSS), "f64", tmp_path)
    assert [each["name"] for each in pair.manifest["states"]] == ["s"]
    for steps, batch in ((1, 1), (4, 3)):
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)
