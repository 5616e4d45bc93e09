"""Functions of the prelude against PyTorch's: values and derivatives. Skipped without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.torch.peer import close, noise, open_model

torch = pytest.importorskip("torch")

MODEL = """
model M {
  input  x: real[6]
  input  pull: real[6]
  y = %s(x)
  output y
  loss = sum(sum(y * pull) over time, batch)
}
"""

functional: Any = torch.nn.functional

FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "elu": functional.elu,
    "softsign": functional.softsign,
    "softplus": lambda x: torch.log1p(torch.exp(x)),
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "softmax": lambda x: functional.softmax(x, -1),
    "log_softmax": lambda x: functional.log_softmax(x, -1),
    "hard_sigmoid": lambda x: torch.clamp(0.2 * x + 0.5, 0, 1),
}
"""PyTorch's own `hardsigmoid` has the slope 1/6, and its `softplus` is a straight line from 20 on."""


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_functions(name: str, tmp_path: Path) -> None:
    model = open_model(MODEL % name, tmp_path)
    x, pull = 3 * noise(4, 3, 6), noise(4, 3, 6, seed=1)
    given = torch.tensor(x, requires_grad=True)
    expected = FUNCTIONS[name](given)
    close(model.infer(x=x, pull=pull), expected)
    (expected * torch.tensor(pull)).sum().backward()
    close(model.gradients(x=x, pull=pull).inputs["x"], given.grad)


def test_softmax_of_large_numbers(tmp_path: Path) -> None:
    model = open_model(MODEL % "log_softmax", tmp_path)
    x = np.array([[[1e4, -1e4, 0.0, 1e4, 3.0, -3.0]]])
    close(model.infer(x=x, pull=x), functional.log_softmax(torch.tensor(x), -1))
