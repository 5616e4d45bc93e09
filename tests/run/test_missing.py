"""What a model says of an entry point that it lacks: what its source or its build left out, in the entries of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.driver import pipeline
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.run.fault import missing

LOSS = "  target t: real\n  loss = mean((y - t) ^ 2 over time, batch)\n"
TRAIN = "train M { update = SGD() }\n"


@pytest.mark.parametrize(
    ("loss", "train", "profile", "entry", "reason"),
    [
        ("", "", None, "update", "its source has no loss"),
        (LOSS, "", None, "update", "its source has no `train` record"),
        (
            LOSS,
            "train M { update = SGD()  freeze = w }\n",
            None,
            "update",
            "its `train` record changes no parameter",
        ),
        (LOSS, TRAIN, "byte", "gradients", "`weights` of fewer bits"),
        (LOSS, TRAIN, "byte", "update", "`weights` of fewer bits"),
        (LOSS, TRAIN, "stream", "infer", "`mode = streaming`"),
        (LOSS, TRAIN, "stream", "evaluate", "`mode = streaming`"),
        (LOSS, TRAIN, None, "generate", "no input says what it is"),
    ],
)
def test_the_reason_is_the_one(
    loss: str, train: str, profile: str | None, entry: str, reason: str, tmp_path: Path
) -> None:
    text = f"use std.optim: SGD\nmodel M {{\n  input x: real\n  param w: real = ones\n  y = w * x\n  output y\n{loss}}}\n{train}"
    text += "deploy byte of M { weights = int8(per = row) }\ndeploy stream of M { mode = streaming }\n"
    (tmp_path / "m.seq").write_text(text, encoding="utf-8")
    options = Options(deploy=profile)
    program = pipeline.program(Reader(tmp_path / "m.seq"), options)
    entries = pipeline.entries_of(program, pipeline.profile(program, options))
    assert entry not in entries and reason in missing(entry, entries, bool(train))
