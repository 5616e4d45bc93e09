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
    exp: Callable[[Any], Any]
    softplus: Callable[[Any], Any]
    einsum: Callable[..., Any]


NUMPY = Functions(
    lambda x: 1 / (1 + np.exp(-x)),
    np.tanh,
    lambda x: np.maximum(x, 0),
    np.sqrt,
    lambda x, n: np.split(x, n, -1),
    lambda x: x.mean(-1, keepdims=True),
    np.exp,
    lambda x: np.logaddexp(x, 0),
    np.einsum,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """`gates`: names of the layers whose W, U, b are stacked; `own`: parameters taken as they are; `read`: what a step gives, where it
    is not its first state; `once`: what of the parameters is computed once for all steps."""

    gates: tuple[str, ...]
    own: tuple[str, ...]
    states: tuple[str, ...]
    step: Callable[[Functions, Arrays, Any, tuple[Any, ...]], tuple[Any, ...]]
    ahead: Callable[[Functions, Arrays, Any], Any] | None = None
    read: Callable[[Functions, Arrays, Any, tuple[Any, ...]], Any] | None = None
    once: Callable[[Functions, Arrays], Arrays] | None = None

    def settled(self, f: Functions, p: Arrays) -> Arrays:
        """The parameters, with what no step changes."""
        return p if self.once is None else {**p, **self.once(f, p)}

    def shown(self, f: Functions, p: Arrays, now: Any, state: tuple[Any, ...]) -> Any:
        """What a step gives."""
        return state[0] if self.read is None else self.read(f, p, now, state)

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


def _silu(f: Functions, x: Any) -> Any:
    return x * f.sigmoid(x)


def _delta_ahead(f: Functions, p: Arrays, x: Any) -> Any:
    k = _silu(f, x @ p["Wk"])
    k = k / (f.sqrt(f.einsum("...k,...k->...", k, k))[..., None] + 1e-4)
    return k, _silu(f, x @ p["Wq"]), x @ p["Wv"], f.sigmoid(x @ p["wb"])


def _delta(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    k, _, v, beta = x
    miss = beta[:, None] * (v - f.einsum("bhk,bk->bh", s[0], k))
    return (s[0] + miss[:, :, None] * k[:, None, :],)


def _delta_read(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> Any:
    return f.einsum("bhk,bk->bh", s[0], x[1])


def _heads_ahead(f: Functions, p: Arrays, x: Any) -> Any:
    k, q, v = (f.einsum("hkd,...d->...hk", p[name], x) for name in ("Wk", "Wq", "Wv"))
    k = _silu(f, k)
    k = k / (f.sqrt(f.einsum("...k,...k->...", k, k))[..., None] + 1e-4)
    return k, _silu(f, q), v, f.sigmoid(x @ p["wb"])


def _heads(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    k, _, v, beta = x
    miss = beta[..., None] * (v - f.einsum("bhvk,bhk->bhv", s[0], k))
    return (s[0] + miss[..., :, None] * k[..., None, :],)


def _heads_read(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> Any:
    found = f.einsum("bhvk,bhk->bhv", s[0], x[1])
    return found.reshape(found.shape[0], -1)


def _space_ahead(f: Functions, p: Arrays, x: Any) -> Any:
    u = _silu(f, x @ p["Wu"])
    d = f.softplus(u @ p["Wd"] + p["bd"])
    return d, d * u, u @ p["Wb"], u @ p["Wc"], p["skip"] * u, _silu(f, x @ p["Wg"])


def _space_once(f: Functions, p: Arrays) -> Arrays:
    return {"decay": -f.exp(p["rate"].T)}


def _space(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> tuple[Any, ...]:
    kept = f.exp(x[0][:, :, None] * p["decay"])
    return (kept * s[0] + x[1][:, :, None] * x[2][:, None, :],)


def _space_read(f: Functions, p: Arrays, x: Any, s: tuple[Any, ...]) -> Any:
    return (f.einsum("bhn,bn->bh", s[0], x[3]) + x[4]) * x[5]


SOURCES = {
    "DeltaNet": """
# A memory that unlearns what it held under a key: Schlag, Irie and Schmidhuber 2021.
cell DeltaNet(H)(x: real[D]) -> h: real[H] {
  param Wk, Wq: real[32, D] = glorot
  param Wv:     real[H, D]  = glorot
  param wb:     real[D]     = normal(0.1)
  param S0:     real[H, 32] = zeros
  state S = S0
  raised = silu(Wk @ x)
  k = raised / (norm(raised) + 1e-4)
  S = prev S + sigmoid(sum(wb * x)) * outer(Wv @ x - prev S @ k, k)
  h = S @ silu(Wq @ x)
}
""",
    "DeltaHeads": """
fn written(S: real[V, K], k: real[K], v: real[V], beta: real) = S + beta * outer(v - S @ k, k)
fn unit(raised: real[K]) = raised / (norm(raised) + 1e-4)
fn read(S: real[V, K], q: real[K]) = S @ q

# The same with four heads, as DeltaNet is built into large models: Yang et al. 2024.
cell DeltaHeads(H)(x: real[D]) -> h: real[H] {
  param Wk, Wq: real[4, 16, D]    = normal(0.1)
  param Wv:     real[4, H / 4, D] = normal(0.1)
  param wb:     real[4, D]        = normal(0.1)
  param S0:     real[4, H / 4, 16] = zeros
  state S = S0
  S = written(prev S, unit(silu(Wk @ x)), Wv @ x, sigmoid(wb @ x))
  h = concat(read(S, silu(Wq @ x)))
}
""",
    "SelectiveSSM": """
# A state space whose rates, what it takes in and what it gives depend on the input: Gu and Dao 2023.
cell SelectiveSSM(H)(x: real[D]) -> h: real[H] {
  param Wu, Wg: real[H, D]  = glorot
  param Wd:     real[H, H]  = glorot
  param Wb, Wc: real[16, H] = glorot
  param bd:     real[H]     = -1.0
  param rate:   real[H, 16] = uniform(0.0, 2.0)
  param skip:   real[H]     = ones
  param S0:     real[H, 16] = zeros
  param same:   real[16]    = ones
  state S = S0
  u = silu(Wu @ x)
  d = softplus(Wd @ u + bd)
  S = exp(-outer(d, stop(same)) * exp(rate)) * prev S + outer(d * u, Wb @ u)
  h = (S @ (Wc @ u) + skip * u) * silu(Wg @ x)
}
""",
}
"""Cells that the library does not have, in the language."""

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
    "DeltaNet": Cell((), ("Wk", "Wq", "Wv", "wb"), ("S",), _delta, _delta_ahead, _delta_read),
    "DeltaHeads": Cell((), ("Wk", "Wq", "Wv", "wb"), ("S",), _heads, _heads_ahead, _heads_read),
    "SelectiveSSM": Cell(
        (),
        ("Wu", "Wg", "Wd", "Wb", "Wc", "bd", "rate", "skip"),
        ("S",),
        _space,
        _space_ahead,
        _space_read,
        _space_once,
    ),
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
    p = record.settled(NUMPY, p)
    given = ahead(NUMPY, cell, p, x.astype(np.float64))
    firsts = (p[f"{name}0"] for name in record.states)
    state = tuple(np.broadcast_to(each, (x.shape[1], *each.shape)) for each in firsts)
    found = []
    for t in range(len(x)):
        now = tuple(each[t] for each in given) if isinstance(given, tuple) else given[t]
        state = record.step(NUMPY, p, now, state)
        found.append(record.shown(NUMPY, p, now, state))
    return np.stack(found)
