"""Cells of the library against PyTorch's from the same weights: outputs, and gradients of all weights and inputs.

Skipped where torch is not installed. In float64, to 1e-9, through the interpreter; some through compiled code as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.run.fault import ModelError
from seqc.run.foreign import from_torch
from tests.torch.peer import ROWS, SEEN, STEPS, close, noise, open_model, set_weights

torch = pytest.importorskip("torch")

MODEL = """
use std.cells: %s
model M {
  input  x: real[4]
  input  pull: real[%d]
  y = %s
  output y
  loss = mean(sum(y * pull) over time, batch)
}
"""

HIDDEN = 6


@dataclass(frozen=True, slots=True)
class Case:
    """What we write and what PyTorch is told; `paths` says which (layer, reverse) of the module lies where in ours."""

    kind: str
    uses: str
    text: str
    options: Mapping[str, Any]
    paths: Mapping[str, tuple[int, bool]]


CASES: Mapping[str, Case] = {
    "RNN": Case("RNN", "RNN", "x |> RNN(6)", {}, {"y.rnn": (0, False)}),
    "RNN with relu": Case("RNN", "RNN", "x |> RNN(6, relu)", {"nonlinearity": "relu"}, {"y.rnn": (0, False)}),
    "LSTM": Case("LSTM", "LSTM", "x |> LSTM(6)", {}, {"y.lstm": (0, False)}),
    "LSTM without bias": Case("LSTM", "LSTM", "x |> LSTM(6)", {"bias": False}, {"y.lstm": (0, False)}),
    "LSTM of 3 layers": Case(
        "LSTM",
        "LSTM",
        "x |> LSTM(6) |> LSTM(6) |> LSTM(6)",
        {"num_layers": 3},
        {f"y.lstm{number + 1}": (number, False) for number in range(3)},
    ),
    "LSTM of 3 layers, stacked": Case(
        "LSTM",
        "LSTM, Stack",
        "x |> Stack(LSTM(6), 3)",
        {"num_layers": 3},
        {f"y.stack{'.y.stack' * number}.first": (number, False) for number in range(3)},
    ),
    "LSTM of 2 layers, both ways": Case(
        "LSTM",
        "Both, LSTM",
        "x |> Both(LSTM(6)) |> Both(LSTM(6))",
        {"num_layers": 2, "bidirectional": True},
        {
            f"y.both{number + 1}.{side}": (number, side == "back")
            for number in range(2)
            for side in ("ahead", "back")
        },
    ),
    "LSTM with projection": Case(
        "LSTM",
        "ProjectedLSTM",
        "x |> ProjectedLSTM(6, 3)",
        {"proj_size": 3},
        {"y.projectedlstm": (0, False)},
    ),
    "LSTM of 2 layers with projection": Case(
        "LSTM",
        "ProjectedLSTM",
        "x |> ProjectedLSTM(6, 3) |> ProjectedLSTM(6, 3)",
        {"proj_size": 3, "num_layers": 2},
        {"y.projectedlstm1": (0, False), "y.projectedlstm2": (1, False)},
    ),
    "GRU": Case("GRU", "GRU", "x |> GRU(6)", {}, {"y.gru": (0, False)}),
    "GRU of 2 layers": Case(
        "GRU", "GRU", "x |> GRU(6) |> GRU(6)", {"num_layers": 2}, {"y.gru1": (0, False), "y.gru2": (1, False)}
    ),
    "GRU both ways": Case(
        "GRU",
        "Both, GRU",
        "x |> Both(GRU(6))",
        {"bidirectional": True},
        {"y.both.ahead": (0, False), "y.both.back": (0, True)},
    ),
}


def width(case: Case) -> int:
    return int(case.options.get("proj_size", HIDDEN)) * (2 if case.options.get("bidirectional") else 1)


def weights_of(case: Case, module: Any) -> dict[str, Any]:
    """The module's weights under our names."""
    found: dict[str, Any] = {}
    for path, (layer, reverse) in case.paths.items():
        found |= from_torch(case.kind, module.state_dict(), path, layer, reverse)
    return found


def gradients_of(case: Case, module: Any) -> dict[str, Any]:
    """The same for its gradients. Each of two biases has the gradient of their sum, so one of them is enough."""
    arrays = {name: each.grad for name, each in module.named_parameters()}
    if case.kind != "GRU":
        arrays = {name: each for name, each in arrays.items() if not name.startswith("bias_hh")}
    found: dict[str, Any] = {}
    for path, (layer, reverse) in case.paths.items():
        found |= from_torch(case.kind, arrays, path, layer, reverse)
    if case.kind == "GRU":  # here both were added, so a gate's is twice what it is
        found |= {name: each / 2 for name, each in found.items() if name.endswith((".r.b", ".z.b"))}
    return found


def compare(name: str, folder: Path, engine: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    module = getattr(torch.nn, case.kind)(SEEN, HIDDEN, dtype=torch.float64, **case.options)
    model = open_model(MODEL % (case.uses, width(case), case.text), folder, engine)
    set_weights(model, weights_of(case, module))
    x, pull = noise(STEPS, ROWS, SEEN), noise(STEPS, ROWS, width(case), seed=1)
    given = torch.tensor(x, requires_grad=True)
    expected, _ = module(given)
    close(model.infer(x=x, pull=pull), expected, "outputs")
    loss = (expected * torch.tensor(pull)).sum() / (STEPS * ROWS)
    loss.backward()
    found = model.gradients(x=x, pull=pull)
    close(float(found.score), loss, "loss")
    close(found.inputs["x"], given.grad, "gradient of x")
    for each, array in gradients_of(case, module).items():
        if case.options.get("bias", True) or not each.endswith(".b"):
            close(found.parameters[each], array, f"gradient of {each}")


@pytest.mark.parametrize("name", list(CASES))
def test_recurrent_cells(name: str, tmp_path: Path) -> None:
    compare(name, tmp_path, "evaluator")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "LSTM of 2 layers, both ways"])
def test_recurrent_cells_compiled(name: str, tmp_path: Path) -> None:
    pytest.importorskip("seqc.run._host")
    compare(name, tmp_path, "library")


def test_embedding(tmp_path: Path) -> None:
    text = MODEL.replace("x: real[4]", "x: index(7)") % ("Embedding", 3, "x |> Embedding(3)")
    model = open_model(text, tmp_path)
    module = torch.nn.Embedding(7, 3, dtype=torch.float64)
    set_weights(model, {"y.embedding.table": module.weight.detach()})
    x, pull = np.random.default_rng(0).integers(0, 7, (STEPS, ROWS)), noise(STEPS, ROWS, 3)
    expected = module(torch.tensor(x))
    close(model.infer(x=x, pull=pull), expected)
    ((expected * torch.tensor(pull)).sum() / (STEPS * ROWS)).backward()
    close(model.gradients(x=x, pull=pull).parameters["y.embedding.table"], module.weight.grad)


PLAIN: Mapping[str, tuple[str, Callable[[], Any], Mapping[str, str]]] = {
    "Dense": (
        "Dense(4)",
        lambda: torch.nn.Linear(4, 4, dtype=torch.float64),
        {"y.dense.W": "weight", "y.dense.b": "bias"},
    ),
    "LayerNorm": (
        "LayerNorm()",
        lambda: torch.nn.LayerNorm(4, dtype=torch.float64),
        {"y.layernorm.gain": "weight", "y.layernorm.bias": "bias"},
    ),
    "RMSNorm": (
        "RMSNorm()",
        lambda: torch.nn.RMSNorm(4, eps=1e-5, dtype=torch.float64),
        {"y.rmsnorm.gain": "weight"},
    ),
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_layers_without_memory(name: str, tmp_path: Path) -> None:
    use, make, names = PLAIN[name]
    torch.manual_seed(0)
    module = make()
    with torch.no_grad():
        for each in module.parameters():
            each.normal_()
    model = open_model(MODEL % (name, 4, f"x |> {use}"), tmp_path)
    theirs = dict(module.named_parameters())
    set_weights(model, {ours: theirs[each].detach() for ours, each in names.items()})
    x, pull = noise(STEPS, ROWS, SEEN), noise(STEPS, ROWS, SEEN, seed=1)
    given = torch.tensor(x, requires_grad=True)
    expected = module(given)
    close(model.infer(x=x, pull=pull), expected)
    ((expected * torch.tensor(pull)).sum() / (STEPS * ROWS)).backward()
    found = model.gradients(x=x, pull=pull)
    close(found.inputs["x"], given.grad)
    for ours, each in names.items():
        close(found.parameters[ours], theirs[each].grad, ours)


def test_weights_that_do_not_fit_are_named() -> None:
    module = torch.nn.LSTM(2, 3)
    with pytest.raises(ModelError, match="expected one of LSTM, GRU, RNN"):
        from_torch("Transformer", module.state_dict(), "y")
    with pytest.raises(ModelError, match="no array `weight_ih_l1`"):
        from_torch("LSTM", module.state_dict(), "y", layer=1)
    with pytest.raises(ModelError, match="not 3 gate"):
        from_torch("GRU", torch.nn.RNN(2, 4).state_dict(), "y")
