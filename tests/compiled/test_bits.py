"""The same bits however a call is made: a row alone and in a batch, one thread and several, on wide vectors and narrow ones.

The equations multiply and add in ways that a compiler could round once or twice, as it likes; it is told not to.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc

X86 = platform.machine() in ("x86_64", "AMD64")
MARCHES = ("native", "x86-64-v3") if X86 else ("native",)

MODEL = """
use std.cells: Dense, GRU, RNN

fn far(y: real[K]) -> z: real[K] {
  e = y - mean(y)
  z = e / (1 + norm(e))
}

cell Mixed(H)(x: real[D], z: real[E]) -> h: real[H] {
  param W: real[H, D] = glorot
  param U: real[H, H] = orthogonal
  param V: real[H, E] = glorot
  state h: real[H] = 0
  n = tanh(W @ x + U @ prev h)
  k = sigmoid(V @ z)
  h = k * prev h + (1 - k) * n - 0.1 * prev h / (norm(prev h) + 1)
}

model Bits {
  input x: real[3]
  v = x |> RNN(9)
  layer mixed = Mixed(17)
  h = mixed(x - mean(x), far(concat(v, [tanh(sum(v * v)), 0.5])))
  output h
  output y = h |> GRU(5) |> Dense(2)
  loss = mean(sum(h ^ 2) + sum(y) ^ 2 over time, batch)
}
"""


@pytest.mark.parametrize("march", MARCHES)
def test_rows_and_threads_change_nothing(march: str, tmp_path: Path) -> None:
    source = tmp_path / "bits.seq"
    source.write_text(MODEL, encoding="utf-8")
    model = seqc.load(source, engine="library", march=march, seed=1)
    x = np.random.default_rng(0).normal(size=(20, 131, 3)).astype(np.float32)
    for rows in (2, 3, 17, 33):
        together = model.infer(x[:, :rows])
        for row in range(rows):
            alone = model.infer(x[:, row : row + 1])
            for one, all_rows in zip(alone, together, strict=True):
                assert np.array_equal(one[:, 0], all_rows[:, row]), (rows, row)
    alone = everything(model, x)
    for threads in (2, 3):
        model.threads = threads
        for name, value in everything(model, x).items():
            assert np.array_equal(value, alone[name]), (threads, name)


def everything(model: Any, x: Any) -> dict[str, Any]:
    """The loss and all gradients."""
    found = model.gradients(x)
    return {
        "loss": float(found.score),
        **found.parameters,
        **{f"input {k}": v for k, v in found.inputs.items()},
    }
