"""One step of every cell, vector and minibatch, against the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqc.run.model import Model
from tests.theano.golden import Golden, Lab, close

Read = Callable[[str], Golden]
CASES = {
    "layer_identity": "identity_layer",
    "layer_tanh": "tanh_layer",
    "layer_sigmoid": "sigmoid_layer",
    "layer_softmax": "softmax_layer",
    "rnn_tanh": "tanh_rnn",
    "rnn_identity": "identity_rnn",
    "gru": "gru",
    "lstm_tanh": "tanh_lstm",
    "lstm_identity": "identity_lstm",
    "lstm_gate_override": "override_lstm",
    "gatedinput": "gated",
}
"""File -> the layer of the model."""


def outputs(model: Model, layer: str, golden: Golden, batch: bool) -> dict[str, Any]:
    """One step from the states of the file: what each output of the model gives."""
    x = golden["X"] if batch else golden["x"]
    rows = x.shape[:-1]
    start = golden.arrays.get("H" if batch else "h")
    state = model.state(rows[0] if batch else None)
    given = {"x": x, "h": np.zeros((*rows, 4)), "k": np.zeros(rows, int), "up": np.zeros((*rows, 3))}
    if layer == "gated":
        given["h"] = start
    elif "lstm" in layer:
        state[f"{layer}.c"], state[f"{layer}.h"] = start[..., :4], start[..., 4:]
    elif start is not None:
        state[f"{layer}.h"] = start
    return dict(model.step(**given, state=state)._asdict())


@pytest.mark.parametrize("batch", [False, True], ids=["vector", "batch"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_one_step(name: str, batch: bool, engine: str, lab: Lab, original: Read) -> None:
    golden, layer = original(f"step_{name}"), CASES[name]
    model = lab.model("steps", engine)
    golden.put(model, layers={"l0": layer})
    found, y = outputs(model, layer, golden, batch), golden["Y" if batch else "y"]
    up = golden.arrays.get("Up" if batch else "up")
    if layer == "gated":
        close(found["gated_gate"], y[..., 0] if batch else y, 1e-9)
        close(found["gated_y"], up, 1e-9)
    elif "lstm" in layer:
        close(np.concatenate([found[f"{layer}_c"], found[f"{layer}_y"]], -1), y, 1e-9)
        close(found[f"{layer}_y"], up, 1e-9)
    else:
        close(found[f"{layer}_y"], y, 1e-9)


def test_embedding(engine: str, lab: Lab, original: Read) -> None:
    golden = original("step_embedding")
    model = lab.model("steps", engine)
    golden.put(model, layers={"l0": "embedding"})
    rows = len(golden["I"])
    given = {"x": np.zeros((1, rows, 3)), "h": np.zeros((1, rows, 4)), "k": golden["I"][None]}
    found = model.gradients(**given, up=golden["up"][None])
    close(float(found.score), golden["cost"], 1e-9)
    close(found.parameters["embedding.table"], golden["grad.0.E"], 1e-9)
    one = {"x": np.zeros(3), "h": np.zeros(4), "k": golden["i"], "up": np.zeros(3)}
    close(model.step(**one, state=model.state()).embedding_y, golden["y"], 1e-9)
