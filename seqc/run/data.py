"""Data sets for training: long recordings cut into parallel streams, or whole sequences taken in minibatches.

Takes arrays (or text) as a user has them, gives batches by number; which rows come when depends on seed and epoch only.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .arguments import public
from .engine import Array
from .fault import ModelError
from .generate import encode

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

    def fingerprint(self) -> str: ...


def _fingerprint(arrays: Arrays) -> str:
    value = 0
    for number, array in sorted(arrays.items()):
        value = zlib.crc32(f"{number} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return f"{value:08x}"


def windows(
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
        self.rows = max(1, min(rows, total // max(1, min(window or 1, total))))
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
        return windows(self.steps, self.window, self.warmup, None, self.whole)

    def take(self, part: Slice) -> Batch:
        named = {}
        for number, array in self.arrays.items():
            timed = "time" in self.inputs[number]["axes"]
            named[public(self.inputs[number]["name"])] = array[part.first : part.end] if timed else array
        steps = part.end - part.first
        return Batch(named, steps, self.rows, float(steps * self.rows))

    def fingerprint(self) -> str:
        return _fingerprint(self.arrays)


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
            raise ModelError("no input says how many steps to run; expected the option `steps=`")
        self.steps: int = len(timed[0]) if timed else int(steps or 0)
        if self.steps - warmup < 1:
            raise ModelError(f"sequences of {self.steps} steps are not longer than the {warmup} of `warmup`")
        self.length = next((number for number, each in enumerate(self.inputs) if each["length"]), None)
        if self.length in arrays and window is not None and window < self.steps:
            raise ModelError("sequences of different lengths cannot be cut into windows; train them whole")
        if self.length in arrays and bool(np.any(arrays[self.length] < 1)):
            row = int(np.argmax(arrays[self.length] < 1))
            raise ModelError(f"sequence {row} is empty; expected at least one step")

    def _timed(self, number: int) -> bool:
        return "time" in self.inputs[number]["axes"]

    def plan(self, seed: int, epoch: int) -> Sequence[Slice]:
        order = np.arange(self.count)
        if self.shuffle:
            keys = np.random.Philox(key=[seed, epoch]).random_raw(self.count)
            order = np.argsort(np.atleast_1d(keys), kind="stable")
        parts: list[Slice] = []
        for first in range(0, self.count, self.rows):
            rows = tuple(int(row) for row in order[first : first + self.rows])
            parts += windows(self.steps, self.window, self.warmup, rows, True)
        return parts

    def take(self, part: Slice) -> Batch:
        rows = list(part.rows or ())
        named = {}
        for number, array in self.arrays.items():
            chosen = array[part.first : part.end, rows] if self._timed(number) else array[rows]
            named[public(self.inputs[number]["name"])] = np.ascontiguousarray(chosen)
        steps = part.end - part.first
        counted = float(steps * len(rows))
        if self.length in self.arrays and self._targets_in_time():
            counted = float(self.arrays[self.length][rows].sum())
        return Batch(named, steps, len(rows), counted)

    def _targets_in_time(self) -> bool:
        """Whether means are probably taken over steps, and not over sequences."""
        return any(each["target"] and "time" in each["axes"] for each in self.inputs)

    def fingerprint(self) -> str:
        return _fingerprint(self.arrays)


def symbols_of(text: str) -> list[str]:
    """The distinct characters of a text, in order of their code."""
    return sorted(set(text))


def text_arrays(model: Model, text: str) -> Arrays:
    """A text as the two streams of a character model: each character, and the one that follows it."""
    name = model.name
    streams = [
        n
        for n, each in enumerate(model.manifest["inputs"])
        if each["kind"] == "index" and each["axes"][0] == "time"
    ]
    given = [number for number in streams if not model.manifest["inputs"][number]["target"]]
    wanted = [number for number in streams if model.manifest["inputs"][number]["target"]]
    if len(given) != 1 or len(wanted) != 1 or len(model.manifest["inputs"]) != 2:
        raise ModelError(f"{name} cannot be trained on text: expected one index input and one index target")
    if model.symbols is None:
        symbols = symbols_of(text)
        bound = int(model.manifest["inputs"][given[0]]["bound"])
        if len(symbols) > bound:
            raise ModelError(f"the text has {len(symbols)} distinct characters, {name} has room for {bound}")
        model.symbols = symbols
    if len(text) < 2:
        raise ModelError("the text is too short; expected at least two characters")
    codes = encode(text, model.symbols, "the text")
    return {given[0]: codes[:-1], wanted[0]: codes[1:]}


Source = str | Mapping[str, Any] | Sequence[Any]
"""What a data set is made of: a text, arrays by name, or arrays by position."""


def gather(model: Model, source: Source) -> tuple[Arrays, bool]:
    """Arrays by input and whether they are one recording without a batch axis."""
    if isinstance(source, str):
        return text_arrays(model, source), True
    binder = model._binder("update")
    args, named = ((), source) if isinstance(source, Mapping) else (source, {})
    if len(args) == 1 and isinstance(args[0], str):
        return text_arrays(model, args[0]), True
    found = binder.gather(args, named)
    arrays = {number: array for number, array in enumerate(found) if array is not None}
    single = binder.rank(found, None)
    if not arrays:
        raise ModelError(f"{model.name} has no inputs to train on")
    if any("time" in binder.inputs[number]["axes"] for number in arrays):
        binder.sizes(found, single, None, None)
    return arrays, single


def split(model: Model, arrays: Arrays, single: bool, share: float) -> tuple[Arrays, Arrays]:
    """The first part to train on and the last `share` to validate with: of the steps, or of the sequences."""
    if not 0 < share < 1:
        raise ModelError(f"`validation`: expected a share between 0 and 1, found {share}")
    inputs = model.manifest["inputs"]

    def axis(number: int) -> int | None:
        timed = "time" in inputs[number]["axes"]
        return (0 if timed else None) if single else (1 if timed else 0)

    first, last = {}, {}
    for number, array in arrays.items():
        position = axis(number)
        if position is None:
            first[number] = last[number] = array
            continue
        cut = round(array.shape[position] * (1 - share))
        if not 0 < cut < array.shape[position]:
            raise ModelError(
                f"`{inputs[number]['name']}` is too short to keep a share of {share} for validation"
            )
        first[number], last[number] = np.split(array, [cut], position)
    return first, last
