"""Weights in bfloat16 and in 8 bits: models built so, beside the same weights in double precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.driver.build import build
from seqc.driver.options import Options
from seqc.driver.rounding import drawn, rounding_error
from seqc.run.package import open_package

ROOT = Path(__file__).resolve().parents[2]

MIXED = """
use std.cells: Dense, Embedding, GRU, LSTM

model Mixed {
  input  k: index(7)
  input  gain: real once
  y = [gain] |> Dense(3)
  z = concat(k |> Embedding(20), y) |> GRU(33) |> LSTM(40) |> Dense(21)
  output z
  output first = z[0]
}

deploy byte of Mixed { weights = int8(per = row) }
deploy half of Mixed { weights = bf16 }
deploy step of Mixed { weights = int8(per = row)  mode = streaming  batch = 1  heap = none }
"""


def packages(tmp_path: Path) -> dict[str, Any]:
    """The three profiles, opened side by side in one process, with the weights of one float64 model."""
    source = tmp_path / "mixed.seq"
    source.write_text(MIXED, encoding="utf-8")
    exact = seqc.load(source, real="f64", engine="evaluator", seed=3)
    weights = tmp_path / "mixed.safetensors"
    single = seqc.load(source, engine="evaluator", seed=3)
    for name, value in exact.params.items():
        single.params[name][...] = value
    single.save(weights)
    found: dict[str, Any] = {"exact": exact}
    for profile in ("byte", "half", "step"):
        build(source, tmp_path / profile, options=Options(deploy=profile))
        found[profile] = open_package(tmp_path / profile / "mixed")
        found[profile].load(weights)
    return found


def test_outputs_stay_close_and_steps_equal_sequences(tmp_path: Path) -> None:
    models = packages(tmp_path)
    draw = np.random.default_rng(1)
    k, gain = draw.integers(0, 7, (40, 5), np.int32), draw.normal(size=5).astype(np.float32)
    exact = models["exact"].infer(k, gain).z
    span = np.ptp(exact)
    byte, half = models["byte"].infer(k, gain).z, models["half"].infer(k, gain).z
    assert 1e-5 < np.abs(byte - exact).max() / span < 0.01
    assert 1e-6 < np.abs(half - exact).max() / span < 0.004
    alone = models["byte"].infer(k[:, 2:3], gain[2:3]).z
    assert np.array_equal(alone[:, 0], byte[:, 2])
    state = models["step"].state(1)
    steps = [np.array(models["step"].step(k[t, 2:3], gain[2:3], state=state).z) for t in range(40)]
    assert np.allclose(np.stack(steps)[:, 0], byte[:, 2], rtol=0, atol=2e-6 * span)


def test_they_take_less_memory_and_cannot_train(tmp_path: Path) -> None:
    models = packages(tmp_path)
    sizes = {name: models[name].engine.manifest["packed_bytes"] for name in ("byte", "half")}
    plain = seqc.load(tmp_path / "mixed.seq").engine.manifest["packed_bytes"]
    assert sizes["byte"] < 0.36 * plain
    assert sizes["half"] < 0.56 * plain
    with pytest.raises(seqc.ModelError, match="gradients"):
        models["byte"].gradients(np.zeros((2, 1), np.int32), np.zeros(1, np.float32))


@pytest.mark.parametrize(("example", "profile"), [("amp", "pedal"), ("amp", "server"), ("charlm", "byte")])
def test_examples_move_by_less_than_a_hundredth(example: str, profile: str, tmp_path: Path) -> None:
    source = tmp_path / f"{example}.seq"
    text = (ROOT / "examples" / f"{example}.seq").read_text(encoding="utf-8")
    if profile == "byte":
        text = text.replace("output p = softmax(logits)", "output logits")
        text += "\ndeploy byte of CharLM { weights = int8(per = row) }\n"
    source.write_text(text, encoding="utf-8")
    dims = (("H", 64),) if example == "charlm" else ()
    error = rounding_error(source, Options(deploy=profile, dims=dims))
    assert error is not None
    assert 0 < error < 0.01


def test_drawn_inputs_fit_the_manifest(tmp_path: Path) -> None:
    models = packages(tmp_path)
    values = drawn(models["byte"].engine.manifest)
    assert values["k"].shape == (64, 4) and values["k"].max() < 7
    assert values["gain"].shape == (4,)


def test_a_stream_with_lengths_has_an_error_too(tmp_path: Path) -> None:
    source = tmp_path / "stream.seq"
    source.write_text(
        "use std.cells: Dense, GRU\nmodel M { input x: real[3]  input n: length  output y = x |> GRU(8) |> Dense(2) }\n"
        "deploy one of M { mode = streaming  batch = 1  weights = int8(per = row) }\n"
        "deploy three of M { mode = streaming  batch = 3  weights = bf16 }\n"
        "deploy whole of M { batch = 2  steps = 5  weights = bf16 }\n",
        encoding="utf-8",
    )
    for profile in ("one", "three", "whole"):  # in the only sizes that they take
        error = rounding_error(source, Options(deploy=profile))
        assert error is not None and 0 < error < 0.02
