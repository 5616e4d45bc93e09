"""The tutorial's language model: masked loss, AdaDelta, and greedy decoding until a word is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.theano.golden import PRECISION, Golden, Lab, close, close_all

Read = Callable[[str], Golden]
CASES = {
    "language_rnn_identity": ("language_rnn", "f64"),
    "language_rnn_identity.f32": ("language_rnn", "f32"),
    "language_lstm_identity": ("language_lstm", "f64"),
}
"""File -> text of the model and precision."""


def given(golden: Golden, rows: Any = None) -> dict[str, Any]:
    """The next word of each word, within each sentence; all sentences or some."""
    chosen = slice(None) if rows is None else rows
    words = golden["words"].T[:, chosen]
    lengths = golden["lengths"][chosen] - 1
    return {"words": words[:-1], "labels": words[1:], "lengths": lengths, "starts": np.zeros_like(lengths)}


@pytest.mark.parametrize("name", sorted(CASES))
def test_learns_as_the_original(name: str, engine: str, lab: Lab, original: Read) -> None:
    golden, (text, real) = original(name), CASES[name]
    model, bound = lab.model(text, engine, real), PRECISION[real]
    golden.put(model)
    call = given(golden)
    # the original's gradient divides by p + 1e-9, which training keeps
    near = max(bound, 1e-6)
    probs = model.infer(words=call["words"]).probs
    close(probs.swapaxes(0, 1), golden["probs"], bound, "probs")
    for row, loss in enumerate(golden["loss"]):
        close(float(model.evaluate(**given(golden, [row]))), loss, bound, f"loss of sentence {row}")
    found = model.gradients(**call)
    close(float(found.score), golden["cost"], bound, "cost")
    close_all(found.parameters, golden.under("grad"), near, "gradient")
    for number, cost in enumerate(golden["costs"]):
        close(float(model.update(**call)), cost, near, f"cost {number}")
    close_all(model.params, golden.under("final"), near, "weights")
    for sums in ("gsum", "xsum"):
        wanted = {f"{name}.{sums}": array for name, array in golden.under(sums).items()}
        close_all(model.optimizer, wanted, near, "accumulator")


@pytest.mark.parametrize("name", sorted(CASES))
def test_speaks_as_the_original(name: str, engine: str, lab: Lab, original: Read) -> None:
    golden, (text, real) = original(name), CASES[name]
    model = lab.model(text, engine, real)
    golden.put(model, "greedy_param")
    most = golden.meta["greedy_max"]
    for first, stop, wanted in zip(
        golden["greedy_first"], golden["greedy_stop"], golden["greedy"], strict=True
    ):
        model.hyper["stop_on"] = int(stop)
        found = model.generate(words=[first], steps=most)
        said = np.full(most, -1)
        said[: found.lengths] = found.said[: found.lengths]
        assert said.tolist() == wanted.tolist()


def test_speaks_in_a_minibatch(engine: str, lab: Lab, original: Read) -> None:
    """All first words at once that share a stop word: each row ends where it ends alone."""
    golden = original("language_rnn_identity")
    model = lab.model("language_rnn", engine)
    golden.put(model, "greedy_param")
    rows = np.flatnonzero(golden["greedy_stop"] == 3)
    model.hyper["stop_on"] = 3
    found = model.generate(words=golden["greedy_first"][None, rows], steps=golden.meta["greedy_max"])
    for row, (length, wanted) in enumerate(zip(found.lengths, golden["greedy"][rows], strict=True)):
        assert found.said[:length, row].tolist() == wanted[wanted >= 0].tolist()


def test_draws_words(engine: str, lab: Lab) -> None:
    """At temperature 1 words come as often as the output says, and each row ends with the stop word."""
    model, rows = lab.model("language_rnn", engine), 4000
    model.hyper["temperature"], model.hyper["stop_on"] = 1.0, 2
    random = np.random.default_rng(1)
    for name, array in model.params.items():
        model.params[name] = random.normal(0.0, 0.7, array.shape)
    first = model.generate(words=np.full((1, rows), 3), steps=1, seed=5)
    shares = np.bincount(first.said[0], minlength=7) / rows
    assert np.abs(shares - first.probs[0, 0]).max() < 0.03
    found = model.generate(words=np.full((1, 20), 3), steps=40, seed=6)
    for row, length in enumerate(found.lengths):
        ends = np.flatnonzero(found.said[:length, row] == 2)
        assert ends.tolist() == [length - 1] or (length == 40 and not ends.size)
