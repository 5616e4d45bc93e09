"""No golden file is left out."""

from __future__ import annotations

from collections.abc import Callable

from tests.theano import test_language, test_pendulum, test_sequences, test_steps, test_updates
from tests.theano.golden import FOLDER, Golden

ELSEWHERE = {
    "step_embedding",
    "bptt_lstm_batch.f32",
    "optim_adadelta_default.f32",
    "masked_loss",
    "masked_loss.f32",
    "initial_values",
    "dropout_draws",
}
"""Files that tests of their own replay."""


def test_every_file_is_replayed(original: Callable[[str], Golden]) -> None:
    assert original("step_embedding").meta["floatX"] == "float64"
    replayed = {f"step_{name}" for name in test_steps.CASES} | ELSEWHERE
    replayed |= {*test_sequences.CASES, *test_updates.CASES, *test_language.CASES, *test_pendulum.SIZES}
    assert replayed == {path.name.removesuffix(".npz") for path in FOLDER.glob("*.npz")}
