"""Programs from the language for numeric tests: the examples made small, and a model around each standard cell.

`lower_text` gives the Program of a source; `example` that of a file in `examples/` with its sizes written smaller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqc.flow.types import Axis, Kind
from seqc.lower import lower
from seqc.lower.program import Init, Program
from seqc.source.text import Source
from seqc.syntax.parse import parse

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> Source:
    """A file of the standard library."""
    path = ROOT / "seqc" / name
    return Source(name, path.read_text())


def lower_text(text: str) -> Program:
    """The only model of a source."""
    source = Source("test.seq", text)
    (program,) = lower(parse(source), source, read)
    return program


SMALLER: Mapping[str, Mapping[str, str]] = {
    "adding": {r"Leaky\(128\)": "Leaky(4)"},
    "amp": {r"GRU\(16\)": "GRU(4)"},
    "charlm": {"V = 65, H = 512": "V = 7, H = 4", r"Embedding\(64\)": "Embedding(3)"},
    "pendulum": {r"LSTM\(20": "LSTM(4"},
    "speaker": {"V = 65": "V = 7", r"Embedding\(32\)": "Embedding(3)", r"GRU\(64\)": "GRU(4)"},
    "speech": {
        "K = 48": "K = 5",
        r"real\[80\]": "real[3]",
        r"Dense\(256\)": "Dense(4)",
        r"Block\(128\)": "Block(3)",
    },
    "tagger": {
        "V = 20_000, K = 17": "V = 9, K = 4",
        r"Embedding\(128\)": "Embedding(3)",
        r"GRU\(128\)": "GRU(4)",
    },
}
"""What to write instead of what, as regular expressions, so that each example is small."""

EXAMPLES = tuple(sorted(path.stem for path in (ROOT / "examples").glob("*.seq")))


def example(name: str) -> Program:
    """An example with small sizes."""
    text = (ROOT / "examples" / f"{name}.seq").read_text()
    for pattern, instead in SMALLER.get(name, {}).items():
        text, count = re.subn(pattern, instead, text)
        assert count, f"{name}: nothing fits {pattern}"
    return lower_text(text)


USES = """
use std.cells: Both, Delay, Dense, Dropout, Embedding, Gate, GatedInput, GRU, GRUBefore, HeldDropout, LayerNorm, LSTM
use std.cells: Residual, RNN
use std.losses: absolute, binary_cross_entropy, cross_entropy, huber, squared
"""

MODEL = """
model M {
  hyper p = 0.3
  input  x: real[3]
  input  k: index(5)
  input  start: real[4] once
  target goal: real
  %s
  output y
  loss = mean(%s over time, batch)
}
"""

SQUARED = "(sum(sin(y)) - goal) ^ 2"

CELLS: Mapping[str, str] = {
    "Dense": "y = x |> Dense(2, tanh)",
    "RNN": "y = x |> RNN(4)",
    "LSTM": "y = x |> LSTM(4)",
    "LSTM with other gates": "y = x |> LSTM(4, g.act = identity, f.b = 1, h0 = start, c0 = normal(0.1))",
    "GRU": "y = x |> GRU(4)",
    "GRUBefore": "y = x |> GRUBefore(4)",
    "GatedInput": "layer top = RNN(4)  layer look = GatedInput()  state seen: real[4] = 0  seen = top(look(x, prev seen))  y = seen",
    "Embedding": "y = k |> Embedding(3) |> RNN(4)",
    "Dropout": "y = x |> Dropout(p) |> RNN(4)",
    "HeldDropout": "y = x |> HeldDropout(p) |> RNN(4)",
    "LayerNorm": "y = x |> LayerNorm() |> RNN(4) |> LayerNorm()",
    "Residual": "y = x |> Residual(RNN(3))",
    "Both": "y = x |> Both(LSTM(4))",
    "Delay": "y = x |> Delay(2) |> RNN(4)",
}

FUNCTIONS = (
    "relu", "leaky_relu", "gelu", "silu", "elu", "softsign", "hard_sigmoid", "softmax", "log_softmax",
)  # fmt: skip

LOSSES: Mapping[str, str] = {
    "squared": "squared(sum(y), goal)",
    "absolute": "absolute(sum(y), goal)",
    "huber": "huber(sum(y), goal, 0.5)",
    "binary_cross_entropy": "binary_cross_entropy(sum(y), goal)",
    "norm": "norm(y) * goal",
    "logsumexp": "logsumexp(y) - goal * y[0]",
}


def cell_program(name: str) -> Program:
    """A model around a standard cell."""
    return lower_text(USES + MODEL % (CELLS[name], SQUARED))


def function_program(name: str) -> Program:
    """A model with a function of the language as its activation."""
    return lower_text(USES + MODEL % (f"y = x |> Dense(4, {name})", SQUARED))


def loss_program(name: str) -> Program:
    """A model with a standard loss."""
    return lower_text(USES + MODEL % ("y = x |> RNN(4)", LOSSES[name]))


def started_weights(program: Program, seed: int = 0) -> dict[str, Any]:
    """First values of all parameters, simpler than those of `run`: what an initialiser asks for in size, not in draws."""
    rng = np.random.default_rng(seed)
    return {each.name: drawn(rng, each.init, each.type.dims) for each in program.parameters}


def drawn(rng: np.random.Generator, init: Init, dims: tuple[int, ...]) -> Any:
    """An array for an initialiser."""
    name = init[0]
    if name == "zeros":
        return np.zeros(dims)
    if name == "ones":
        return np.ones(dims)
    if name == "constant":
        return np.full(dims, init[1])
    scale = 0.4 / np.sqrt(dims[-1]) if len(dims) > 1 else 0.4
    return rng.normal(0.0, scale, dims)


def batch_for(program: Program, steps: int, rows: int, seed: int = 0) -> dict[tuple[str, str], Any]:
    """A fixed batch that can be learned by heart."""
    rng = np.random.default_rng(seed)
    leaves: dict[tuple[str, str], Any] = {}
    for each in program.inputs:
        sizes = {Axis.TIME: steps, Axis.BATCH: rows}
        shape = tuple(sizes[axis] for axis in Axis if axis in each.type.axes) + each.type.dims
        if each.length:
            leaves["input", each.name] = np.maximum(1, steps - np.arange(rows))
        elif each.type.kind.is_real:
            leaves["input", each.name] = rng.normal(0.0, 0.5, shape)
        else:
            high = each.type.bound or (3 if each.type.kind is not Kind.BOOL else 2)
            leaves["input", each.name] = rng.integers(0, high, shape)
    return leaves
