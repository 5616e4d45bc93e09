"""Sequences of different lengths as a data set: batches of about one length, so that padding costs little.

Takes the steps of all sequences one after another and their lengths, gives padded batches and feeds the length input.
The order depends on seed and epoch only. Where sequences are cut into windows, those that have ended leave the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import public
from .data import Arrays, Batch, Slice, fingerprint, place_of_row, shuffled
from .engine import Array
from .fault import ModelError

if TYPE_CHECKING:
    from .model import Model


class Lists:
    """N sequences; streams are [all steps, dims], what is once is [N, dims].

    `bucket` batches are sorted together, with None all of them; without `shuffle` each batch takes the next sequences.
    """

    def __init__(
        self,
        model: Model,
        arrays: Arrays,
        lengths: Array,
        rows: int,
        window: int | None = None,
        warmup: int = 0,
        bucket: int | None = 16,
        shuffle: bool = True,
    ) -> None:
        self.inputs: Sequence[Any] = model.manifest["inputs"]
        self.arrays, self.lengths, self.rows = arrays, lengths, rows
        self.window, self.warmup, self.bucket, self.shuffle = window, warmup, bucket, shuffle
        self.begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        self.length = next((public(each["name"]) for each in self.inputs if each["length"]), None)
        self.by_step = any(each["target"] and "time" in each["axes"] for each in self.inputs)
        self._check(model.name)

    def _check(self, name: str) -> None:
        short, long = int(self.lengths.min()), int(self.lengths.max())
        if self.length is None and short != long:
            raise ModelError(
                f"the sequences have {short} to {long} steps, and {name} takes sequences of one length alone; "
                "give it `input n: length`, which `fit` fills in by itself"
            )
        if short <= self.warmup:
            row = int(np.argmax(self.lengths <= self.warmup))
            raise ModelError(
                f"sequence {row} has {int(self.lengths[row])} steps, which are not more than the "
                f"{self.warmup} of `warmup`; leave it out, or make `warmup` smaller"
            )

    def plan(self, seed: int, epoch: int) -> Sequence[Slice]:
        """Batches in the order of an epoch: shuffled, sorted by length within pools, and the batches shuffled.

        The rows of a batch are always sorted, the longest first.
        """
        count = len(self.lengths)
        order = shuffled(count, seed, epoch) if self.shuffle else np.arange(count)
        pool = count if self.bucket is None else self.rows * (self.bucket if self.shuffle else 1)
        batches: list[Array] = []
        for first in range(0, count, pool):
            part = order[first : first + pool]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[start : start + self.rows] for start in range(0, len(part), self.rows)]
        if self.shuffle:
            batches = [batches[number] for number in shuffled(len(batches), seed, 2**32 + epoch)]
        return [part for batch in batches for part in self._slices(batch)]

    def _slices(self, batch: Array) -> list[Slice]:
        """The windows of one batch, longest row first, so that the rows which go on are always its beginning."""
        lengths = self.lengths[batch]
        longest = int(lengths[0])
        window = self.window if self.window is not None else longest
        rows = tuple(int(row) for row in batch)
        parts = [Slice(rows, 0, self.warmup, True, False)] if self.warmup else []
        for first in range(self.warmup, longest, window):
            alive = int((lengths > first).sum())
            parts.append(Slice(rows[:alive], first, min(first + window, longest), first == 0))
        return parts

    def take(self, part: Slice) -> Batch:
        """The steps of a slice, padded with zeros."""
        rows = np.array(part.rows, np.int64)
        left = np.minimum(self.lengths[rows] - part.first, part.end - part.first)
        steps = int(left.max())
        places = self.begins[rows] + part.first + np.arange(steps)[:, None]
        named: dict[str, Any] = {}
        for number, array in self.arrays.items():
            each = self.inputs[number]
            if "time" in each["axes"]:
                chosen = np.take(array, places, 0, mode="clip")
                for row, count in enumerate(left):
                    chosen[count:, row] = 0
            else:
                chosen = array[rows]
            named[public(each["name"])] = np.ascontiguousarray(chosen)
        if self.length is not None:
            named[self.length] = left.astype(np.int32)
        weight = float(left.sum()) if self.by_step else float(len(rows))
        return Batch(named, steps, len(rows), weight)

    def place(self, part: Slice, step: int, row: int) -> str:
        """Where a value of a batch stands among the sequences."""
        return place_of_row(part, step, row)

    def fingerprint(self) -> str:
        """A check of all values and lengths."""
        return fingerprint({**self.arrays, len(self.inputs): self.lengths})


def flattened(array: Array, lengths: Array) -> Array:
    """[T, N, dims] as [all steps, dims], without the steps past each row's end."""
    there = np.arange(len(array)) < lengths[:, None]
    return np.ascontiguousarray(array.swapaxes(0, 1)[there])
