"""64-bit Arm: a model built by a cross compiler trains under an emulator as it does on this machine."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.driver.build import build
from seqc.driver.options import Options
from seqc.run.weights import parameters

CROSS, EMULATOR = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
HERE = Path(__file__).resolve().parent
STEPS, BATCH, UPDATES = 7, 5, 4

MODEL = """
use std.cells: Dense, Embedding, GRU, LayerNorm, LSTM
use std.losses: cross_entropy
use std.optim: Adam

model Letters {{
  input  k: index(11)
  target t: index(11)
  logits = k |> Embedding(9) |> LSTM(17) |> LayerNorm() |> GRU(8) |> Dense(11)
  output logits
  loss = mean(cross_entropy(logits, t) over time, batch)
}}

train Letters {{ update = Adam(lr = 0.02)  clip = norm(1.0)  math = {math} }}
"""


@pytest.mark.skipif(CROSS is None or EMULATOR is None, reason="no cross compiler and emulator for 64-bit Arm")
@pytest.mark.skipif(platform.machine() == "aarch64", reason="this is one")
@pytest.mark.parametrize(
    ("math", "near", "apart", "usual"), [("f32", 1e-5, 5e-6, 2e-7), ("bf16", 5e-4, 0.08, 2e-3)]
)
def test_a_model_trains_on_arm(math: str, near: float, apart: float, usual: float, tmp_path: Path) -> None:
    """`near` for losses; weights by the largest and the mean difference: a slope near 0 may change its sign with the order
    of a sum in bfloat16, and Adam then steps the other way."""
    source = tmp_path / "letters.seq"
    source.write_text(MODEL.format(math=math), encoding="utf-8")
    model = seqc.load(source, engine="library", seed=3)
    random = np.random.default_rng(2)
    k, t = (random.integers(0, 11, (STEPS, BATCH), np.int32) for _ in range(2))
    start = np.array(model.engine.arenas.plain)
    losses = [model.update(k=k, t=t) for _ in range(UPDATES)]

    found, weights = under_emulator(source, tmp_path / "arm", start, (k, t))
    assert losses[-1] < losses[0] - 0.05
    np.testing.assert_allclose(found, losses, rtol=near)
    theirs = parameters(model.manifest, weights)
    for name, value in model.params.items():
        off = np.abs(theirs[name] - value)
        assert off.max() <= apart and off.mean() <= usual, name


def under_emulator(source: Path, folder: Path, start: Any, arrays: tuple[Any, ...]) -> tuple[Any, Any]:
    """The losses of some updates from these weights, and the weights after them, as Arm has them."""
    assert CROSS is not None and EMULATOR is not None
    options = Options(compiler=CROSS, march="armv8-a")
    build(source, folder, emit=("static", "header"), options=options)
    program = folder / "updates"
    flags = ["-x", "c", "-std=gnu99", "-O1", "-Wall", "-Werror", "-static", f"-I{folder}"]
    sources = [str(HERE / "updates.c"), "-x", "none", str(folder / "libletters.a"), "-lm"]
    subprocess.run([CROSS, *flags, *sources, "-o", str(program)], check=True)
    given = b"".join(each.tobytes() for each in (start, *arrays))
    sizes = [str(number) for number in (STEPS, BATCH, UPDATES)]
    done = subprocess.run([EMULATOR, str(program), *sizes], input=given, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float64, UPDATES), np.frombuffer(done.stdout, np.uint8)[
        8 * UPDATES :
    ]
