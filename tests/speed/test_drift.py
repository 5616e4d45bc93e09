"""Streams do not drift: after a hundred thousand samples, one after the other with a state carried along, single precision is
within a millionth of full scale of the equations in float64. The same check stands in the grid, for all sizes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from speed.peers import OURS, make
from speed.runner import stream_check
from speed.work import Work


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the stream is driven by a program in C")
@pytest.mark.parametrize("kind", ["samples", "block"])
@pytest.mark.parametrize(("cell", "hidden"), [("LSTM", 8), ("LSTM", 32), ("GRU", 16)])
def test_a_hundred_thousand_samples(cell: str, hidden: int, kind: str) -> None:
    work = Work(kind, cell, hidden)
    ours = make(OURS, work, None)
    outcome = ours.outcome()
    assert len(outcome) >= 100_000
    (said,) = stream_check(work, {"weights": ours.weights, "outcome": outcome})
    assert said.startswith("error "), said
