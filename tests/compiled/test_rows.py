"""Equations of few numbers, a row of the batch in each lane: compiled code against the interpreter, over counts of rows that
fill vectors, begin them and leave some over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiled.compare import LANES, check_gradients, check_infer, check_step, inputs_of, make
from tests.compiled.test_interface import under_sanitizers
from tests.numeric.programs import lower_text

MODEL = """
use std.cells: Dense, GRU
use std.optim: SGD

fn swing(x: real[3], u: real) -> y: real[3] {
  a, va, c = x
  pull = sin(a) * cos(c) + 0.3 * atan(va) - 0.1 * erf(c) + 0.05 * tan(0.2 * a)
  push = (if u > 0.4 then sqrt(1 + u ^ 2) else abs(u)) + max(a, c) - min(va, 0.5)
  y    = x + 0.05 * [va, push - pull, u * exp(-a ^ 2)]
}

model M {
  input  start: real[3] once
  target goal:  real[3] once
  layer brain = GRU(4)
  layer head = Dense(3, softmax)
  state x = start
  share = prev x |> brain |> head
  x     = swing(prev x, share[0] - share[2])
  output x
  near = x - goal
  loss = mean(norm(near) over time, batch)
}
train M { update = SGD(lr = 1e-2)  clip = norm(1.0) }
"""
SHAPES = ((3, 1), (2, 2), (2, 15), (3, 16), (1, 17), (2, 33))


def check(folder: Path, vector_bytes: int, real: str, flags: tuple[str, ...] = ()) -> None:
    """All counts of rows."""
    pair = make(lower_text(MODEL), real, folder, vector_bytes=vector_bytes, flags=flags)
    for steps, batch in SHAPES:
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)


@pytest.mark.parametrize("real", ["f64", "f32"])
@pytest.mark.parametrize("vector_bytes", sorted({0, 16, 32, LANES}))
def test_rows_in_lanes(vector_bytes: int, real: str, tmp_path: Path) -> None:
    check(tmp_path, vector_bytes, real)


SANITIZED = """
from pathlib import Path
from tests.compiled.test_interface import SANITIZE
from tests.compiled.test_rows import LANES, check
check(Path({folder!r}), LANES, "f32", flags=SANITIZE)
print("clean")
"""


def test_rows_in_lanes_under_sanitizers(tmp_path: Path) -> None:
    under_sanitizers(SANITIZED.format(folder=str(tmp_path)))
