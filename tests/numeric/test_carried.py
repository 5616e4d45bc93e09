"""States of models that turn time round somewhere: those behind the outputs live on between calls unless an output turns it."""

from __future__ import annotations

import numpy as np
import pytest

from seqc.driver.load import load
from seqc.flow.carried import carried_states, is_carried
from tests.numeric.programs import lower_text

LOSS = """
use std.cells: GRU, Both
model M {
  input x: real[2]
  state s: real = 0
  s = 0.5 * prev s + x[0]
  output o = s
  v = x |> Both(GRU(3))
  loss = mean(sum(v ^ 2) over time, batch)
}
"""
METRIC = """
model M {
  input x: real
  state s: real = 0
  s = prev s + x
  output o = s
  loss = mean(s ^ 2 over time, batch)
  metric back = mean(reverse(s) over time, batch)
}
"""
OUTPUT = """
model M {
  input x: real
  state s: real = 0
  s = prev s + x
  output o = s
  output back = reverse(s)
}
"""


@pytest.mark.parametrize(
    ("text", "run", "training", "names"),
    [(LOSS, True, False, ["s"]), (METRIC, True, False, ["s"]), (OUTPUT, False, False, [])],
)
def test_what_is_carried(text: str, run: bool, training: bool, names: list[str]) -> None:
    flow = lower_text(text).flow
    assert (is_carried(flow, "infer"), is_carried(flow, "gradients")) == (run, training)
    assert [each.name for each in carried_states(flow)] == names


@pytest.mark.parametrize("text", [LOSS, METRIC])
def test_steps_are_the_whole(text: str, tmp_path: object) -> None:
    """Step by step, and in two calls, what one call gives; a loss of its own leaves the states alone."""
    from pathlib import Path

    path = Path(str(tmp_path)) / "m.seq"
    path.write_text(text, encoding="utf-8")
    model = load(path, engine="evaluator", seed=1)
    width = (2,) if "real[2]" in text else ()
    x = np.random.default_rng(2).normal(size=(4, 1, *width)).astype(np.float32)
    whole = model.infer(x)
    state = model.state(1)
    assert np.array_equal(np.stack([model.step(each, state=state) for each in x]), whole)
    state = model.state(1)
    assert np.array_equal(
        np.concatenate([model.infer(x[:1], state=state), model.infer(x[1:], state=state)]), whole
    )
