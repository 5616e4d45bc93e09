"""The optimizers of the library against their formulas in numpy, over several updates of two parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from seqc.ops.evaluate import evaluate
from seqc.passes import apply_flow, initial_optimizer
from tests.numeric.programs import lower_text

Rule = Callable[[Any, Any, dict[str, Any], int], Any]
"""(weights, gradient, states that the rule keeps, updates so far) → new weights."""

SOURCE = """
use std.optim: AdaDelta, AdaGrad, Adam, AdamW, Lion, RMSProp, SGD
model M {
  input x: real[3]
  layer one = Scale()
  loss = mean(sum(one(x)) over time, batch)
}
cell Scale()(x: real[3]) -> y: real[3] {
  param a: real[3] = ones
  param b: real    = zeros
  y = a * x + b
}
train M { update = %s }
"""


def sgd(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["v"] = 0.9 * s.get("v", 0.0) + g
    return w - 0.1 * s["v"]


def nesterov(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["v"] = 0.9 * s.get("v", 0.0) + g
    return w - 0.1 * (g + 0.9 * s["v"])


def adagrad(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["gg"] = s.get("gg", 0.0) + g**2
    return w - 0.1 * g / (np.sqrt(s["gg"]) + 1e-10)


def adadelta(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["gg"] = 0.9 * s.get("gg", 0.0) + 0.1 * g**2
    d = np.sqrt((s.get("dd", 0.0) + 1e-6) / (s["gg"] + 1e-6)) * g
    s["dd"] = 0.9 * s.get("dd", 0.0) + 0.1 * d**2
    return w - d


def rmsprop(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["gg"] = 0.99 * s.get("gg", 0.0) + 0.01 * g**2
    return w - 0.1 * g / (np.sqrt(s["gg"]) + 1e-8)


def adam_step(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g**2
    return 0.1 * s["m"] / (1 - 0.9 ** (t + 1)) / (np.sqrt(s["v"] / (1 - 0.999 ** (t + 1))) + 1e-8)


def adam(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    return w - adam_step(w, g, s, t)


def adamw(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    return w - 0.1 * 0.02 * w - adam_step(w, g, s, t)


def lion(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    d = np.sign(0.9 * s.get("m", 0.0) + 0.1 * g)
    s["m"] = 0.99 * s.get("m", 0.0) + 0.01 * g
    return w - 0.1 * (d + 0.02 * w)


def scheduled(w: Any, g: Any, s: dict[str, Any], t: int) -> Any:
    s["v"] = g
    return w - 0.5 * 0.4 * (1 + np.cos(np.pi * min(t / 4, 1))) * g


RULES: Mapping[str, Rule] = {
    "SGD(lr = 0.1, momentum = 0.9)": sgd,
    "SGD(lr = 0.1, momentum = 0.9, nesterov = true)": nesterov,
    "AdaGrad(lr = 0.1)": adagrad,
    "AdaDelta(rho = 0.9)": adadelta,
    "RMSProp(lr = 0.1)": rmsprop,
    "Adam(lr = 0.1)": adam,
    "AdamW(lr = 0.1, decay = 0.02)": adamw,
    "Lion(lr = 0.1, decay = 0.02)": lion,
    "SGD(lr = cosine(step, 0.4, 4))": scheduled,
}


@pytest.mark.parametrize("use", list(RULES))
def test_an_optimizer_follows_its_formula(use: str) -> None:
    program = lower_text(SOURCE % use)
    rules = apply_flow(program)
    hypers = {("hyper", each.name): each.value for each in program.hypers}
    optimizer = evaluate(initial_optimizer(program), hypers)
    names = [each.name for each in program.parameters]
    assert sorted(names) == ["one.a", "one.b"]
    rng = np.random.default_rng(0)
    weights = {each.name: rng.normal(size=each.type.dims) for each in program.parameters}
    expected = {name: array.copy() for name, array in weights.items()}
    states: dict[str, dict[str, Any]] = {name: {} for name in names}
    for update in range(6):
        gradients = {name: rng.normal(size=array.shape) for name, array in weights.items()}
        leaves: dict[tuple[str, str], Any] = {**hypers, ("step", ""): update}
        leaves |= {("input", f"w.{name}"): array for name, array in weights.items()}
        leaves |= {("input", f"g.{name}"): array for name, array in gradients.items()}
        leaves |= {("input", root): array for root, array in optimizer.items()}
        found = evaluate(rules, leaves)
        weights = {name: found[f"w.{name}"] for name in names}
        optimizer = {root: array for root, array in found.items() if root.startswith("o.")}
        for name in names:
            expected[name] = RULES[use](expected[name], gradients[name], states[name], update)
            np.testing.assert_allclose(weights[name], expected[name], rtol=1e-11, atol=1e-14)
    assert optimizer.keys() == {f"o.{name}.{state}" for name in names for state in states[name]}
