"""Long sequences in segments: the same scores, gradients and updates as in one piece, in fewer bytes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.driver.fault import UserFault

MODEL = """
use std.cells: Dense, Dropout, Embedding, GRU, LSTM
use std.losses: cross_entropy
use std.optim: Adam

model Long {
  hyper drop = 0.3
  hyper pull = 0.01
  input  k: index(5)
  input  x: real[2]
  input  bias: real once
  input  n: length
  target label: index(4)
  state slow:  f32 = 0                  # one of these is no real of the build, whichever that is
  state phase: f64 = 0

  slow   = prev slow + f32(x[0])
  phase  = 0.5 * prev phase + f64(x[1])
  end    = last(slow over time)
  h      = concat(k |> Embedding(3), x) |> LSTM(6) |> Dropout(drop) |> GRU(5)
  late   = step / steps
  logits = h + bias * late |> Dense(4)
  kept   = last(h over time)
  output logits
  loss = mean(cross_entropy(logits, label) over time, batch where label >= 0)
       + mean(sum(kept ^ 2) over batch) + pull * sum(logits.dense.W ^ 2)
       + mean(norm(norm(h) over time) / steps over batch)
       + mean(real(end) ^ 2 over batch) + mean(real(phase) over time, batch)
  metric wrong = mean(real(argmax(logits) != label) over time, batch where label >= 0)
}

train Long { update = Adam() }
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("long") / "long.seq"
    file.write_text(MODEL, encoding="utf-8")
    return file


def data(steps: int = 61, batch: int = 3) -> tuple[Any, ...]:
    draw = np.random.default_rng(7)
    label = draw.integers(-1, 4, (steps, batch), np.int32)
    return (
        draw.integers(0, 5, (steps, batch), np.int32),
        draw.normal(size=(steps, batch, 2)),
        draw.normal(size=batch),
        np.array([steps, min(20, steps), 1][:batch], np.int32),
        label,
    )


def pair(source: Path, budget: int) -> tuple[seqc.Model, seqc.Model]:
    """The model in one piece and the model in segments, with equal weights."""
    return seqc.load(source, real="f64", seed=3), seqc.load(source, real="f64", seed=3, memory=budget)


def assert_equal(ours: Any, theirs: Any, what: str) -> None:
    scale = np.abs(theirs).max() + 1e-3
    assert np.abs(np.asarray(ours) - theirs).max() <= 1e-10 * scale, what


@pytest.mark.parametrize("budget", [80_000, 45_000])
def test_gradients_are_those_of_one_piece(source: Path, budget: int) -> None:
    whole, cut = pair(source, budget)
    arrays = data()
    engine: Any = cut.engine
    assert not engine.fits(2, 61, 3)
    assert engine.segment_steps(61, 3, True) < 61
    ours, theirs = cut.state(3), whole.state(3)
    for _ in range(2):  # the second call goes on from carried states
        a = cut.gradients(*arrays, state=ours, seed=5)
        b = whole.gradients(*arrays, state=theirs, seed=5)
        assert_equal(float(a.score), float(b.score), "loss")
        assert_equal(a.score.metrics["wrong"], b.score.metrics["wrong"], "metric")
        for kind in ("parameters", "inputs", "states", "hypers"):
            for name, value in getattr(b, kind).items():
                assert_equal(getattr(a, kind)[name], value, f"{kind} {name}")
        for name in theirs:
            assert_equal(ours[name], theirs[name], name)


def test_updates_and_scores_are_those_of_one_piece(source: Path) -> None:
    whole, cut = pair(source, 45_000)
    arrays = data()
    for _ in range(3):
        assert_equal(float(cut.update(*arrays)), float(whole.update(*arrays)), "loss")
    for name, value in whole.params.items():
        assert_equal(cut.params[name], value, name)
    assert_equal(float(cut.evaluate(*arrays)), float(whole.evaluate(*arrays)), "evaluate")


def test_an_output_that_turns_time_round_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "turned.seq"
    file.write_text(MODEL.replace("  output logits\n", "  output logits\n  output r = reverse(x)\n"), "utf-8")
    whole, cut = pair(file, 45_000)
    arrays = data()
    assert not cut.engine.fits(2, 61, 3)
    ours, theirs = cut.gradients(*arrays), whole.gradients(*arrays)
    assert_equal(float(ours.score), float(theirs.score), "loss")
    for name, value in theirs.parameters.items():
        assert_equal(ours.parameters[name], value, name)


def test_parts_are_those_of_the_model_that_was_loaded(source: Path, tmp_path: Path) -> None:
    file = tmp_path / source.name
    file.write_text(MODEL, encoding="utf-8")
    whole, cut = pair(file, 45_000)
    cut.threads = 2
    other = pickle.loads(pickle.dumps(cut))
    assert other.threads == 2 and other.engine.budget == 45_000
    file.write_text(MODEL.replace("bias * late", "2 * bias * late"), encoding="utf-8")
    arrays = data()
    theirs = whole.gradients(*arrays)
    for model in (cut, other):
        ours = model.gradients(*arrays)
        assert_equal(float(ours.score), float(theirs.score), "loss")
        assert_equal(ours.inputs["bias"], theirs.inputs["bias"], "bias")


def test_a_call_that_fits_is_one_piece(source: Path) -> None:
    whole, cut = pair(source, 1 << 30)
    arrays = data(9)
    assert np.array_equal(
        cut.gradients(*arrays).parameters["h.lstm.f.U"], whole.gradients(*arrays).parameters["h.lstm.f.U"]
    )
    assert cut.engine._parts is None


def test_a_hundred_thousand_steps_fit(tmp_path: Path) -> None:
    file = tmp_path / "far.seq"
    text = MODEL.replace("LSTM(6)", "LSTM(32)").replace("GRU(5)", "GRU(32)")
    file.write_text(text, encoding="utf-8")
    budget = 8_000_000
    model = seqc.load(file, memory=budget)
    arrays = list(data(100_000, 1))
    engine: Any = model.engine
    assert engine.whole.workspace_bytes(4, 100_000, 1) > 20 * budget
    length = engine.segment_steps(100_000, 1, True)
    assert engine.bytes_for(length, 100_000, 1, True) <= budget
    arrays[1], arrays[2] = arrays[1].astype(np.float32), arrays[2].astype(np.float32)
    first = float(model.update(*arrays))
    assert np.isfinite(first) and float(model.update(*arrays)) < first


def test_mistakes_keep_their_places(source: Path) -> None:
    _, cut = pair(source, 45_000)
    arrays = list(data())
    arrays[0] = arrays[0].copy()
    arrays[0][50, 0] = 9
    with pytest.raises(seqc.ModelError, match=r"step 50"):
        cut.gradients(*arrays)
    with pytest.raises(seqc.ModelError, match="the least"):
        seqc.load(source, real="f64", memory=500).gradients(*data())


def test_models_that_cannot_be_cut_say_so(tmp_path: Path) -> None:
    turned = MODEL.replace("|> LSTM(6)", "|> Both(LSTM(3))").replace("use std.cells:", "use std.cells: Both,")
    seen = MODEL.replace("late   = step / steps", "late   = mean(x[0] over time)")
    largest = MODEL.replace("mean(sum(kept ^ 2) over batch)", "max(h[0] over time, batch)")
    told = MODEL.replace("bias * late", "bias * late - 0.1 * kept")  # what the loss is made of, too
    for number, (text, reason) in enumerate(
        ((turned, "turns time"), (seen, "a step sees"), (largest, "max"), (told, "a step sees"))
    ):
        file = tmp_path / f"bad{number}.seq"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserFault) as found:
            seqc.load(file, memory=1_000)
        assert reason in " ".join(found.value.diagnostic.notes)


def test_training_shuts_others_out_between_segments(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = pair(source, 45_000)
    arrays = data()
    part = cut.engine.parts.advance
    run, refused = part.infer, 0

    def while_running(*given: Any) -> None:
        nonlocal refused
        for call in (cut.update, cut.evaluate, cut.gradients):
            with pytest.raises(seqc.ModelError, match="being trained by another thread"):
                call(*arrays)
            refused += 1
        run(*given)

    monkeypatch.setattr(part, "infer", while_running)
    assert_equal(float(cut.update(*arrays)), float(whole.update(*arrays)), "loss")
    assert refused > 3 and cut.updates == 1
    for name, value in whole.params.items():
        assert_equal(cut.params[name], value, name)
