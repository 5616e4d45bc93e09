"""Sequences of different lengths and states that live on, against PyTorch's packed sequences and `(h_n, c_n)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.run.foreign import from_torch
from tests.torch.peer import ROWS, SEEN, STEPS, close, noise, open_model, set_weights

torch = pytest.importorskip("torch")

PADDED = """
use std.cells: Both, LSTM
model M {
  input  n: length
  input  x: real[4]
  input  pull: real[12]
  y = x |> Both(LSTM(6))
  output y
  loss = sum(sum(y * pull) over time, batch)
}
"""

LENGTHS = np.array([5, 2, 4])


def packed(module: Any, x: Any) -> Any:
    """What a module makes of padded rows, with zeros behind their ends."""
    lengths = torch.tensor(LENGTHS)
    rows = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    return torch.nn.utils.rnn.pad_packed_sequence(module(rows)[0], total_length=STEPS)[0]


@pytest.mark.parametrize("engine", ["evaluator", "library"])
def test_rows_of_different_lengths(engine: str, tmp_path: Path) -> None:
    if engine == "library":
        pytest.importorskip("seqc.run._host")
    torch.manual_seed(1)
    module = torch.nn.LSTM(SEEN, 6, bidirectional=True, dtype=torch.float64)
    model = open_model(PADDED, tmp_path, engine)
    paths = {"y.both.ahead": False, "y.both.back": True}
    for path, reverse in paths.items():
        for name, array in from_torch("LSTM", module.state_dict(), path, 0, reverse).items():
            model.params[name] = array
    x, pull = noise(STEPS, ROWS, SEEN), noise(STEPS, ROWS, 12, seed=1)
    given = torch.tensor(x, requires_grad=True)
    expected = packed(module, given)
    close(model.infer(n=LENGTHS, x=x, pull=pull), expected)
    loss = (expected * torch.tensor(pull)).sum()
    loss.backward()
    found = model.gradients(n=LENGTHS, x=x, pull=pull)
    close(float(found.score), loss)
    close(found.inputs["x"], given.grad)
    arrays = {n: each.grad for n, each in module.named_parameters() if not n.startswith("bias_hh")}
    for path, reverse in paths.items():
        for name, array in from_torch("LSTM", arrays, path, 0, reverse).items():
            close(found.parameters[name], array, name)


CARRIED = """
use std.cells: LSTM
model M {
  input  x: real[4]
  input  pull: real[6]
  y = x |> LSTM(6)
  output y
  loss = sum(sum(y * pull) over time, batch)
}
"""


def test_states_that_live_on(tmp_path: Path) -> None:
    """The second call goes on where the first stopped, and gradients reach the state that it was given."""
    torch.manual_seed(2)
    module = torch.nn.LSTM(SEEN, 6, dtype=torch.float64)
    model = open_model(CARRIED, tmp_path)
    set_weights(model, from_torch("LSTM", module.state_dict(), "y.lstm"))
    first, second, pull = noise(STEPS, ROWS, SEEN), noise(STEPS, ROWS, SEEN, seed=3), noise(STEPS, ROWS, 6)
    state = model.state(ROWS)
    begun, (h, c) = module(torch.tensor(first))
    close(model.infer(x=first, pull=pull, state=state), begun)
    h, c = (each.detach().requires_grad_() for each in (h, c))
    expected, _ = module(torch.tensor(second), (h, c))
    (expected * torch.tensor(pull)).sum().backward()
    found = model.gradients(x=second, pull=pull, state=state)
    close(found.states["y.lstm.h"], h.grad[0], "gradient of h")
    close(found.states["y.lstm.c"], c.grad[0], "gradient of c")
