"""Calls of the command line for tests: within this process where that is enough, as a process where it must be one.

Every call checks what holds for all: no traceback, and an exit code among those that are documented.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import seqc as package
from seqc.cli.main import app
from seqc.cli.report import guarded, use_json

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
INSTALLED = Path(package.__file__).resolve().parents[1]
"""Where the package under test lies: in this checkout, or where pip put it."""

TINY = """use std.optim: SGD

model Tiny {
  input  x: real[2]
  target y: real
  param  w: real[2] = normal(0.5)
  state  h = 0

  h = tanh(0.5 * prev h + sum(w * x))

  output h
  loss = mean((h - y) ^ 2 over time, batch)
}

train Tiny {
  update = SGD(lr = 0.1)
  window = 4
}
"""

WRITER = """use std.cells: Dense, Embedding, RNN
use std.losses: cross_entropy
use std.optim: Adam

model Writer {
  dim   V = 3, H = 8
  hyper temperature = 1.0

  input  text: index(V) = prev said
  target next: index(V)
  state  said: index(V) = 0

  logits = text |> Embedding(4) |> RNN(H) |> Dense(V)
  said   = categorical(logits, temperature)

  output said
  loss = mean(cross_entropy(logits, next) over time, batch)
}

train Writer {
  update = Adam(lr = 2e-2)
  window = 8
}
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What a call ended with."""

    code: int
    out: str
    err: str


def checked(done: Done) -> Done:
    """The same, if it is what every call must be."""
    assert "Traceback" not in done.out + done.err, done.err
    assert "seqc itself failed" not in done.out + done.err, done.err
    assert done.code in (0, 1, 2, 130), done
    return done


def seqc(*arguments: object) -> Done:
    """A call within this process."""
    out, err = io.StringIO(), io.StringIO()
    words = [str(each) for each in arguments]
    use_json(False)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = guarded(lambda **options: app(args=words, prog_name="seqc", **options))
    return checked(Done(code, out.getvalue(), err.getvalue()))


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment with changes; None removes."""
    found = {**os.environ, "PYTHONPATH": str(INSTALLED), "NO_COLOR": "1"}
    for name, value in changes.items():
        found.pop(name, None)
        if value is not None:
            found[name] = value
    return found


def command(*arguments: object) -> list[str]:
    """The command line of a call as a process of its own."""
    return [sys.executable, "-m", "seqc", *map(str, arguments)]


def process(*arguments: object, env: Mapping[str, str | None] | None = None, cwd: Path | None = None) -> Done:
    """A call as a process of its own, with changes of the environment."""
    found = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(**(env or {})),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )
    return checked(Done(found.returncode, found.stdout, found.stderr))
