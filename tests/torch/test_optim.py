"""Optimizers against PyTorch's over some updates from the same weights and gradients. Skipped without torch.

Gradients come from a small recurrent model, so that clipping sees several tensors; both sides clip alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.torch.peer import ROWS, STEPS, close, noise, open_model

torch = pytest.importorskip("torch")

MODEL = """
use std.cells: Dense
use std.optim: %s
model M {
  input  x: real[4]
  target t: real[3]
  layer net = Dense(5, tanh)
  layer top = Dense(3)
  y = top(net(x))
  output y
  loss = mean(mean((y - t) ^ 2) over time, batch)
}
train M { update = %s %s }
"""

Make = Callable[[Any], Any]

RULES: Mapping[str, Make] = {
    "SGD(lr = 0.1)": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD(lr = 0.1, momentum = 0.9)": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "SGD(lr = 0.1, momentum = 0.9, nesterov = true)": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, nesterov=True
    ),
    "AdaGrad(lr = 0.1)": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "AdaDelta(rho = 0.9)": lambda p: torch.optim.Adadelta(p),
    "RMSProp(lr = 0.01)": lambda p: torch.optim.RMSprop(p),
    "Adam()": lambda p: torch.optim.Adam(p),
    "Adam(lr = 0.1, beta1 = 0.8, beta2 = 0.99, eps = 1e-6)": lambda p: torch.optim.Adam(
        p, lr=0.1, betas=(0.8, 0.99), eps=1e-6
    ),
    "AdamW()": lambda p: torch.optim.AdamW(p),
    "AdamW(lr = 0.1, decay = 0.2)": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.2),
}
"""Where an argument is written although PyTorch's is left out, the defaults differ."""

CLIPS: Mapping[str, Callable[[Any], Any]] = {
    "": lambda p: None,
    "clip = norm(0.3)": lambda p: torch.nn.utils.clip_grad_norm_(p, 0.3),
    "clip = norm(1000.0)": lambda p: torch.nn.utils.clip_grad_norm_(p, 1000.0),
    "clip = value(0.02)": lambda p: torch.nn.utils.clip_grad_value_(p, 0.02),
}

UPDATES = 10


SCHEDULES: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "cosine(step, 0.1, 8)": (
        "",
        lambda o: torch.optim.lr_scheduler.LambdaLR(
            o, lambda t: 0.5 * (1 + math.cos(math.pi * min(t / 8, 1)))
        ),
    ),
    "stairs(step, 0.1, 0.5, 3)": ("stairs", lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
    "stairs(step, 0.1, 0.9, 1)": ("stairs", lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
    "falling(step, 0.1, 8)": ("falling", lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, 8)),
}
"""PyTorch's `CosineAnnealingLR` rises again behind its end; ours stays at 0."""


def compare(
    use: str,
    clip: str,
    folder: Path,
    engine: str,
    rule: Make | None = None,
    schedule: Callable[[Any], Any] | None = None,
    line: str = "",
) -> None:
    model = open_model(line + MODEL % (use.partition("(")[0], use, clip), folder, engine)
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 5, dtype=torch.float64),
        torch.nn.Tanh(),
        torch.nn.Linear(5, 3, dtype=torch.float64),
    )
    names = {
        "net.W": module[0].weight,
        "net.b": module[0].bias,
        "top.W": module[2].weight,
        "top.b": module[2].bias,
    }
    for name, each in names.items():
        model.params[name] = each.detach().numpy()
    optimizer = (rule or RULES[use])(module.parameters())
    scheduler = schedule(optimizer) if schedule is not None else None
    clipped = not clip or "1000" in clip
    for update in range(UPDATES):
        x, t = noise(STEPS, ROWS, 4, seed=update), noise(STEPS, ROWS, 3, seed=100 + update)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(module(torch.tensor(x)), torch.tensor(t))
        loss.backward()
        before = [each.grad.clone() for each in module.parameters()]
        CLIPS[clip](module.parameters())
        pairs = zip(before, module.parameters(), strict=True)
        clipped = clipped or any(not torch.equal(old, each.grad) for old, each in pairs)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        close(float(model.update(x=x, t=t)), loss, f"loss before update {update}")
        for name, each in names.items():
            close(model.params[name], each, f"{name} after update {update}")
    assert clipped, "nothing was clipped"


@pytest.mark.parametrize("use", list(RULES))
def test_optimizers(use: str, tmp_path: Path) -> None:
    compare(use, "", tmp_path, "evaluator")


@pytest.mark.parametrize("clip", list(CLIPS)[1:])
@pytest.mark.parametrize("use", ["SGD(lr = 0.1, momentum = 0.9)", "Adam()", "AdaDelta(rho = 0.9)"])
def test_optimizers_with_clipping(use: str, clip: str, tmp_path: Path) -> None:
    compare(use, clip, tmp_path, "evaluator")


@pytest.mark.parametrize(
    ("use", "clip"), [("Adam()", "clip = norm(0.3)"), ("SGD(lr = 0.1, momentum = 0.9)", "clip = value(0.02)")]
)
def test_optimizers_compiled(use: str, clip: str, tmp_path: Path) -> None:
    pytest.importorskip("seqc.run._host")
    compare(use, clip, tmp_path, "library")


@pytest.mark.parametrize("rate", list(SCHEDULES))
def test_schedules(rate: str, tmp_path: Path) -> None:
    name, schedule = SCHEDULES[rate]
    line = f"use std.schedules: {name}" if name else ""
    compare(
        f"SGD(lr = {rate})", "", tmp_path, "evaluator", lambda p: torch.optim.SGD(p, lr=0.1), schedule, line
    )
