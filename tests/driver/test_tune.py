"""`seqc build --tune`: candidates, what is remembered and believed, and messages for what cannot be tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seqc as package
from seqc.driver import tune, tuned
from seqc.driver.build import prepare
from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.plan import PlanOptions
from tests.cli.tools import seqc

MODEL = """use std.cells: LSTM, Dense

model Small {
  input x: real[3]
  y = x |> LSTM(9) |> Dense(2)
  output y
}
"""


@pytest.fixture
def small(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in a cache that nobody has used; turns are short."""
    monkeypatch.setenv("SEQC_CACHE", str(here / "own"))
    monkeypatch.setattr(tune, "TURNS", 3)
    monkeypatch.setattr(tune, "SLICE", 0.001)
    path = here / "small.seq"
    path.write_text(MODEL, encoding="utf-8")
    return path


def forced(monkeypatch: pytest.MonkeyPatch, ratio: float) -> None:
    """Lets every candidate but the first take twice as long, the first the given share of the planner's time."""
    monkeypatch.setattr(tune, "beside", lambda calls: [ratio, *[2.0] * (len(calls) - 2)])


def test_what_is_quicker_is_remembered(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    before = prepare(small, Options(), ("shared",))
    forced(monkeypatch, 0.5)
    found = tune.tune(small, Options(), notes.append)
    assert notes[-1].startswith("tuned: ") and "infer takes 50 % of its time" in notes[-1]
    assert 2 <= len(notes) <= tune.MOST + 2 and notes[0].startswith("tuning: building 1 of ")
    assert tuned.with_tuned(small, Options()) == found and tuned.choices_of(found)
    after = prepare(small, Options(), ("shared",))
    assert after.folder != before.folder
    shown = seqc("show", "plan", "small.seq").out
    assert "choices: measured by `--tune`: " in shown
    small.write_text(MODEL.replace("LSTM(9)", "LSTM(10)"), encoding="utf-8")
    assert tuned.with_tuned(small, Options()) == Options()
    assert "choices: measured" not in seqc("show", "plan", "small.seq").out


def test_nothing_quicker_changes_nothing(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepare(small, Options(), ("shared",))
    forced(monkeypatch, 0.99)
    notes: list[str] = []
    assert tune.tune(small, Options(), notes.append).tuned == tuned.NONE
    assert notes[-1] == "tuned: the planner's own choices are the quickest"
    assert (prepare(small, Options(), ("shared",)).folder / "libsmall.so").read_bytes() == (
        before.folder / "libsmall.so"
    ).read_bytes()
    assert "nothing quicker than the planner's own" in seqc("show", "plan", "small.seq").out


def test_a_tuned_model_computes_the_same(small: Path) -> None:
    """Whatever the clock says: timed for real."""
    plain = package.load(small, seed=3)
    model = package.load(small, seed=3, tune=True)
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    assert np.allclose(model.infer(x), plain.infer(x), atol=1e-5)
    assert tuned.with_tuned(small, Options()).tuned
    assert package.load(small, seed=3, tune=True).infer(x).shape == (5, 2, 2)


def test_choices_are_text_and_back() -> None:
    choices = {"infer": PlanOptions(products=((1, "rows"),), epilogues=False, stretch=0)}
    assert tuned.choices_of(Options(tuned=tuned.as_text(choices))) == choices
    assert tuned.choices_of(Options()) == {} and tuned.as_text({}) == tuned.NONE


@pytest.mark.parametrize("march", ["x86-64-v3", "fat", ""])
def test_builds_for_other_machines_are_not_tuned(small: Path, march: str) -> None:
    with pytest.raises(UserFault, match="cannot be tuned"):
        tune.tune(small, Options(march=march))
    done = seqc("build", "small.seq", "--tune", "--march", march or "", "-o", "made")
    assert done.code == 1 and "cannot be tuned" in done.err and "--march native" in done.err
