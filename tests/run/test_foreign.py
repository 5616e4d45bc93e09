"""`from_torch` on plain arrays: which rows become which gate. What the gates then compute is compared in `tests/torch`."""

from __future__ import annotations

import numpy as np
import pytest

from seqc import ModelError, from_torch

UNITS, SEEN = 2, 3


def arrays(gates: int) -> dict[str, np.ndarray]:
    """Row r of each array holds r, so that a gate is known by its numbers."""
    rows = np.arange(gates * UNITS, dtype=float)
    return {
        "weight_ih_l0": np.repeat(rows[:, None], SEEN, 1),
        "weight_hh_l0": np.repeat(rows[:, None], UNITS, 1),
        "bias_ih_l0": rows,
        "bias_hh_l0": 100 + rows,
    }


def test_gates_of_an_lstm_come_in_their_order() -> None:
    found = from_torch("LSTM", arrays(4), "y.lstm")
    for number, gate in enumerate("ifgo"):
        first = number * UNITS
        assert found[f"y.lstm.{gate}.W"].shape == (UNITS, SEEN)
        assert found[f"y.lstm.{gate}.U"][0, 0] == first
        np.testing.assert_array_equal(found[f"y.lstm.{gate}.b"], [100 + 2 * first, 102 + 2 * first])
    assert len(found) == 12


def test_the_candidate_of_a_gru_keeps_both_biases() -> None:
    found = from_torch("GRU", arrays(3), "h")
    np.testing.assert_array_equal(found["h.b"], [4, 5])
    np.testing.assert_array_equal(found["h.bU"], [104, 105])
    np.testing.assert_array_equal(found["h.z.b"], [104, 106])


def test_a_module_without_biases_has_zeros() -> None:
    plain = {name: each for name, each in arrays(1).items() if name.startswith("weight")}
    np.testing.assert_array_equal(from_torch("RNN", plain, "h")["h.g.b"], [0, 0])


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("Linear", arrays(1), "expected one of LSTM, GRU, RNN, found 'Linear'"),
        ("LSTM", {}, "no array `weight_ih_l0`"),
        ("LSTM", arrays(3), "are not 4 gate"),
        ("RNN", arrays(4), "are not 1 gate"),  # an LSTM's rows divide by anything
        ("LSTM", arrays(4) | {"weight_hr_l0": np.zeros((1, 2))}, "are not 4 gate"),
        ("LSTM", np.zeros(3), "expected what `state_dict\\(\\)` gives, arrays by name, found a ndarray"),
        ("RNN", {"net.weight_ih_l0": 0}, "but `net.weight_ih_l0`; .*`module.net.state_dict"),
        ("RNN", arrays(1) | {"bias_hh_l0": np.zeros(5)}, "`bias_hh_l0`: expected 2 numbers"),
    ],
)
def test_mistakes(kind: str, given: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        from_torch(kind, given, "h")
