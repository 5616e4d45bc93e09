"""Training: curves, validation, patience, interruption and resumption to the bit, what is not finite."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError

RANDOM = np.random.default_rng(3)
N, T = 10, 6
DATA = {
    "x": RANDOM.normal(size=(T, N, 2)).astype(np.float32),
    "gain": np.full(N, 0.5, np.float32),
    "kind": RANDOM.integers(0, 5, (T, N)).astype(np.int32),
    "goal": np.full((N, 2), 0.1, np.float32),
}
LONG = {
    "x": RANDOM.normal(size=(300, 2)).astype(np.float32),
    "gain": np.float32(0.5),
    "kind": np.zeros(300, np.int32),
    "goal": np.zeros(2, np.float32),
}


def fresh(model: Model) -> Model:
    model.initialise(0)
    return model


def test_learns_and_repeats(toy: Model) -> None:
    first = toy.fit(**DATA, epochs=4, batch=4, quiet=True)
    again = fresh(toy).fit(**DATA, epochs=4, batch=4, quiet=True)
    assert first.losses == again.losses and first.losses[-1] < first.losses[0]
    assert toy.updates == 4 * 3
    other = fresh(toy).fit(**DATA, epochs=4, batch=4, seed=1, quiet=True)
    assert other.losses != first.losses


def test_one_long_recording(toy: Model) -> None:
    history = toy.fit(**LONG, epochs=2, batch=4, window=16, validation=0.25, quiet=True)
    assert len(history.validations) == 2
    assert toy.updates == 2 * (225 // 4 // 16)


def test_run_folder(toy: Model, tmp_path: Path) -> None:
    history = toy.fit(**DATA, epochs=3, batch=4, validation=0.2, out=tmp_path / "run", quiet=True)
    names = sorted(each.name for each in (tmp_path / "run").iterdir())
    assert names == ["best.safetensors", "config.json", "last.ckpt", "log.txt", "metrics.csv"]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation"]) for row in rows] == history.validations
    assert list(rows[0]) == ["epoch", "loss", "root", "validation", "validation.root"]
    last = toy.params["net.W"].copy()
    fresh(toy).load(tmp_path / "run" / "last.ckpt")
    np.testing.assert_array_equal(last, toy.params["net.W"])
    toy.load(tmp_path / "run" / "best.safetensors")
    if history.best is history.records[-1]:
        np.testing.assert_array_equal(last, toy.params["net.W"])
    with pytest.raises(ModelError, match="holds an earlier run"):
        toy.fit(**DATA, epochs=3, out=tmp_path / "run", quiet=True)


class Stop:
    """A reporter that presses Ctrl-C after some batches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def begin(self, epochs: int, first: int) -> None: ...
    def epoch(self, number: int, batches: int, done: int) -> None: ...
    def record(self, record: object, seconds: float) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self) -> None: ...

    def batch(self, done: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("data", "options"), [(DATA, {"window": 2}), (LONG, {"window": 16, "warmup": 8})])
@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_resumed_runs_are_equal_to_the_bit(
    toy: Model, tmp_path: Path, data: dict, options: dict, after: int
) -> None:
    options = {**options, "epochs": 3, "batch": 4, "validation": 0.3}
    whole = toy.fit(**data, **options, quiet=True)
    weights, optimizer = toy.params["net.W"].copy(), toy.optimizer["net.W.seen"].copy()
    stopped = fresh(toy).fit(**data, **options, out=tmp_path / "run", report=Stop(after))
    assert stopped.ended == "interrupted"
    toy.initialise(9)
    resumed = toy.fit(**data, **options, out=tmp_path / "run", resume=True, quiet=True)
    assert resumed.records == whole.records
    np.testing.assert_array_equal(weights, toy.params["net.W"])
    np.testing.assert_array_equal(optimizer, toy.optimizer["net.W.seen"])


def test_resume_by_more_epochs_but_not_with_other_data(toy: Model, tmp_path: Path) -> None:
    whole = toy.fit(**DATA, epochs=4, quiet=True)
    fresh(toy).fit(**DATA, epochs=2, out=tmp_path / "run", quiet=True)
    more = toy.fit(**DATA, epochs=4, out=tmp_path / "run", resume=True, quiet=True)
    assert more.losses == whole.losses
    with pytest.raises(ModelError, match="`seed` was 0, is 5"):
        toy.fit(**DATA, epochs=5, seed=5, out=tmp_path / "run", resume=True, quiet=True)
    with pytest.raises(
        ModelError, match="the training data changed; take back what changed, or begin a new run"
    ):
        toy.fit(**{**DATA, "gain": DATA["gain"] * 2}, epochs=5, out=tmp_path / "run", resume=True, quiet=True)
    with pytest.raises(ModelError, match="no run to resume"):
        toy.fit(**DATA, out=tmp_path / "none", resume=True, quiet=True)
    assert not (tmp_path / "none").exists()


def test_patience_ends_and_the_best_is_kept(toy: Model) -> None:
    toy.hyper["SGD.lr"] = 1e-30
    history = toy.fit(**DATA, epochs=50, patience=2, shuffle=False, keep="best", quiet=True)
    assert history.ended == "patience" and len(history.records) == 3 and history.best is history.records[0]


def test_what_is_not_finite_stops_and_is_named(toy: Model, tmp_path: Path) -> None:
    toy.fit(**DATA, epochs=1, quiet=True)

    def spoil(model: Model, record: object) -> None:
        model.params["net.W"][1] = np.inf

    with pytest.raises(ModelError, match=r"epoch 2, step 1: parameter `net.W` is not finite") as caught:
        toy.fit(**DATA, epochs=3, out=tmp_path / "run", quiet=True, callbacks=[spoil])
    assert (
        "the last good weights are in" in str(caught.value)
        and "epoch 2, step 1" in (tmp_path / "run/log.txt").read_text()
    )
    toy.load(tmp_path / "run" / "best.safetensors")
    assert np.isfinite(toy.params["net.W"]).all()
    again = toy.fit(**DATA, epochs=3, out=tmp_path / "run", quiet=True, resume=True)
    assert [record.epoch for record in again.records] == [1, 2, 3]


def test_spoilt_weights_are_never_written(toy: Model, tmp_path: Path) -> None:
    class Spoil(Stop):
        def batch(self, done: int, loss: float) -> None:
            self.left -= 1
            if self.left == 0:
                toy.params["net.W"][0] = np.nan

    with pytest.raises(ModelError, match=r"epoch 2: parameter `net.W` is not finite; the last good weights"):
        toy.fit(**DATA, epochs=3, batch=4, out=tmp_path / "run", report=Spoil(6))
    toy.load(tmp_path / "run" / "best.safetensors")
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2


def test_checkpoints_within_an_epoch(toy: Model, tmp_path: Path) -> None:
    whole = toy.fit(**DATA, epochs=2, batch=2, quiet=True)

    class Fail(Stop):
        def batch(self, done: int, loss: float) -> None:
            self.left -= 1
            if self.left == 0:
                raise RuntimeError("the power is gone")

    fresh(toy)
    with pytest.raises(RuntimeError):
        toy.fit(**DATA, epochs=2, batch=2, out=tmp_path / "run", checkpoint=0, report=Fail(4))
    toy.initialise(4)
    again = toy.fit(**DATA, epochs=2, batch=2, out=tmp_path / "run", checkpoint=0, resume=True, quiet=True)
    assert again.records == whole.records
    assert "resuming at epoch 1, batch 3" in (tmp_path / "run" / "log.txt").read_text()


def test_a_run_stopped_before_its_first_checkpoint(toy: Model, tmp_path: Path) -> None:
    whole = toy.fit(**DATA, epochs=2, quiet=True)

    class Fail(Stop):
        def batch(self, done: int, loss: float) -> None:
            raise RuntimeError("the power is gone")

    fresh(toy)
    with pytest.raises(RuntimeError):
        toy.fit(**DATA, epochs=2, out=tmp_path / "run", report=Fail(1))
    with pytest.raises(ModelError, match="`seed` was 0, is 5"):
        toy.fit(**DATA, epochs=2, out=tmp_path / "run", resume=True, seed=5, quiet=True)
    again = fresh(toy).fit(**DATA, epochs=2, out=tmp_path / "run", resume=True, quiet=True)
    assert again.records == whole.records
    assert "beginning anew" in (tmp_path / "run" / "log.txt").read_text()


def test_a_callback_that_fails_keeps_the_checkpoint(toy: Model, tmp_path: Path) -> None:
    def fail(model: Model, record: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        toy.fit(**DATA, epochs=3, out=tmp_path / "run", quiet=True, callbacks=[fail])
    whole = fresh(toy).fit(**DATA, epochs=3, quiet=True)
    toy.initialise(3)
    assert toy.fit(**DATA, epochs=3, out=tmp_path / "run", quiet=True, resume=True).losses == whole.losses


def test_nothing_to_learn_from_is_named(toy: Model, tmp_path: Path) -> None:
    toy.params["net.W"][...] = 0
    nothing = {**DATA, "x": np.zeros_like(DATA["x"]), "goal": np.zeros((N, 2), np.float32)}
    with pytest.raises(ModelError, match="look for a `where` or a mask that selects nothing"):
        toy.fit(**nothing, out=tmp_path / "run", quiet=True)
    toy.fit(**DATA, epochs=1, out=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("wrong", [3, [3], "no"])
def test_callbacks_are_functions(toy: Model, wrong: Any) -> None:
    with pytest.raises(ModelError, match="`callbacks`: expected functions"):
        toy.fit(**DATA, epochs=1, quiet=True, callbacks=wrong)


def test_callbacks_and_plain_lines(toy: Model, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    history = toy.fit(
        **DATA, epochs=9, callbacks=[lambda model, record: seen.append(record) or len(seen) == 2]
    )
    assert history.ended == "callback" and len(seen) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1: loss ")


TRAIN = """
import sys, numpy as np
sys.path[:1] = [sys.argv[1], sys.argv[4]]
import conftest, test_fit
from seqc.run import Model
from seqc.run.library import LibraryEngine
model = Model(LibraryEngine(conftest.manifest(), sys.argv[2]))
resume = __import__("pathlib").Path(sys.argv[3], "last.ckpt").exists()
history = model.fit(**test_fit.DATA, epochs=40, batch=2, out=sys.argv[3], resume=resume)
print("done", history.losses)
"""


def test_kills_in_training_lose_nothing(toy: Model, library: Path, tmp_path: Path) -> None:
    whole = toy.fit(**DATA, epochs=40, batch=2, quiet=True)
    places = [Path(__file__).parent, library, tmp_path / "run", Path(seqc.__file__).parents[1]]
    command = [sys.executable, "-c", TRAIN, *map(str, places)]
    for lines in (3, 5, 9):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        process.communicate()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == f"done {whole.losses}"


MISTAKES = [
    (lambda m: m.fit(DATA["x"]), "`update` needs `gain` and `kind` and `goal`"),
    (lambda m: m.fit(**DATA, epochs=0), "`epochs`: expected a whole number from 1, found 0"),
    (lambda m: m.fit(**DATA, validation=1.5), "`validation`: expected a share between 0 and 1, found 1.5"),
    (lambda m: m.fit("some text"), "cannot be trained on text"),
    (
        lambda m: m.fit("data/book.txt"),
        'is taken as a text of 13 characters; a file is named by `pathlib.Path("',
    ),
    (lambda m: m.fit(**DATA, validation="more.npz"), '"more.npz" is taken as a text of 8 characters'),
    (lambda m: m.fit(**DATA, steps=4), "`steps` is for models without an input by steps; `x` says how many"),
    (lambda m: m.fit(**DATA, keep="first"), '`keep`: expected "last" or "best"'),
    (lambda m: m.fit(**DATA, checkpoint=-1), "`checkpoint`: expected the seconds between two"),
    (lambda m: m.fit(**DATA, scale="x"), "`scale`: expected layers and their inputs"),
    (lambda m: m.fit(**DATA, warmup=-1), "`warmup`: expected a whole number from 0, found -1"),
    (lambda m: m.fit(**DATA, epoch=2), "there is no option or input `epoch`; did you mean `epochs`?"),
    (
        lambda m: m.fit(**{n: each[:, :0] if n in ("x", "kind") else each[:0] for n, each in DATA.items()}),
        "has no rows",
    ),
    (lambda m: m.fit(**{**DATA, "kind": DATA["kind"] + 3}), "; expected an index from 0 to 4"),
    (lambda m: m.hyper.update({"SGD.lr": float("inf")}), "expected a number from 0, found inf"),
    (lambda m: m.fit(**DATA, warmup=6), "are not longer than the 6 of `warmup`"),
]


@pytest.mark.parametrize(("call", "text"), MISTAKES)
def test_mistakes_are_named(toy: Model, call, text: str) -> None:
    with pytest.raises(ModelError) as caught:
        call(toy)
    assert text in str(caught.value)
