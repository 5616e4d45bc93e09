"""Runs in folders: one at a time, what callbacks change, what is left of an earlier run; and things of another precision."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError
from seqc.run.folder import Folder
from seqc.run.report import Record
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
]


@pytest.mark.parametrize(("call", "text"), MISTAKES)
def test_mistakes_are_named(toy: Model, call: Any, text: str) -> None:
    with pytest.raises(ModelError) as caught:
        call(toy)
    assert text in str(caught.value)


def test_numbers_of_numpy_are_numbers(toy: Model) -> None:
    history = toy.fit(**DATA, epochs=1, quiet=True, validation=np.float32(0.2), checkpoint=np.int64(1))
    assert len(history.validations) == 1
