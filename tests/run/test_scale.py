"""Scaling by the data: measured in the training part alone, saved with the weights, applied by every form of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError
from tests.run.test_lists import opened

SOURCE = """use std.cells: Dense, GRU, Restore, Standardise
use std.optim: AdamW

model Plant {
  input  u: real[2]
  input  n: length
  target y: real[1]

  layer heat = Standardise()
  layer goal = Standardise()

  z    = u |> heat |> GRU(3) |> Dense(1)
  aim  = goal(y)

  output y_hat = z |> Restore(mean = goal.mean, deviation = goal.deviation)
  loss = mean(sum((z - aim) ^ 2) over time, batch)
}

train Plant { update = AdamW(lr = 0.01) }
"""
RANDOM = np.random.default_rng(7)
U = [RANDOM.normal([300.0, -2.0], [20.0, 0.1], (length, 2)) for length in (5, 9, 4, 7, 3, 8)]
Y = [1e4 + 50 * each[:, :1] for each in U]
SCALE = {"heat": "u", "goal": ["y"]}


@pytest.fixture
def plant(tmp_path: Path) -> Model:
    return opened(tmp_path, SOURCE)


def test_measured_in_the_training_part_alone(plant: Model) -> None:
    plant.fit(U, Y, epochs=1, batch=2, validation=0.34, scale=SCALE, quiet=True)
    train = np.concatenate(U[:4])
    np.testing.assert_allclose(plant.params["heat.mean"], train.mean(0), rtol=1e-6)
    np.testing.assert_allclose(plant.params["heat.deviation"], train.std(0), rtol=1e-6)
    np.testing.assert_allclose(plant.params["goal.mean"], np.concatenate(Y[:4]).mean(0), rtol=1e-6)
    assert "heat.mean.m" not in plant.optimizer and plant.updates == 2


def test_it_learns_and_lives_in_the_weights(plant: Model, tmp_path: Path) -> None:
    history = plant.fit(U, Y, epochs=60, batch=3, scale=SCALE, quiet=True)
    assert history.losses[-1] < 0.5 * history.losses[0] < 2
    guess = plant.infer(U[1].astype(np.float32))
    assert abs(guess.mean() - Y[1].mean()) < 1000
    plant.save(tmp_path / "plant.safetensors")
    other = opened(tmp_path, SOURCE)
    other.load(tmp_path / "plant.safetensors")
    np.testing.assert_array_equal(other.infer(U[1].astype(np.float32)), guess)


def test_a_resumed_run_keeps_its_scale(plant: Model, tmp_path: Path) -> None:
    whole = plant.fit(U, Y, epochs=4, scale=SCALE, quiet=True)
    plant.initialise(0)
    plant.fit(U, Y, epochs=2, scale=SCALE, out=tmp_path / "run", quiet=True)
    plant.initialise(0)
    again = plant.fit(U, Y, epochs=4, scale=SCALE, out=tmp_path / "run", resume=True, quiet=True)
    assert again.records == whole.records


def test_what_never_changes_keeps_its_size(plant: Model) -> None:
    still = [np.full((4, 2), 7.0)] * 3
    plant.fit(still, [np.arange(4.0)[:, None]] * 3, epochs=1, scale=SCALE, quiet=True)
    assert plant.params["heat.deviation"].tolist() == [1, 1] and plant.params["heat.mean"].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        ({"heap": "u"}, "there is no layer that scales `heap`; did you mean `heat`?"),
        ({"heat": "v"}, "there is no input `v`"),
        ({"heat": "y"}, "`scale`: `heat` scales 2 numbers, and `y` has 1"),
        ({"heat": ["u", "y"]}, "`scale`: `heat` scales 2 numbers, and `u` and `y` has 3"),
        ({"heat": "n"}, "`scale`: `n` is not made of real numbers"),
    ],
)
def test_mistakes_are_named(plant: Model, scale: dict, text: str) -> None:
    with pytest.raises(ModelError) as caught:
        plant.fit(U, Y, scale=scale, quiet=True)
    assert text in str(caught.value)


def test_a_package_applies_it(plant: Model, tmp_path: Path) -> None:
    plant.fit(U, Y, epochs=2, scale=SCALE, quiet=True)
    plant.save(tmp_path / "plant.safetensors")
    (tmp_path / "plant.seq").write_text(SOURCE)
    try:
        compiled = seqc.load(tmp_path / "plant.seq", engine="library")
    except Exception as error:  # no compiler here
        pytest.skip(str(error))
    compiled.load(tmp_path / "plant.safetensors")
    x = U[0].astype(np.float32)
    np.testing.assert_allclose(compiled.infer(x), plant.infer(x), rtol=1e-6)
