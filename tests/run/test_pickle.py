"""Pickles and copies of a model: weights, optimizer, hypers and updates go along, in this process and in another; states, too."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError
from tests.run.test_fit import DATA, N
from tests.run.test_lists import SOURCE, X, Y, opened

CELL = 'use "parts/mine.seq": Twice\n' + SOURCE.replace("(x |> GRU(3)", "(x |> Twice() |> GRU(3)")
MINE = "cell Twice()(x: real[D]) -> y: real[D] {\n  y = 2 * x\n}\n"
READ = """
import pickle, sys
model = pickle.loads(open(sys.argv[1], "rb").read())
print(model.name, model.updates, repr(float(model.params["guess.dense.W"][0, 0])))
"""


def with_import(tmp_path: Path) -> Model:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mine.seq").write_text(MINE)
    return opened(tmp_path, CELL)


def test_a_copy_goes_on_alike_and_apart(tmp_path: Path) -> None:
    model = with_import(tmp_path)
    model.fit(X, Y, epochs=1, quiet=True)
    model.hyper["p"] = 0.1
    other = copy.deepcopy(model)
    assert other.hyper["p"] == 0.1 and other.updates == model.updates == 1
    assert other.fit(X, Y, epochs=2, quiet=True).losses == model.fit(X, Y, epochs=2, quiet=True).losses
    other.params["guess.dense.b"][...] = 7
    assert model.params["guess.dense.b"][0] != 7


def test_another_process_reads_a_pickle_without_the_sources(tmp_path: Path) -> None:
    model = with_import(tmp_path)
    model.fit(X, Y, epochs=1, quiet=True)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    (tmp_path / "rows.seq").unlink()
    command = [sys.executable, "-c", READ, str(tmp_path / "model.pickle")]
    root = Path(seqc.__file__).resolve().parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.split() == ["Rows", "1", repr(float(model.params["guess.dense.W"][0, 0]))]


def test_sources_keep_their_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "rows.seq").write_bytes(SOURCE.replace("\n", "\r\n").encode())
    model = seqc.load(tmp_path / "rows.seq", engine="evaluator")
    assert copy.deepcopy(model).manifest["source_hash"] == model.manifest["source_hash"] != ""


def test_compiled_models_too(tmp_path: Path) -> None:
    (tmp_path / "rows.seq").write_text(SOURCE)
    try:
        model = seqc.load(tmp_path / "rows.seq", engine="library")
    except Exception as error:  # no compiler here
        pytest.skip(str(error))
    model.fit(X, Y, epochs=1, quiet=True)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.infer(X[1]), model.infer(X[1]))


def test_states_are_values(toy: Model) -> None:
    """However it is copied, what was copied goes on alike and apart, also once a stepper holds the state's memory."""
    state = toy.state()
    for _ in range(2):
        toy.step([1.0, 2.0], 0.5, 3, state=state)
    others = [copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
    expected = np.array(toy.step([1.0, 2.0], 0.5, 3, state=state))
    for other in others:
        assert other.single and other.started == 2
        np.testing.assert_array_equal(toy.step([1.0, 2.0], 0.5, 3, state=other), expected)


def test_a_model_made_by_hand_says_what_to_do(toy: Model) -> None:
    with pytest.raises(ModelError, match="cannot be pickled; save its weights"):
        pickle.dumps(toy)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_gradients_and_states_of_an_optimizer_are_values(toy: Model, again: Callable[[Any], Any]) -> None:
    found = toy.gradients(**DATA, state=toy.state(N))
    mine, before = again(found), found.parameters["net.W"].copy()
    np.testing.assert_array_equal(mine.parameters["net.W"], before)
    assert mine.score == found.score and mine.states.keys() == found.states.keys()
    mine.parameters["net.W"][...] = 0
    np.testing.assert_array_equal(found.parameters["net.W"], before)
    weights = toy.params["net.W"].copy()
    toy.apply(mine)  # what the optimizer takes is what the copy shows
    np.testing.assert_array_equal(toy.params["net.W"], weights)
    kept, held = again(toy.optimizer), toy.optimizer["net.W.seen"].copy()
    toy.apply(found)
    assert not np.array_equal(toy.optimizer["net.W.seen"], held)
    np.testing.assert_array_equal(kept["net.W.seen"], held)
