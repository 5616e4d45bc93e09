"""What the scripts of this folder share: training on drawn minibatches, sequences of different lengths, the data's place.

Takes models that `seqc.load` made and numpy arrays; prints as it goes and gives losses and padded arrays.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent

Draw = Callable[[np.random.Generator], tuple[np.ndarray, ...]]
"""Draws the arguments of one update: arrays [T, B, sizes]."""


def need(path: Path, where: str) -> Path:
    """The path, if something is there; otherwise the program ends and says where the data comes from."""
    if not path.exists():
        sys.exit(f"there is nothing at {path}. {where}")
    return path


def train_on(model: Any, draw: Draw, updates: int, seed: int, every: int = 1000) -> float:
    """`updates` updates on minibatches drawn afresh; prints the mean loss of each `every`, gives seconds an update."""
    random, begin, recent = np.random.default_rng(seed), time.perf_counter(), []
    for number in range(1, updates + 1):
        recent.append(float(model.update(*draw(random), seed=seed)))
        if number % every == 0 or number == updates:
            print(f"  update {number:6}  loss {np.mean(recent):.6f}", flush=True)
            recent.clear()
    return (time.perf_counter() - begin) / updates


def pad(rows: Sequence[np.ndarray], fill: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [T_n, sizes] as one array [longest T, N, sizes], and their lengths [N]."""
    lengths = np.array([len(row) for row in rows], np.int32)
    padded = np.full((int(lengths.max()), len(rows), *rows[0].shape[1:]), fill, rows[0].dtype)
    for number, row in enumerate(rows):
        padded[: len(row), number] = row
    return padded, lengths
