"""Binds the arguments of a call to the inputs of a model: by position or name, with sizes checked and agreed upon.

Takes the manifest and what the user wrote, gives a Call: dense arrays in manifest order, T, B and whether the batch
axis was left out.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import convert, raw, shape_text
from .engine import Array, Manifest
from .fault import ModelError, unknown
from .layout import dtype_of

OPTIONS = ("self", "state", "out", "seed", "steps", "batch", "accumulate", "wrt")


WRT = ("parameters", "inputs", "states", "hypers")
"""What a loss can be derived by."""


def public(name: str) -> str:
    """The keyword for an input: its name, with an underscore where this is an option's name or a word of Python."""
    return name + "_" if name in OPTIONS or keyword.iskeyword(name) else name


@dataclass(slots=True)
class Call:
    """Arguments that are ready for an engine: arrays have a batch axis always; `single` says that it was added."""

    inputs: list[Array | None]
    steps: int
    batch: int
    single: bool


class Binder:
    """What one entry point takes. Made once for each model and entry."""

    def __init__(self, manifest: Manifest, entry: str, warned: set[str]) -> None:
        self.entry, self.warned = entry, warned
        self.inputs: Sequence[Any] = manifest["inputs"]
        self.dtypes = [dtype_of(each["kind"], manifest) for each in self.inputs]
        self.timeless = entry == "step"
        with_targets = entry in ("evaluate", "gradients", "update")
        self.wanted = [
            number
            for number, each in enumerate(self.inputs)
            if (with_targets or not each["target"]) and not (self.timeless and each["length"])
        ]
        self.names = {public(self.inputs[number]["name"]): number for number in self.wanted}

    def streams(self, number: int) -> bool:
        return "time" in self.inputs[number]["axes"] and not self.timeless

    def _optional(self, number: int) -> bool:
        each = self.inputs[number]
        return bool(each["length"]) or (self.entry in ("step", "generate") and bool(each["default"]))

    def bind(
        self,
        args: Sequence[Any],
        named: Mapping[str, Any],
        steps: int | None = None,
        batch: int | None = None,
    ) -> Call:
        """All of it for a whole sequence; `generate` binds with `gather` and sizes of its own."""
        arrays = self.gather(args, named)
        single = self.rank(arrays, batch)
        steps, rows = self.sizes(arrays, single, steps, batch)
        return Call(self.complete(arrays, single, steps, rows), steps, rows, single)

    def gather(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Array | None]:
        """Arrays by input number, as the user shaped them."""
        placed = self.place(args, named)
        return [None if value is None else self._array(number, value) for number, value in enumerate(placed)]

    def place(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """What the user gave by input number, untouched; None where nothing was given and nothing need be.

        Arguments by position pass over a length, unless there are enough of them for it, too.
        """
        order = self.wanted
        rest = [number for number in order if public(self.inputs[number]["name"]) not in named]
        if len(args) <= sum(not self.inputs[number]["length"] for number in rest):
            order = [number for number in order if not self.inputs[number]["length"]]
        if len(args) > len(order):
            takes = ", ".join(f"`{self.inputs[number]['name']}`" for number in self.wanted) or "nothing"
            raise ModelError(f"`{self.entry}` takes {takes}; found {len(args)} arguments")
        found: list[Any] = [None] * len(self.inputs)
        given: set[int] = set()
        for number, value in zip(order, args, strict=False):
            found[number] = value
            given.add(number)
        for name, value in named.items():
            number = self._number(name)
            if found[number] is not None:
                raise ModelError(f"`{name}` is given twice, by position and by name")
            found[number] = value
            given.add(number)
        for number in sorted(given):
            if found[number] is None and not self._optional(number):
                self._array(number, None)
        missing = [n for n in self.wanted if found[n] is None and not self._optional(n)]
        if missing:
            names = " and ".join(f"`{self.inputs[number]['name']}`" for number in missing)
            raise ModelError(f"`{self.entry}` needs {names}: {self._describe(missing[0])}")
        return found

    def _number(self, name: str) -> int:
        for known in (name, public(name)):
            if known in self.names:
                return self.names[known]
        for each in self.inputs:
            if each["name"] == name:
                raise ModelError(f"`{self.entry}` does not take `{name}`, which is a target or a length")
        raise unknown("input", name, self.names)

    def _array(self, number: int, value: Any) -> Array:
        return convert(value, self.inputs[number]["name"], self.dtypes[number], self.warned)

    def _describe(self, number: int) -> str:
        dims = self.inputs[number]["dims"]
        time = ["T"] if self.streams(number) else []
        return f"expected {shape_text(dims, *time, 'B')}, or {shape_text(dims, *time)} for one sequence"

    def rank(self, arrays: Sequence[Array | None], batch: int | None) -> bool:
        """True where the batch axis is left out; all arrays must agree."""
        found: list[tuple[bool, int]] = []
        for number, array in enumerate(arrays):
            if array is None:
                continue
            each = self.inputs[number]
            extra = array.ndim - len(each["dims"]) - self.streams(number)
            dims_fit = extra in (0, 1) and list(array.shape[array.ndim - len(each["dims"]) :]) == list(
                each["dims"]
            )
            if not dims_fit:
                raise ModelError(
                    f"`{each['name']}`: {self._describe(number)}; found {shape_text(list(array.shape))}"
                )
            found.append((extra == 0, number))
        for single, number in found[1:]:
            if single != found[0][0]:
                one, other = sorted((found[0], (single, number)), reverse=True)
                names = self.inputs[one[1]]["name"], self.inputs[other[1]]["name"]
                raise ModelError(
                    f"`{names[0]}` has no batch axis and `{names[1]}` has one; expected all arrays alike"
                )
        return found[0][0] if found else batch is None

    def sizes(
        self, arrays: Sequence[Array | None], single: bool, steps: int | None, batch: int | None
    ) -> tuple[int, int]:
        """T and B, agreed by all arrays and options."""
        steps = 1 if self.timeless else self._agree(arrays, "steps", 0, steps, self.streams)
        rows = 1 if single else self._agree(arrays, "batch", 1, batch, lambda number: True)
        if single and batch not in (None, 1):
            raise ModelError(f"batch = {batch}, but the arrays have no batch axis")
        return steps, rows

    def _agree(
        self, arrays: Sequence[Array | None], what: str, axis: int, asked: int | None, has: Any
    ) -> int:
        size, source = (None, "") if asked is None else (_count(asked, what), f"`{what}`")
        for number, array in enumerate(arrays):
            if array is None or not has(number):
                continue
            position = axis if self.streams(number) else 0
            found, name = array.shape[position], f"`{self.inputs[number]['name']}`"
            if size is None:
                size, source = found, name
            elif size != found:
                word = "steps" if what == "steps" else "rows"
                streams = [each for n, each in enumerate(arrays) if each is not None and self.streams(n)]
                turned = axis == 1 and any(each.shape[0] in (found, size) for each in streams)
                more = "; what has steps is [T, B, …], time first" if turned else ""
                raise ModelError(f"{name} has {found} {word}; expected {size}, as {source} has{more}")
        if size is None:
            raise ModelError(
                f"no input of `{self.entry}` says how many {what}; expected the option `{what}=`"
            )
        if size < 1:
            raise ModelError(
                f"{source} has no {'steps' if what == 'steps' else 'rows'}; expected at least one"
            )
        return int(size)

    def complete(
        self, arrays: Sequence[Array | None], single: bool, steps: int, batch: int
    ) -> list[Array | None]:
        """Adds the batch axis where it was left out, and lengths that say that rows are full."""
        ready: list[Array | None] = []
        for number, array in enumerate(arrays):
            if array is not None and single:
                array = array[:, None] if self.streams(number) else array[None]
            if array is None and self.inputs[number]["length"] and not self.timeless:
                array = np.full(batch, steps, np.int32)
            ready.append(array)
        return ready


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ModelError(f"`{what}`: expected a whole number, found {value!r}")
    return int(value)


def _count(value: Any, what: str) -> int:
    count = _whole(value, what)
    if count >= 2**31:
        raise ModelError(f"`{what}`: expected a whole number below 2^31, found {count}")
    return count


def count_of(value: Any, what: str) -> int:
    """A number of rows or steps, from 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ModelError(f"`{what}`: expected a whole number from 1, found {value!r}")
    return _count(value, what)


def wrt_of(value: Any) -> tuple[str, ...]:
    """What to derive by, out of a list of words; ModelError for anything else."""
    listed = isinstance(value, Iterable) and not isinstance(value, str | bytes | np.ndarray)
    wanted = tuple(value) if listed else (value,)
    for name in wanted:
        if not listed or not isinstance(name, str) or name not in WRT:
            raise ModelError(f"`wrt`: expected a list of some of {', '.join(WRT)}, found {name!r}")
    return wanted


def seed_of(value: Any) -> int:
    """A seed as 64 bits."""
    seed = _whole(value, "seed")
    if not 0 <= seed < 2**64:
        raise ModelError(f"`seed`: expected a whole number from 0 to 2^64 - 1, found {seed}")
    return seed


def check_out(
    out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str, others: Sequence[Array]
) -> Array:
    """`out=` must be exactly what a kernel can write into."""
    if type(out) is not np.ndarray:
        raise ModelError(f"`out` for `{name}`: expected a numpy array, found a {type(out).__name__}")
    if out.dtype != dtype or out.shape != shape:
        expected, found = f"{dtype} {list(shape)}", f"{out.dtype} {list(out.shape)}"
        raise ModelError(f"`out` for `{name}`: expected {expected}, found {found}")
    if not out.flags.carray:
        reason = "is read-only" if not out.flags.writeable else "is not dense (C-contiguous)"
        raise ModelError(f"`out` for `{name}` {reason}; expected a writable dense array")
    if any(np.may_share_memory(out, other) for other in others):
        raise ModelError(
            f"`out` for `{name}` overlaps an input, a weight or another output; expected memory of its own"
        )
    return out


__all__ = ["OPTIONS", "WRT", "Binder", "Call", "check_out", "count_of", "public", "raw", "seed_of", "wrt_of"]
