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

CROSS, EMULATOR = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
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
@pytest.mark.parametrize(("math", "near", "apart"), [("f32", 1e-5, 5e-6), ("bf16", 5e-4, 0.08)])
def test_a_model_trains_on_arm(math: str, near: float, apart: float, tmp_path: Path) -> None:
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
    for name, value in model.params.items():
        theirs = parameter(model.manifest, weights, name)
        np.testing.assert_allclose(theirs, value, rtol=0, atol=apart, err_msg=name)


def under_emulator(source: Path, folder: Path, start: Any, arrays: tuple[Any, ...]) -> tuple[Any, Any]:
    """The losses of some updates from these weights, and the weights after them, as Arm has them."""
    assert CROSS is not None and EMULATOR is not None
    compiler = CROSS.replace("gcc", "g++")
    options = Options(compiler=compiler, march="armv8-a")
    build(source, folder, emit=("static", "header"), options=options)
    program = folder / "updates"
    flags = ["-std=gnu99", "-O1", "-Wall", "-Werror", "-static", f"-I{folder}"]
    command = [
        CROSS,
        *flags,
        str(HERE / "updates.c"),
        str(folder / "libletters.a"),
        "-lm",
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    given = b"".join(each.tobytes() for each in (start, *arrays))
    sizes = [str(number) for number in (STEPS, BATCH, UPDATES)]
    done = subprocess.run([EMULATOR, str(program), *sizes], input=given, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float64, UPDATES), np.frombuffer(
        done.stdout[8 * UPDATES :], np.float32
    )


def parameter(manifest: Any, plain: Any, name: str) -> Any:
    """One parameter within a plain arena."""
    entry = next(each for each in manifest["parameters"] if each["name"] == name)
    first, size = entry["offset"] // plain.itemsize, int(np.prod(entry["dims"]))
    return plain[first : first + size].reshape(entry["dims"])
