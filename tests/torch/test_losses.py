"""Losses against PyTorch's: values and gradients, positions without a label included. Skipped without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.torch.peer import ROWS, STEPS, close, noise, open_model

torch = pytest.importorskip("torch")

MODEL = """
use std.losses: %s
model M {
  input  z: real[4]
  target k: index(4)
  target t: real[4]
  output z
  loss = %s
}
"""

functional: Any = torch.nn.functional


def flat(z: Any) -> Any:
    return z.reshape(-1, 4)


LOSSES: Mapping[str, tuple[str, Callable[[Any, Any, Any], Any]]] = {
    "mean(cross_entropy(z, k) over time, batch where k >= 0)": (
        "cross_entropy",
        lambda z, k, t: functional.cross_entropy(flat(z), k.reshape(-1), ignore_index=-100),
    ),
    "sum(cross_entropy(z, k) over time, batch where k >= 0)": (
        "cross_entropy",
        lambda z, k, t: functional.cross_entropy(flat(z), k.reshape(-1), ignore_index=-100, reduction="sum"),
    ),
    "mean(smooth_cross_entropy(z, k, 0.1) over time, batch where k >= 0)": (
        "smooth_cross_entropy",
        lambda z, k, t: functional.cross_entropy(flat(z), k.reshape(-1), label_smoothing=0.1),
    ),
    "mean(mean(binary_cross_entropy(z, t)) over time, batch)": (
        "binary_cross_entropy",
        lambda z, k, t: functional.binary_cross_entropy_with_logits(z, t),
    ),
    "mean(mean(squared(z, t)) over time, batch)": ("squared", lambda z, k, t: functional.mse_loss(z, t)),
    "mean(mean(absolute(z, t)) over time, batch)": ("absolute", lambda z, k, t: functional.l1_loss(z, t)),
    "mean(mean(huber(z, t, 0.7)) over time, batch)": (
        "huber",
        lambda z, k, t: functional.huber_loss(z, t, delta=0.7),
    ),
}


@pytest.mark.parametrize("use", list(LOSSES))
def test_losses(use: str, tmp_path: Path) -> None:
    name, theirs = LOSSES[use]
    model = open_model(MODEL % (name, use), tmp_path)
    z, t = noise(STEPS, ROWS, 4), np.random.default_rng(1).random((STEPS, ROWS, 4))
    k = np.random.default_rng(2).integers(0, 4, (STEPS, ROWS))
    k[1:3, 0] = k[4, 2] = -100
    given = torch.tensor(z, requires_grad=True)
    expected = theirs(given, torch.tensor(k), torch.tensor(t))
    expected.backward()
    found = model.gradients(z=z, k=k, t=t)
    close(float(found.score), expected)
    close(found.inputs["z"], given.grad)
