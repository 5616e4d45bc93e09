"""How long a cold build of a row's model takes: `seqc build` in a process of its own with an empty cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speed.models import text
from speed.runner import Result, Timing, quarters
from speed.work import Work

LIMIT = 6.0
"""Seconds that a cold build may take."""


def run(grid: str, work: Work, times: int) -> Result:
    """The row of one model."""
    spent = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="seqc-grid-") as name:
            folder = Path(name)
            (folder / "model.seq").write_text(text(work), encoding="utf-8")
            command = [
                sys.executable,
                "-m",
                "seqc",
                "build",
                str(folder / "model.seq"),
                "-o",
                str(folder / "out"),
            ]
            start = time.perf_counter()
            done = subprocess.run(
                command,
                env={**os.environ, "SEQC_CACHE": str(folder / "cache")},
                capture_output=True,
                text=True,
            )
            spent.append(time.perf_counter() - start)
            if done.returncode:
                return Result(grid, work, None, (), "", None, 0.0, None, 0.0, (done.stderr.strip(),))
    low, middle, high = quarters(spent)
    note = "within 6 s" if middle <= LIMIT else "ABOVE 6 s"
    return Result(
        grid, work, Timing("seqc", middle, low, high, tuple(spent)), (), "", None, 0.0, None, 0.0, (note,)
    )
