"""`seqc.load(…, threads=n)`, `model.threads` and `seqc train --threads`: the same results, and sentences for nonsense."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.driver.options import Options
from seqc.driver.train import Wishes, train
from seqc.run.fault import ModelError
from seqc.run.report import Quiet

SOURCE = """
use std.cells: Dense, LSTM
use std.losses: squared
use std.optim: SGD

model Walker {
  input  x: real[24]
  target y: real[8]
  guess = x |> LSTM(64) |> Dense(8)
  output guess
  loss = mean(sum(squared(guess, y)) over time, batch)
}

train Walker { update = SGD(lr = 0.1) }
"""
STEPS, BATCH = 48, 24
"""Enough work for a team of two."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("walker") / "walker.seq"
    file.write_text(SOURCE)
    return file


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    x, y = (random.normal(size=(STEPS, BATCH, width)).astype(np.float32) for width in (24, 8))
    return x, y


def trained(path: Path, threads: int) -> tuple[list[float], bytes]:
    model = seqc.load(path, threads=threads)
    assert model.threads == threads
    losses = [float(model.update(*data())) for _ in range(4)]
    return losses, model.engine.arenas.plain.tobytes()


def test_training_does_not_depend_on_threads(path: Path) -> None:
    assert trained(path, 1) == trained(path, 2) == trained(path, 3)


def test_threads_change_between_calls(path: Path) -> None:
    model = seqc.load(path)
    x, _ = data()
    expected = model.infer(x)
    for threads in (2, 4, 1, 3):
        model.threads = threads
        assert np.array_equal(model.infer(x), expected)


def test_calls_side_by_side_share_one_team(path: Path) -> None:
    """The one that finds the team busy works alone."""
    model = seqc.load(path, threads=2)
    x, _ = data()
    expected = model.infer(x)
    wrong: list[int] = []

    def run(number: int) -> None:
        for _ in range(10):
            if not np.array_equal(model.infer(x), expected):
                wrong.append(number)

    workers = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_works_alone(path: Path) -> None:
    model = seqc.load(path, threads=2)
    x, _ = data()
    expected = model.infer(x)
    child = os.fork()
    if child == 0:
        same = np.array_equal(model.infer(x), expected)
        model.threads = 3
        os._exit(0 if same and np.array_equal(model.infer(x), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("threads", [0, -1, 257, 1.5, True, "2"])
def test_what_is_no_number_of_threads_is_named(path: Path, threads: Any) -> None:
    model = seqc.load(path, engine="evaluator")
    with pytest.raises(ModelError, match="`threads`: expected a whole number from 1 to 256, found"):
        model.threads = threads


def test_the_evaluator_takes_note(path: Path) -> None:
    assert seqc.load(path, engine="evaluator", threads=2).threads == 2


def test_a_run_does_not_depend_on_threads(path: Path, tmp_path: Path) -> None:
    x, y = data()
    np.savez(tmp_path / "data.npz", x=x, y=y)
    ends = []
    for threads in (1, 2):
        wishes = Wishes(epochs=2, batch=BATCH, seed=3, threads=threads)
        folder = tmp_path / str(threads)
        done = train(path, [tmp_path / "data.npz"], folder, Options(), wishes, Quiet(), lambda _: None)
        assert done.model.threads == threads
        ends.append(done.model.engine.arenas.plain.tobytes())
    assert ends[0] == ends[1]
