"""Data sets for training: long recordings cut into parallel streams, or whole sequences taken in minibatches.

Takes arrays (or text) as a user has them, gives batches by number; which rows come when depends on seed and epoch only.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .arguments import public
from .engine import Array
from .fault import ModelError

if TYPE_CHECKING:
    from .model import Model

Arrays = dict[int, Array]
"""Arrays by number of the input; with a batch axis."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of the data a batch takes. `begins`: rows start anew; `counts`: the weights learn from it."""

    rows: tuple[int, ...] | None
    first: int
    end: int
    begins: bool
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """Arguments of one call by keyword, its rows, and how much its means weigh."""

    arrays: dict[str, Any]
    steps: int
    rows: int
    weight: float


class Data(Protocol):
    """What `fit` asks of a data set."""

    def plan(self, seed: int, epoch: int) -> Sequence[Slice]: ...

    def take(self, part: Slice) -> Batch: ...

    def place(self, part: Slice, step: int, row: int) -> str:
        """Where a value of a batch stands in the data, in words; `step` is below 0 for what is once."""

    def fingerprint(self) -> str: ...


def place_of_row(part: Slice, step: int, row: int) -> str:
    """Where a value of a batch stands among the sequences that its rows are."""
    sequence = (part.rows or ())[row]
    return f" for sequence {sequence}" if step < 0 else f" at step {part.first + step} of sequence {sequence}"


def fingerprint(arrays: Arrays) -> str:
    """A check of all values, by which a resumed run knows its data again."""
    value = 0
    for number, array in sorted(arrays.items()):
        value = zlib.crc32(f"{number} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return f"{value:08x}"


def slices(
    steps: int, window: int | None, warmup: int, rows: tuple[int, ...] | None, whole: bool
) -> list[Slice]:
    """The windows over `steps` steps: first `warmup` steps that only move the state, then windows that count.

    `whole` keeps a shorter window at the end.
    """
    if window is None or window >= steps - warmup:
        window = steps - warmup
    parts = [Slice(rows, 0, warmup, True, False)] if warmup else []
    for first in range(warmup, steps, window):
        end = min(first + window, steps)
        if end - first == window or whole:
            parts.append(Slice(rows, first, end, first == 0))
    return parts


def shuffled(count: int, seed: int, epoch: int) -> Array:
    """The numbers below `count` in an order that depends on seed and epoch alone."""
    keys = np.random.Philox(key=[seed, epoch]).random_raw(count)
    return np.argsort(np.atleast_1d(keys), kind="stable")


class Streams:
    """Long recordings [N, dims] as `rows` parallel streams: row r takes the r-th part, and its state is carried on."""

    def __init__(
        self,
        model: Model,
        arrays: Arrays,
        rows: int,
        window: int | None,
        warmup: int = 0,
        whole: bool = False,
    ) -> None:
        self.inputs: Sequence[Any] = model.manifest["inputs"]
        total = min(len(array) for number, array in arrays.items() if "time" in self.inputs[number]["axes"])
        # Streams of a validation are long beside their warm-up, which does not count.
        least = max(window or 1, 4 * warmup if whole else 1)
        self.rows = max(1, min(rows, total // max(1, min(least, total))))
        self.steps = total // self.rows
        if self.steps - warmup < 1:
            raise ModelError(
                f"{total} steps in {self.rows} streams are not more than the {warmup} of `warmup`"
            )
        self.window, self.warmup, self.whole = window, warmup, whole
        self.arrays = {number: self._cut(number, array) for number, array in arrays.items()}

    def _cut(self, number: int, array: Array) -> Array:
        """[N, dims] as [T, rows, dims]; what belongs to a whole sequence is the same for all its parts."""
        if "time" not in self.inputs[number]["axes"]:
            return np.ascontiguousarray(np.broadcast_to(array, (self.rows, *array.shape)))
        used = array[: self.rows * self.steps].reshape(self.rows, self.steps, *array.shape[1:])
        return np.ascontiguousarray(used.swapaxes(0, 1))

    def plan(self, seed: int, epoch: int) -> Sequence[Slice]:
        return slices(self.steps, self.window, self.warmup, None, self.whole)

    def take(self, part: Slice) -> Batch:
        named = {}
        for number, array in self.arrays.items():
            timed = "time" in self.inputs[number]["axes"]
            named[public(self.inputs[number]["name"])] = array[part.first : part.end] if timed else array
        steps = part.end - part.first
        return Batch(named, steps, self.rows, float(steps * self.rows))

    def place(self, part: Slice, step: int, row: int) -> str:
        return "" if step < 0 else f" at step {row * self.steps + part.first + step}"

    def fingerprint(self) -> str:
        return fingerprint(self.arrays)


class Sequences:
    """Whole sequences [T, N, dims] and values once [N, dims], `rows` of them in a batch, in an order drawn each epoch."""

    def __init__(
        self,
        model: Model,
        arrays: Arrays,
        rows: int,
        window: int | None = None,
        warmup: int = 0,
        steps: int | None = None,
        shuffle: bool = True,
    ) -> None:
        self.inputs: Sequence[Any] = model.manifest["inputs"]
        self.arrays, self.rows, self.window, self.warmup, self.shuffle = arrays, rows, window, warmup, shuffle
        timed = [array for number, array in arrays.items() if self._timed(number)]
        self.count = next(array.shape[1 if self._timed(number) else 0] for number, array in arrays.items())
        if steps is None and not timed:
            raise ModelError(
                "no input says how many steps to run; expected `steps=` (`--steps` of `seqc train`)"
            )
        self.steps: int = len(timed[0]) if timed else int(steps or 0)
        if self.steps - warmup < 1:
            raise ModelError(f"sequences of {self.steps} steps are not longer than the {warmup} of `warmup`")

    def _timed(self, number: int) -> bool:
        return "time" in self.inputs[number]["axes"]

    def plan(self, seed: int, epoch: int) -> Sequence[Slice]:
        order = shuffled(self.count, seed, epoch) if self.shuffle else np.arange(self.count)
        parts: list[Slice] = []
        for first in range(0, self.count, self.rows):
            rows = tuple(int(row) for row in order[first : first + self.rows])
            parts += slices(self.steps, self.window, self.warmup, rows, True)
        return parts

    def take(self, part: Slice) -> Batch:
        rows = list(part.rows or ())
        named = {}
        for number, array in self.arrays.items():
            chosen = array[part.first : part.end, rows] if self._timed(number) else array[rows]
            named[public(self.inputs[number]["name"])] = np.ascontiguousarray(chosen)
        steps = part.end - part.first
        return Batch(named, steps, len(rows), float(steps * len(rows)))

    def place(self, part: Slice, step: int, row: int) -> str:
        return place_of_row(part, step, row)

    def fingerprint(self) -> str:
        return fingerprint(self.arrays)
