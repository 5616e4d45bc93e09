"""The longer shelf of the library: gradients and streaming of its cells, some against formulas in numpy, losses, schedules.

Each cell stands in a small model; sizes, steps and rows are so small that all of it takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.passes import apply_flow, flow_for, initial_optimizer
from seqc.syntax.parse import parse
from seqc.syntax.tree import Cell
from tests.numeric.gradient_check import check_gradients, leaves_for
from tests.numeric.programs import CELLS as OLDER
from tests.numeric.programs import lower_text, read
from tests.numeric.test_streams import check_streaming

STEPS, ROWS = 4, 2

CELLS: Mapping[str, str] = {
    "RMSNorm": "RMSNorm()",
    "PeepholeLSTM": "PeepholeLSTM(3)",
    "CoupledLSTM": "CoupledLSTM(3)",
    "ProjectedLSTM": "ProjectedLSTM(4, 2)",
    "LayerNormLSTM": "LayerNormLSTM(3)",
    "ZoneoutLSTM": "ZoneoutLSTM(3, 0.5, ph = 0.3)",
    "MGU": "MGU(3)",
    "IndRNN": "IndRNN(3)",
    "SRU": "SRU()",
    "minGRU": "minGRU(3)",
    "minLSTM": "minLSTM(3)",
    "sLSTM": "sLSTM(3)",
    "Leaky": "Leaky(3)",
    "CTRNN": "CTRNN(3, dt = 0.4)",
    "CfC": "CfC(3)",
    "LTC": "LTC(3)",
    "LMU": "LMU(3, 4, 2.5)",
    "Stack": "Stack(RNN(2), 3)",
    "Conv": "Conv(3, 3, tanh)",
    "Highway": "Highway()",
    "HighwayRNN": "HighwayRNN(3)",
}
"""What is written for each cell."""

MODEL = """
use std.cells: %s
model M {
  input  x: real[2]
  target goal: real
  y = x |> %s
  output y
  loss = mean((sum(sin(y)) - goal) ^ 2 over time, batch)
}
"""


def program_of(name: str) -> Program:
    """A model around a cell."""
    return lower_text(MODEL % (", ".join(sorted(set(re.findall(r"(\w+)\(", CELLS[name])))), CELLS[name]))


def test_no_cell_is_left_out() -> None:
    """Gradients and streaming of the others are tested in `test_gradients` and `test_streams`, scaling in `run`."""
    items = parse(read("std/cells.seq")).items
    known = {*CELLS, *OLDER, "Gate", "Standardise", "Restore"}
    assert {each.name.text for each in items if isinstance(each, Cell)} <= known


@pytest.mark.parametrize("name", list(CELLS))
def test_gradients(name: str) -> None:
    stopped = ("grad.y.lmu.A", "grad.y.lmu.B")
    assert check_gradients(program_of(name), seed=2, elements=1, steps=3, stopped=stopped) > 0


@pytest.mark.parametrize("name", list(CELLS))
def test_streaming(name: str) -> None:
    check_streaming(program_of(name))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


Weights = Mapping[str, Any]
Step = Callable[[Weights, Any, dict[str, Any]], Any]
"""(weights by name, one input, memory that the step changes) → one output."""


def gate(w: Weights, name: str, x: Any, h: Any) -> Any:
    return w[f"{name}.W"] @ x + w[f"{name}.U"] @ h + w[f"{name}.b"]


def dense(w: Weights, name: str, x: Any) -> Any:
    return w[f"{name}.W"] @ x + w[f"{name}.b"]


def peephole(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h, c = s.get("h", w["h0"]), s.get("c", w["c0"])
    i = sigmoid(gate(w, "i", x, h) + w["wi"] * c)
    f = sigmoid(gate(w, "f", x, h) + w["wf"] * c)
    s["c"] = f * c + i * np.tanh(gate(w, "g", x, h))
    s["h"] = sigmoid(gate(w, "o", x, h) + w["wo"] * s["c"]) * np.tanh(s["c"])
    return s["h"]


def coupled(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h, c = s.get("h", w["h0"]), s.get("c", w["c0"])
    f = sigmoid(gate(w, "f", x, h))
    s["c"] = f * c + (1 - f) * np.tanh(gate(w, "g", x, h))
    s["h"] = sigmoid(gate(w, "o", x, h)) * np.tanh(s["c"])
    return s["h"]


def zoneout(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h: Any = s.get("h", w["h0"])
    c: Any = s.get("c", w["c0"])
    i, f, o = (sigmoid(gate(w, name, x, h)) for name in "ifo")
    full = f * c + i * np.tanh(gate(w, "g", x, h))
    s["c"] = 0.5 * c + 0.5 * full
    s["h"] = 0.3 * h + 0.7 * o * np.tanh(full)
    return s["h"]


def normalised(w: Weights, name: str, v: Any) -> Any:
    return w[f"{name}.gain"] * (v - v.mean()) / np.sqrt(v.var() + 1e-5) + w[f"{name}.bias"]


def layer_norm(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h, c = s.get("h", w["h0"]), s.get("c", w["c0"])
    i, f, o, g = np.split(normalised(w, "seen", w["W"] @ x) + normalised(w, "past", w["U"] @ h), 4)
    s["c"] = sigmoid(f + w["bf"]) * c + sigmoid(i + w["bi"]) * np.tanh(g + w["bg"])
    s["h"] = sigmoid(o + w["bo"]) * np.tanh(normalised(w, "read", s["c"]))
    return s["h"]


def mgu(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h = s.get("h", w["h0"])
    f = sigmoid(gate(w, "f", x, h))
    s["h"] = (1 - f) * h + f * np.tanh(gate(w, "g", x, f * h))
    return s["h"]


def independent(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    s["h"] = np.maximum(dense(w, "g", x) + w["u"] * s.get("h", w["h0"]), 0)
    return s["h"]


def simple(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    c = s.get("c", w["c0"])
    f = sigmoid(dense(w, "f", x) + w["vf"] * c)
    r = sigmoid(dense(w, "r", x) + w["vr"] * c)
    s["c"] = f * c + (1 - f) * (w["W"] @ x)
    return r * s["c"] + (1 - r) * x * 1.7320508


def min_gru(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    z = sigmoid(dense(w, "z", x))
    s["h"] = (1 - z) * s.get("h", w["h0"]) + z * dense(w, "g", x)
    return s["h"]


def min_lstm(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    f, i = sigmoid(dense(w, "f", x)), sigmoid(dense(w, "i", x))
    s["h"] = (f * s.get("h", w["h0"]) + i * dense(w, "g", x)) / (f + i)
    return s["h"]


def exponential(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    """The sLSTM as the paper first writes it, without a scale."""
    h, c, n = s.get("h", w["h0"]), s.get("c", 0.0), s.get("n", 0.0)
    i, f = np.exp(gate(w, "i", x, h)), sigmoid(gate(w, "f", x, h))
    s["c"] = f * c + i * np.tanh(gate(w, "g", x, h))
    s["n"] = f * n + i
    s["h"] = sigmoid(gate(w, "o", x, h)) * s["c"] / s["n"]
    return s["h"]


def liquid(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h = s.get("h", w["h0"])
    f = sigmoid(gate(w, "f", x, h))
    s["h"] = (h + 0.1 * f * w["A"]) / (1 + 0.1 * (np.exp(-w["logtau"]) + f))
    return s["h"]


def legendre_memory(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    h, m = s.get("h", w["h0"]), s.get("m", np.zeros(4))
    u = (w["ex"] @ x + w["eh"] @ h + w["em"] @ m)[0]
    s["m"] = w["A"] @ m + w["B"] * u
    s["h"] = np.tanh(w["W"] @ x + w["U"] @ h + w["V"] @ s["m"])
    return s["h"]


def window(w: Weights, x: Any, s: dict[str, Any]) -> Any:
    s["line"] = [x, *s.get("line", [np.zeros(2)] * 2)][:3]
    return np.tanh(w["W"] @ np.concatenate(s["line"]) + w["b"])


FORMULAS: Mapping[str, Step] = {
    "PeepholeLSTM": peephole,
    "CoupledLSTM": coupled,
    "ZoneoutLSTM": zoneout,
    "LayerNormLSTM": layer_norm,
    "MGU": mgu,
    "IndRNN": independent,
    "SRU": simple,
    "minGRU": min_gru,
    "minLSTM": min_lstm,
    "sLSTM": exponential,
    "LTC": liquid,
    "LMU": legendre_memory,
    "Conv": window,
}


def inferred(program: Program, leaves: dict[Any, Any]) -> Any:
    """The output of a model from fresh rows."""
    leaves = {key: np.ones(ROWS, bool) if key[0] == "fresh" else each for key, each in leaves.items()}
    return evaluate(flow_for(program, "infer"), leaves, T=STEPS, B=ROWS, seed=1, call=0)["output.y"]


@pytest.mark.parametrize("name", list(FORMULAS))
def test_a_cell_follows_its_formula(name: str) -> None:
    program = program_of(name)
    leaves = leaves_for(program, 3, STEPS, ROWS)
    prefix = f"y.{name.lower()}."
    weights = {key[1].removeprefix(prefix): each for key, each in leaves.items() if key[0] == "param"}
    found = inferred(program, leaves)
    for row in range(ROWS):
        memory: dict[str, Any] = {}
        for step in range(STEPS):
            expected = FORMULAS[name](weights, leaves["input", "x"][step, row], memory)
            np.testing.assert_allclose(found[step, row], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["sLSTM", "minLSTM"])
@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_large_gates_stay_finite(name: str, size: float) -> None:
    program = program_of(name)
    leaves = leaves_for(program, 3, STEPS, ROWS)
    for layer in ("i", "f"):
        leaves["param", f"y.{name.lower()}.{layer}.b"] = np.full(3, size)
    assert np.all(np.isfinite(inferred(program, leaves)))


LOSSES = """
use std.cells: Dense
use std.losses: dc, esr, smooth_cross_entropy
model M {
  input  x: real[2]
  target k: index(3)
  target t: real
  layer  net = Dense(3)
  z = net(x)
  y = z[0]
  output z
  loss = %s
}
"""


def smoothed(z: Any, k: Any, t: Any) -> Any:
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    label = 0.9 * np.eye(3)[k] + 0.1 / 3
    return -(label * logs).sum(-1).mean()


def error_to_signal(z: Any, k: Any, t: Any) -> Any:
    return np.mean((t - z[..., 0]) ** 2) / (np.mean(t**2) + 1e-3)


def offset(z: Any, k: Any, t: Any) -> Any:
    return np.mean((t - z[..., 0]).mean(0) ** 2) / (np.mean(t**2) + 1e-3)


@pytest.mark.parametrize(
    ("use", "formula"),
    [
        ("mean(smooth_cross_entropy(z, k, 0.1) over time, batch)", smoothed),
        ("esr(y, t, 1e-3)", error_to_signal),
        ("dc(y, t, 1e-3)", offset),
    ],
)
def test_a_loss_follows_its_formula(use: str, formula: Callable[[Any, Any, Any], Any]) -> None:
    program = lower_text(LOSSES % use)
    leaves = leaves_for(program, 4, STEPS, ROWS)
    z = evaluate(flow_for(program, "infer"), leaves, T=STEPS, B=ROWS)["output.z"]
    loss = evaluate(flow_for(program, "evaluate"), leaves, T=STEPS, B=ROWS)["loss"]
    expected = formula(z, leaves["input", "k"], leaves["input", "t"])
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    assert check_gradients(program, seed=4, elements=1, steps=3) > 0


SCHEDULED = """
use std.optim: SGD
use std.schedules: %s
model M {
  input x: real[2]
  param a: real[2] = ones
  loss = mean(sum(a * x) over time, batch)
}
train M { update = SGD(lr = %s) }
"""

SCHEDULES: Mapping[str, tuple[str, Callable[[int], float]]] = {
    "warm_cosine(step, 0.4, 2, 6)": (
        "warm_cosine",
        lambda t: 0.2 * (t + 1) if t < 2 else 0.2 * (1 + np.cos(np.pi * min((t - 2) / 4, 1))),
    ),
    "falling(step, 0.4, 5)": ("falling", lambda t: 0.4 * max(1 - t / 5, 0)),
    "stairs(step, 0.4, 0.5, 3)": ("stairs", lambda t: 0.4 * 0.5 ** (t // 3)),
    "inverse_root(step, 0.4, 3)": (
        "inverse_root",
        lambda t: 0.4 * min((t + 1) / 3, np.sqrt(3 / (t + 1))),
    ),
}


@pytest.mark.parametrize("use", list(SCHEDULES))
def test_a_schedule_follows_its_formula(use: str) -> None:
    name, formula = SCHEDULES[use]
    program = lower_text(SCHEDULED % (name, use))
    rules = apply_flow(program)
    hypers = {("hyper", each.name): each.value for each in program.hypers}
    start = {("input", name): each for name, each in evaluate(initial_optimizer(program), hypers).items()}
    for update in range(8):
        given = {("input", "w.a"): np.zeros(2), ("input", "g.a"): np.ones(2), ("step", ""): update}
        after = evaluate(rules, {**hypers, **start, **given})
        np.testing.assert_allclose(after["w.a"], -formula(update) * np.ones(2), rtol=1e-12, atol=1e-15)
