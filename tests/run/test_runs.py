"""Runs in folders: one at a time, what callbacks change, what is left of an earlier run; and things of another precision."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError
from seqc.run.folder import Folder
from seqc.run.report import Quiet, Record
from seqc.run.tensors import read_tensors, write_tensors
from tests.run.test_fit import DATA, Stop, fresh


class Died(BaseException):
    """Stands for the end of the process."""


def slower(model: Model, record: Record) -> None:
    model.hyper["SGD.lr"] *= 0.5


def test_what_callbacks_change_is_in_the_checkpoint(toy: Model, tmp_path: Path) -> None:
    rate = toy.hyper["SGD.lr"]
    options: dict[str, Any] = {"epochs": 4, "batch": 4, "quiet": True, "callbacks": [slower]}
    whole = toy.fit(**DATA, **options)
    toy.hyper["SGD.lr"] = rate
    stopped = fresh(toy).fit(
        **DATA, **{**options, "quiet": False}, out=tmp_path / "run", report=Stop(4)
    )  # in the second epoch
    assert stopped.ended == "interrupted" and len(stopped.records) == 1
    toy.initialise(5)
    toy.hyper["SGD.lr"] = rate
    resumed = toy.fit(**DATA, **options, out=tmp_path / "run", resume=True)
    assert resumed.records == whole.records and toy.hyper["SGD.lr"] == rate / 16


def test_callbacks_that_a_kill_cut_short_are_called_again(toy: Model, tmp_path: Path) -> None:
    rate = toy.hyper["SGD.lr"]
    options: dict[str, Any] = {"epochs": 3, "batch": 4, "quiet": True}
    whole = toy.fit(**DATA, **options, callbacks=[slower])

    def killed(model: Model, record: Record) -> None:
        slower(model, record)
        raise Died

    toy.hyper["SGD.lr"] = rate
    with pytest.raises(Died):
        fresh(toy).fit(**DATA, **options, out=tmp_path / "run", callbacks=[killed])
    toy.hyper["SGD.lr"] = rate
    resumed = toy.fit(**DATA, **options, out=tmp_path / "run", resume=True, callbacks=[slower])
    assert resumed.records == whole.records and toy.hyper["SGD.lr"] == rate / 8


def test_a_folder_has_one_run_at_a_time(toy: Model, tmp_path: Path) -> None:
    with (
        Folder(tmp_path / "run").held(),
        pytest.raises(ModelError, match=r"another run is going on in .*; wait for it, or choose another"),
    ):
        toy.fit(**DATA, epochs=1, quiet=True, out=tmp_path / "run")
    toy.fit(**DATA, epochs=1, quiet=True, out=tmp_path / "run")
    with (mine := Folder(tmp_path / "mine")).held():
        toy.fit(**DATA, epochs=1, quiet=True, out=mine)
        with pytest.raises(ModelError, match="another run is going on"):
            toy.fit(**DATA, epochs=1, quiet=True, out=tmp_path / "mine")


def test_the_best_of_an_earlier_run_is_not_taken_for_that_of_a_new_one(toy: Model, tmp_path: Path) -> None:
    run = tmp_path / "run"
    toy.fit(**DATA, epochs=3, batch=4, quiet=True, out=run)
    (run / "last.ckpt").unlink()
    fresh(toy).fit(**DATA, epochs=3, batch=4, out=run, report=Stop(1))
    last = toy.params["net.W"].copy()
    toy.load(run / "best.safetensors")
    np.testing.assert_array_equal(toy.params["net.W"], last)


def test_an_answer_of_numpy_ends_training(toy: Model) -> None:
    history = toy.fit(**DATA, epochs=4, quiet=True, callbacks=lambda model, record: np.True_)
    assert history.ended == "callback" and len(history.records) == 1


def test_a_metric_named_like_a_column_has_a_column_of_its_own(tmp_path: Path) -> None:
    record = Record(2, 0.5, {"epoch": 7.0, "root": 1.0}, 0.25, {"epoch": 8.0})
    Folder(tmp_path).metrics([record])
    with (tmp_path / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["epoch"], row["metric.epoch"], row["validation.epoch"]) == ("2", "7.0", "8.0")


MODEL = """
use std.cells: RNN
use std.optim: SGD
model M {
  input  x: real[2]
  y = x |> RNN(2)
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}
train M { update = SGD(lr = 0.1) }
"""


def test_states_and_gradients_of_another_precision_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.seq").write_text(MODEL)
    single, double = (seqc.load(tmp_path / "m.seq", engine="evaluator", real=real) for real in ("f32", "f64"))
    x = np.ones((3, 4, 2), np.float32)
    with pytest.raises(ModelError, match="another model, or to one of another precision"):
        double.infer(x.astype(np.float64), state=single.state(4))
    with pytest.raises(ModelError, match="gradients of another model"):
        single.apply(double.gradients(x.astype(np.float64)))


def test_weights_that_could_not_be_loaded_are_not_saved(toy: Model, tmp_path: Path) -> None:
    toy.params["net.W"][...] = np.nan
    with pytest.raises(ModelError, match=r"`net\.W` holds a number that is not finite; nothing was written"):
        toy.save(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


MISTAKES = [
    (lambda m: m.state(2**31), "`batch`: expected a whole number below 2^31"),
    (lambda m: m.fit(**DATA, report=3), "`report`: expected a reporter, found 3; `quiet=True` shows nothing"),
    (lambda m: m.fit(**DATA, shuffle="no"), "`shuffle`: expected True or False, found 'no'"),
    (lambda m: m.fit(**DATA, quiet=1), "`quiet`: expected True or False, found 1"),
    (lambda m: m.fit(**DATA, scale={"a": 3}), "`scale`: `a`: expected an input or a list of inputs by name"),
    (lambda m: m.fit(**DATA, out=3), "`out`: expected the path of a folder, found 3"),
    (lambda m: m.save(""), "expected the path of a file to write, found ''"),
    (lambda m: m.save("a\0b"), "expected the path of a file to write"),
    (lambda m: m.load("a\0b"), "expected the path of a file of weights"),
]


@pytest.mark.parametrize(("call", "text"), MISTAKES)
def test_mistakes_are_named(toy: Model, call: Any, text: str) -> None:
    with pytest.raises(ModelError) as caught:
        call(toy)
    assert text in str(caught.value)


def test_numbers_of_numpy_are_numbers(toy: Model) -> None:
    history = toy.fit(**DATA, epochs=1, quiet=True, validation=np.float32(0.2), checkpoint=np.int64(1))
    assert len(history.validations) == 1


class Notes(Quiet):
    """A reporter that keeps what is noted."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.parametrize(
    "error", [ImportError("no matplotlib"), IsADirectoryError(21, "Is a directory"), ValueError()]
)
def test_a_curve_that_cannot_be_drawn_does_not_end_the_run(
    toy: Model, tmp_path: Path, error: Exception
) -> None:
    def broken(records: object, title: str, path: Path) -> None:
        raise error

    toy.picture, notes = broken, Notes()
    history = toy.fit(**DATA, epochs=2, validation=0.2, keep="best", out=tmp_path / "run", report=notes)
    assert history.ended == "done" and len(history.records) == 2
    (note,) = notes.texts
    assert "curve.png" in note and note in (tmp_path / "run" / "log.txt").read_text()
    best = toy.params["net.W"].copy()
    toy.load(tmp_path / "run" / "best.safetensors")
    np.testing.assert_array_equal(best, toy.params["net.W"])


def test_best_weights_that_are_gone_or_damaged_are_told_of_when_a_run_goes_on(
    toy: Model, tmp_path: Path
) -> None:
    run, options = tmp_path / "run", {"batch": 4, "keep": "best", "out": tmp_path / "run"}
    toy.fit(**DATA, epochs=2, quiet=True, **options)
    (run / "best.safetensors").write_bytes(b"damaged")
    with pytest.raises(
        ModelError, match=r"best weights so far cannot be read: .*or remove it to go on without"
    ):
        toy.fit(**DATA, epochs=3, quiet=True, resume=True, **options)
    (run / "best.safetensors").unlink()
    notes = Notes()
    history = toy.fit(**DATA, epochs=3, resume=True, report=notes, **options)
    assert len(history.records) == 3 and any("best.safetensors is missing" in each for each in notes.texts)


FORGED: list[tuple[str, Any]] = [
    ("epoch", "a"),
    ("epoch", 0),
    ("position", -1),
    ("weight", "x"),
    ("weight", float("inf")),
    ("sums", ["x", 1.0]),
    ("sums", [1.0]),
    ("sums", 3),
    ("best", "one"),
    ("best", 7),
    ("called", 3),
    ("rows", 10**12),
    ("rows", "a"),
    ("records", 3),
    ("records", [3]),
    ("records", [{"epoch": 1}]),
    ("records", [{"epoch": 1, "loss": "a"}]),
    ("records", [{"epoch": 1, "loss": 1.0, "metrics": [1.0]}]),
    ("records", [{"epoch": 1, "loss": 1.0, "metrics": {"root": "a"}}]),
]


@pytest.mark.parametrize(("name", "value"), FORGED)
def test_forged_checkpoints_are_refused(toy: Model, tmp_path: Path, name: str, value: Any) -> None:
    toy.fit(**DATA, epochs=1, quiet=True, out=tmp_path / "run")
    path = tmp_path / "run" / "last.ckpt"
    tensors, metadata = read_tensors(path)
    progress = json.loads(metadata["progress"])
    write_tensors(path, tensors, {**metadata, "progress": json.dumps({**progress, name: value})})
    with pytest.raises(ModelError, match=r"last\.ckpt is not a checkpoint: "):
        toy.fit(**DATA, epochs=2, quiet=True, out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("symbols", ["3", '"abc"', "[1]", "{", '{"a": 1}'])
def test_forged_symbols_are_refused_and_nothing_changes(toy: Model, tmp_path: Path, symbols: str) -> None:
    toy.fit(**DATA, epochs=1, quiet=True, out=tmp_path / "run")
    path = tmp_path / "run" / "last.ckpt"
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors, {**metadata, "symbols": symbols})
    before = fresh(toy).params["net.W"].copy()
    with pytest.raises(ModelError, match=r"last\.ckpt: its symbol table cannot be read"):
        toy.fit(**DATA, epochs=2, quiet=True, out=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(before, toy.params["net.W"])


@pytest.mark.parametrize("steps", ["a", -3, 0, 2.5, True])
def test_steps_that_are_no_steps_are_refused_also_where_the_data_has_them(toy: Model, steps: Any) -> None:
    for call in (lambda **named: toy.fit(**named, epochs=1, quiet=True), toy.score):
        with pytest.raises(ModelError, match="`steps`: expected a whole number from 1"):
            call(**DATA, steps=steps)


FREE = """
use std.optim: SGD
model Free {
  input  start: real once
  target goal: real once
  param rate: real = 0.5
  state x = start
  x = rate * prev x
  output end = last(x over time)
  loss = mean((end - goal) ^ 2 over batch)
}
train Free { update = SGD(lr = 0.1) }
"""


def test_a_run_of_other_steps_or_equations_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "free.seq").write_text(FREE)
    model = seqc.load(tmp_path / "free.seq", engine="evaluator")
    data: dict[str, Any] = {"start": [1.0, 2.0], "goal": [0.5, 1.0], "out": tmp_path / "run", "quiet": True}
    model.fit(**data, epochs=1, steps=3)
    with pytest.raises(ModelError, match="`steps` was 3, is 4"):
        model.fit(**data, epochs=2, steps=4, resume=True)
    (tmp_path / "free.seq").write_text(FREE.replace("rate * prev x", "rate * sin(prev x)"))
    model = seqc.load(tmp_path / "free.seq", engine="evaluator")
    with pytest.raises(ModelError, match="the source of the model changed"):
        model.fit(**data, epochs=2, steps=3, resume=True)


def test_a_run_that_goes_on_in_other_code_says_so(toy: Model, tmp_path: Path) -> None:
    run = tmp_path / "run"
    toy.fit(**DATA, epochs=1, quiet=True, out=run)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "code": "the interpreter"}))
    toy.fit(**DATA, epochs=2, quiet=True, out=run, resume=True)
    toy.fit(**DATA, epochs=3, quiet=True, out=run, resume=True)
    said = [line for line in (run / "log.txt").read_text().splitlines() if "last bits will differ" in line]
    assert len(said) == 1 and said[0].startswith(
        "the run so far was computed by the interpreter, now by code"
    )
