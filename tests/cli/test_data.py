"""Data of every kind from the command line, scaling, and runs of ragged data that are killed within their epochs."""

from __future__ import annotations

import os
import pty
import signal
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.tools import command, environment, process, seqc

RAGGED = """use std.cells: Dense, Dropout, GRU, Restore, Standardise
use std.optim: Adam
use std.schedules: warm_cosine

model Ragged {
  input  u: real[2]
  input  gain: real once
  input  n: length
  target y: real[1]

  layer heat = Standardise()
  layer goal = Standardise()

  z   = concat(heat(u), [gain]) |> GRU(4) |> Dropout(0.2) |> Dense(1)
  aim = goal(y)

  output guess = z |> Restore(mean = goal.mean, deviation = goal.deviation)
  loss = mean(sum((z - aim) ^ 2) over time, batch)
}

train Ragged {
  update = Adam(lr = warm_cosine(step, 0.02, 10, 400))
  clip   = norm(1.0)
  window = 6
}
"""
SCALE = ("--scale", "heat=u", "--scale", "goal=y", "--set", "gain=0.5")


@pytest.fixture
def sequences(here: Path) -> Path:
    (here / "ragged.seq").write_text(RAGGED)
    draw = np.random.default_rng(2)
    arrays = {}
    for row in range(40):
        u = draw.normal(5, 2, (int(draw.integers(3, 20)), 2))
        arrays[f"u.{row}"], arrays[f"y.{row}"] = u, 100 + u.sum(1, keepdims=True)
    np.savez(here / "data.npz", **arrays)
    return here / "data.npz"


def wav(path: Path, samples: np.ndarray) -> None:
    data = samples.astype("<f4").tobytes()
    head = b"fmt " + struct.pack("<IHHIIHH", 16, 3, 1, 8000, 32000, 4, 32)
    body = b"WAVE" + head + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_sequences_and_their_scale(here: Path, sequences: Path) -> None:
    options = ("--epochs", 8, "--batch", 4, "--val", 0.25, *SCALE)
    done = seqc("train", "ragged.seq", sequences, "--out", "run", *options)
    assert done.code == 0, done.err
    rows = [line.split(",") for line in (here / "run" / "metrics.csv").read_text().splitlines()[1:]]
    assert float(rows[-1][2]) < float(rows[0][2])
    built = seqc("build", "ragged.seq", "--run", "run", "-o", "made", "--emit", "exe,py")
    assert built.code == 0, built.err
    import seqc as package

    model = package.load("made/ragged")
    x = np.full((9, 2), 5.0, np.float32)
    model.load(here / "run" / "best.safetensors")
    guess = model.infer(x, np.float32(0.5))
    assert abs(float(guess[-1, 0]) - 110) < 10
    lines = "\n".join(f"{a},{b}" for a, b in x.tolist())
    program = ["made/bin/ragged", "--set", "gain=0.5"]
    wrote = subprocess.run(program, input=lines, capture_output=True, text=True)
    assert wrote.returncode == 0, wrote.stderr
    found = [float(line) for line in wrote.stdout.split() if line[0] in "-0123456789"]
    np.testing.assert_allclose(found, guess[:, 0], rtol=1e-5)


def test_tables(here: Path, sequences: Path) -> None:
    with np.load(sequences) as file:
        lines = [
            f"{row},{a!r},{b!r},{y!r}"
            for row in range(40)
            for (a, b), y in zip(file[f"u.{row}"].tolist(), file[f"y.{row}"][:, 0].tolist(), strict=True)
        ]
    (here / "table.csv").write_text("\n".join(["id,a,b,c", *lines]) + "\n")
    same = ("--epochs", 2, "--seed", 3, *SCALE)
    columns = ("--inputs", "a,b", "--targets", "c", "--group", "id")
    done = seqc("train", "ragged.seq", "table.csv", "--out", "one", *columns, *same)
    assert done.code == 0, done.err
    assert seqc("train", "ragged.seq", sequences, "--out", "two", *same).code == 0
    assert (here / "one" / "metrics.csv").read_text() == (here / "two" / "metrics.csv").read_text()
    wrong = seqc("train", "ragged.seq", "table.csv", "--out", "three", *SCALE)
    assert wrong.code == 1 and "has no column for `u`" in wrong.err
    wrong = seqc("train", "ragged.seq", sequences, "--out", "three", "--inputs", "a", *SCALE)
    assert wrong.code == 1 and "name columns of a `.csv` file" in wrong.err
    wrong = seqc("train", "ragged.seq", sequences, "--out", "three", "--scale", "heat")
    assert wrong.code == 1 and "`--scale small=u`" in wrong.err


def test_sounds(here: Path) -> None:
    assert seqc("new", "effect.seq", "--kind", "audio").code == 0
    draw = np.random.default_rng(0).normal(0, 0.1, 2000)
    wav(here / "input.wav", draw)
    wav(here / "target.wav", np.tanh(3 * draw))
    done = seqc(
        "train", "effect.seq", "input.wav", "target.wav", "--epochs", 2, "--window", 100, "--warmup", 20
    )
    assert done.code == 0, done.err
    wav(here / "short.wav", draw[:-1])
    done = seqc("train", "effect.seq", "input.wav", "short.wav", "--out", "other")
    assert done.code == 1 and "has 1999 steps; expected 2000" in done.err
    done = seqc("train", "effect.seq", "input.wav", "none.wav", "--out", "other")
    assert done.code == 1 and "there is no data file `none.wav`" in done.err


def test_killed_within_epochs(here: Path, sequences: Path) -> None:
    """SIGKILL at any moment: with dropout, buckets, windows, a schedule and Adam the rest is the same to the bit."""
    options = ("--epochs", 6, "--batch", 4, "--val", 0.25, "--seed", 5, "--quiet", "--checkpoint", 0, *SCALE)
    assert process("train", "ragged.seq", sequences, "--out", "whole", *options).code == 0
    resume: tuple[str, ...] = ()
    for kill in range(3):
        started = subprocess.Popen(
            command("train", "ragged.seq", sequences, "--out", "killed", *options, *resume),
            env=environment(),
            cwd=here,
        )
        changed, before = 0, None
        while changed < 5 + 3 * kill and started.poll() is None:
            path = here / "killed" / "last.ckpt"
            now = path.stat().st_mtime_ns if path.exists() else None
            changed, before = changed + (now != before), now
            time.sleep(0.0005)
        started.send_signal(signal.SIGKILL)
        started.wait()
        resume = ("--resume",)
    done = process("train", "ragged.seq", sequences, "--out", "killed", *options, "--resume")
    assert done.code == 0, done.err
    for name in ("metrics.csv", "best.safetensors", "last.ckpt"):
        assert (here / "killed" / name).read_bytes() == (here / "whole" / name).read_bytes(), name


def test_a_checkpoint_cut_short_and_other_data(here: Path, sequences: Path) -> None:
    assert seqc("train", "ragged.seq", sequences, "--out", "run", "--epochs", 1, *SCALE).code == 0
    whole = (here / "run" / "last.ckpt").read_bytes()
    best = (here / "run" / "best.safetensors").read_bytes()
    (here / "run" / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    done = seqc("train", "ragged.seq", sequences, "--out", "run", "--epochs", 2, "--resume", *SCALE)
    assert done.code == 1 and "last.ckpt is not a whole safetensors file" in done.err
    assert "best.safetensors" in done.err and (here / "run" / "best.safetensors").read_bytes() == best
    more = ("--weights", here / "run" / "best.safetensors", "--out", "more", "--epochs", 1)
    assert seqc("train", "ragged.seq", sequences, *more, "--set", "gain=0.5").code == 0
    (here / "run" / "last.ckpt").write_bytes(whole)
    done = seqc(
        "train",
        "ragged.seq",
        sequences,
        "--out",
        "run",
        "--epochs",
        2,
        "--resume",
        "--set",
        "gain=1",
        *SCALE[:4],
    )
    assert done.code == 1 and "the training data changed" in done.err
    (here / "ragged.seq").write_text(RAGGED.replace("GRU(4)", "GRU(5)"))
    done = seqc("train", "ragged.seq", sequences, "--out", "run", "--epochs", 2, "--resume", *SCALE)
    assert done.code == 1 and "the source of the model changed" in done.err
    assert (here / "run" / "last.ckpt").read_bytes() == whole


def test_a_bar_on_a_terminal_alone(here: Path, sequences: Path) -> None:
    words = ("train", "ragged.seq", sequences, "--epochs", 2, "--batch", 2, *SCALE)
    main, child = pty.openpty()
    done = subprocess.Popen(
        command(*words, "--out", "run"), env=environment(TERM="xterm"), cwd=here, stderr=child, stdout=child
    )
    os.close(child)
    seen = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(main)
    assert done.wait() == 0 and b"epoch 1/2" in seen and b"loss" in seen
    plain = seqc(*words, "--out", "plain")
    assert "epoch 1/2" not in plain.err and "epoch 1: loss" in plain.err
    quiet = seqc(*words, "--out", "quiet", "--quiet")
    assert not quiet.err and not quiet.out
