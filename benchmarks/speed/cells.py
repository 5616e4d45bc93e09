"""The cells of the grid once more, over any array library: the reference in numpy, and what PyTorch and JAX run.

A cell is `stack` (our parameters to few matrices), `ahead` (what needs no state, for all steps at once) and `step`. Products
with the input are taken out of the loop and gates are one product, which is the best form known for every peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Functions:
    """What a cell needs of an array library; `split(x, n)` cuts the last axis."""

    sigmoid: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    relu: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    split: Callable[[Any, int], Any]
    mean: Callable[[Any], Any]


NUMPY = Functions(
    lambda x: 1 / (1 + np.exp(-x)),
    np.tanh,
    lambda x: np.maximum(x, 0),
    np.sqrt,
    lambda x, n: np.split(x, n, -1),
    lambda x: x.mean(-1, keepdims=True),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """`gates`: names of the layers whose W, U, b are stacked; `own`: parameters taken as they are; `cells`: states beside h."""

    gates: tuple[str, ...]
    own: tuple[str, ...]
    states: tuple[str, ...]
    step: Callable[[Functions, Arrays, Any, tuple[Any, ...]], tuple[Any, ...]]
    ahead: Callable[[Functions, Arrays, Any], Any] | None = None

    def stack(self, weights: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
        """Our parameters of one layer as W [D, G H], U [H, G H], b and what the cell has of its own."""
        found: dict[str, np.ndarray] = {}
        for name in ("W", "U", "b"):
            parts = [weights.get(f"{prefix}.{gate}.{name}") for gate in self.gates]
            if parts and all(each is not None for each in parts):
                whole = np.concatenate([each for each in parts if each is not None])
                found[name] = np.ascontiguousarray(whole.T)
        for name in self.own:
            value = weights[f"{prefix}.{name}"]
            found[name.replace(".", "_")] = np.ascontiguousarray(value.T if value.ndim == 2 else value)
        for state in self.states:
            found[f"{state}0"] = weights[f"{prefix}.{state}0"]
        return found


def _lstm(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    i, k, g, o = f.split(x + s[0] @ p["U"], 4)
    c = f.sigmoid(k) * s[1] + f.sigmoid(i) * f.tanh(g)
    return f.sigmoid(o) * f.tanh(c), c


def _gru_ahead(f: Functions, p: Arrays, x: Any) -> Any:
    return x @ p["W"] + p["b"], x @ p["own_W"] + p["own_b"]


def _gru(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    r, u = f.split(f.sigmoid(x[0] + s[0] @ p["U"]), 2)
    n = f.tanh(x[1] + r * (s[0] @ p["own_U"] + p["bU"]))
    return ((1 - u) * n + u * s[0],)


def _peephole(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    i, k, g, o = f.split(x + s[0] @ p["U"], 4)
    c = f.sigmoid(k + p["wf"] * s[1]) * s[1] + f.sigmoid(i + p["wi"] * s[1]) * f.tanh(g)
    return f.sigmoid(o + p["wo"] * c) * f.tanh(c), c


def _mgu_ahead(f: Functions, p: Arrays, x: Any) -> Any:
    return tuple(f.split(x @ p["W"] + p["b"], 2))


def _mgu(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    first, second = f.split(p["U"], 2)
    u = f.sigmoid(x[0] + s[0] @ first)
    return ((1 - u) * s[0] + u * f.tanh(x[1] + (u * s[0]) @ second),)


def _normal(f: Functions, x: Any, gain: Any, bias: Any) -> Any:
    c = x - f.mean(x)
    return gain * c / f.sqrt(f.mean(c * c) + 1e-5) + bias


def _layer_ahead(f: Functions, p: Arrays, x: Any) -> Any:
    return _normal(f, x @ p["W"], p["seen_gain"], p["seen_bias"])


def _layer(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    z = x + _normal(f, s[0] @ p["U"], p["past_gain"], p["past_bias"])
    i, k, o, g = f.split(z, 4)
    c = f.sigmoid(k + p["bf"]) * s[1] + f.sigmoid(i + p["bi"]) * f.tanh(g + p["bg"])
    return f.sigmoid(o + p["bo"]) * f.tanh(_normal(f, c, p["read_gain"], p["read_bias"])), c


def _indrnn(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    return (f.relu(x + p["u"] * s[0]),)


def _leaky(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    return (s[0] + f.sigmoid(p["rate"]) * (f.tanh(x + s[0] @ p["U"]) - s[0]),)


CELLS = {
    "LSTM": Cell(("i", "f", "g", "o"), (), ("h", "c"), _lstm),
    "GRU": Cell(("r", "z"), ("W", "U", "b", "bU"), ("h",), _gru, _gru_ahead),
    "PeepholeLSTM": Cell(("i", "f", "g", "o"), ("wi", "wf", "wo"), ("h", "c"), _peephole),
    "MGU": Cell(("f", "g"), (), ("h",), _mgu, _mgu_ahead),
    "LayerNormLSTM": Cell(
        (),
        (
            *("W", "U", "bi", "bf", "bo", "bg"),
            *(f"{layer}.{name}" for layer in ("seen", "past", "read") for name in ("gain", "bias")),
        ),
        ("h", "c"),
        _layer,
        _layer_ahead,
    ),
    "IndRNN": Cell(("g",), ("u",), ("h",), _indrnn),
    "Leaky": Cell(("g",), ("rate",), ("h",), _leaky),
}


def stacked(cell: str, weights: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The parameters of one layer as its equations here read them."""
    record = CELLS[cell]
    if cell != "GRU":
        return record.stack(weights, prefix)
    found = record.stack(weights, prefix)
    own = {f"own_{name}": found[name] for name in ("W", "U", "b")}
    gates = Cell(record.gates, (), (), record.step).stack(weights, prefix)
    return {**found, **gates, **own}


def ahead(f: Functions, cell: str, p: Arrays, x: Any) -> Any:
    """What the loop reads at each step, for all steps at once."""
    record = CELLS[cell]
    return x @ p["W"] + p["b"] if record.ahead is None else record.ahead(f, p, x)


def reference(cell: str, weights: Mapping[str, np.ndarray], prefix: str, x: np.ndarray) -> np.ndarray:
    """All hidden states [T, B, H] in float64."""
    p = {name: value.astype(np.float64) for name, value in stacked(cell, weights, prefix).items()}
    record = CELLS[cell]
    given = ahead(NUMPY, cell, p, x.astype(np.float64))
    state = tuple(np.tile(p[f"{name}0"], (x.shape[1], 1)) for name in record.states)
    found = []
    for t in range(len(x)):
        now = tuple(each[t] for each in given) if isinstance(given, tuple) else given[t]
        state = record.step(NUMPY, p, now, state)
        found.append(state[0])
    return np.stack(found)
