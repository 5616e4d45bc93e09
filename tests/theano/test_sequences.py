"""Whole sequences and their gradients, against the original: stacks, clipping inside, given masks, gates in the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.theano.golden import PRECISION, Golden, Lab, close, close_all

Read = Callable[[str], Golden]
CASES = {
    "bptt_rnn_vector": "rnn",
    "bptt_rnn_batch": "rnn",
    "bptt_clip_rnn": "rnn",
    "bptt_lstm_vector": "lstm",
    "bptt_lstm_batch": "lstm",
    "bptt_clip_lstm": "lstm",
    "bptt_gru_batch": "gru",
    "bptt_dropout_vector": "masks",
    "bptt_dropout_batch": "masks",
    "bptt_dropout_first_none": "masks",
    "bptt_dropout_deterministic": "masks",
    "bptt_gated": "gated",
}
"""File -> text of the model."""


def masks(golden: Golden) -> dict[str, Any]:
    """The masks of a file, by our inputs: a number or nothing becomes an array of it."""
    widths, rows = (3, 4, 4), golden["x"].shape[1:-1]
    found = {}
    for number, width in enumerate(widths):
        mask = golden.arrays.get(f"mask.{number}", np.float64(1.0))
        found[f"m{number}"] = np.broadcast_to(mask, (*rows, width)).copy()
    return found


def expected(golden: Golden) -> dict[str, Any]:
    """What each layer gave, by the outputs of our texts: states of an LSTM apart."""
    layers = golden.meta["layers"]
    found: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        out, width = golden[f"out.{number}"], layer["hidden"]
        single = len(layers) == 2 or layers[0]["kind"] == "GatedInput"
        name = "" if single else str(number)
        if layer["kind"] == "LSTM":
            found |= {f"c{name}": out[..., :width], f"h{name}": out[..., width:]}
        elif layer["kind"] == "GatedInput":
            found["gate"] = out[..., 0]
        else:
            found["y" if number == len(layers) - 1 else f"h{name}"] = out
    return found


def replay(name: str, real: str, engine: str, lab: Lab, golden: Golden) -> None:
    text = CASES[name]
    model = lab.model(text, engine, real)
    golden.put(model)
    bound = PRECISION[real]
    if "_clip_" in name:
        first, last = (golden.meta["layers"][index]["clip"] for index in (0, -1))
        model.hyper["low"], model.hyper["top"] = first, last
    given = {"x": golden["x"], "goal": golden["target"]}
    if text == "masks":
        given |= masks(golden)
    outputs = model.infer(**given)._asdict()
    close_all(outputs, expected(golden), bound, "output")
    found = model.gradients(**given)
    close(float(found.score), golden["cost"], bound, "cost")
    close(float(model.evaluate(**given)), golden["cost"], bound, "cost without gradients")
    close_all(found.parameters, golden.under("grad"), bound, "gradient")
    close(found.inputs["x"], golden["grad.x"], bound, "gradient of x")
    if "grad.target" in golden:
        close(found.inputs["goal"], golden["grad.target"], bound, "gradient of the target")


@pytest.mark.parametrize("name", sorted(CASES))
def test_gradients_through_time(name: str, engine: str, lab: Lab, original: Read) -> None:
    replay(name, "f64", engine, lab, original(name))


def test_in_single_precision(engine: str, lab: Lab, original: Read) -> None:
    replay("bptt_lstm_batch", "f32", engine, lab, original("bptt_lstm_batch.f32"))
