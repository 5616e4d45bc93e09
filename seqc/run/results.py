"""What comes out of a call: arrays for outputs, named tuples of several, and gradients by name.

Takes the manifest and a bound call; makes arrays as the engine wants them and shows them as the user gave his.
"""

from __future__ import annotations

import keyword
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .arguments import Call, check_out
from .engine import Array, Manifest
from .fault import ModelError
from .layout import dtype_of, is_real


class Results:
    """The outputs of one model."""

    def __init__(self, manifest: Manifest) -> None:
        self.entries: Sequence[Any] = manifest["outputs"]
        self.names = [str(each["name"]) for each in self.entries]
        self.dtypes = [dtype_of(each["kind"], manifest) for each in self.entries]
        name = manifest["name"]
        make: Any = namedtuple
        fields = [_field(each) for each in self.names]  # `rename` makes positions of repeated ones
        self.several = make(f"{name}Outputs", fields, rename=True)
        self._generated = make(f"{name}Generated", [*fields, "lengths"], rename=True)

    def make(self, call: Call, steps: int | None, out: Any, plain: Array) -> list[Array]:
        """Arrays for the results, with a batch axis; `steps` None: no time axis. `out` is checked and used."""
        given = self._given(out)
        outputs: list[Array] = []
        for number, entry in enumerate(self.entries):
            shape = _shape(entry, call, steps)
            if given is None:
                outputs.append(np.empty(shape, self.dtypes[number]))
                continue
            seen = _without_batch(shape, entry, steps is not None) if call.single else shape
            others = [*(each for each in call.inputs if each is not None), *outputs, plain]
            outputs.append(
                check_out(given[number], seen, self.dtypes[number], entry["name"], others).reshape(shape)
            )
        return outputs

    def _given(self, out: Any) -> list[Any] | None:
        if out is None:
            return None
        if isinstance(out, Mapping):
            if sorted(map(str, out)) != sorted(self.names):
                expected, found = ", ".join(self.names), ", ".join(map(str, out))
                raise ModelError(f"`out`: expected arrays for {expected}, found {found}")
            return [out[name] for name in self.names]
        several = list(out) if isinstance(out, tuple | list) else [out]
        if len(several) != len(self.names):
            raise ModelError(f"`out`: expected {len(self.names)} arrays, found {len(several)}")
        return several

    def show(self, outputs: Sequence[Array], single: bool, out: Any) -> Any:
        """One array, or a named tuple of several; what the caller gave as `out` comes back as it is."""
        if out is not None:
            return out
        shown = self._shown(outputs, single)
        return shown[0] if len(shown) == 1 else self.several(*shown)

    def generated(self, outputs: Sequence[Array], lengths: Array, single: bool) -> Any:
        """All outputs and how many steps of each row count."""
        return self._generated(*self._shown(outputs, single), int(lengths[0]) if single else lengths)

    def _shown(self, outputs: Sequence[Array], single: bool) -> list[Array]:
        if not single:
            return list(outputs)
        return [_squeeze(array, entry) for array, entry in zip(outputs, self.entries, strict=True)]


def _field(name: str) -> str:
    """A name that a tuple can have: a word of Python gets an underscore, and one in front stands behind."""
    bare = name.lstrip("_")
    return f"{bare}_" if bare != name or keyword.iskeyword(name) else name


def _shape(entry: Any, call: Call, steps: int | None) -> tuple[int, ...]:
    time = (steps,) if "time" in entry["axes"] and steps is not None else ()
    rows = (call.batch,) if "batch" in entry["axes"] else ()
    return (*time, *rows, *entry["dims"])


def _without_batch(shape: tuple[int, ...], entry: Any, timed: bool) -> tuple[int, ...]:
    if "batch" not in entry["axes"]:
        return shape
    position = 1 if "time" in entry["axes"] and timed else 0
    return shape[:position] + shape[position + 1 :]


def _squeeze(array: Array, entry: Any) -> Array:
    timed = array.ndim > len(entry["dims"]) + ("batch" in entry["axes"])
    return array.reshape(_without_batch(array.shape, entry, timed))


def zeros_like(arrays: Sequence[Array | None], entries: Sequence[Any], wanted: bool) -> list[Array | None]:
    """Zeros where a gradient is wanted: for real values that were given; targets have none."""
    filled: list[Array | None] = [None] * len(entries)
    for number, (array, entry) in enumerate(zip(arrays, entries, strict=False)):
        if wanted and array is not None and is_real(entry["kind"]) and not entry.get("target", False):
            filled[number] = np.zeros_like(array)
    return filled


def by_name(
    arrays: Sequence[Array | None], entries: Sequence[Any], single: bool, streams: bool = True
) -> dict[str, Array]:
    """The arrays that are there, shaped as the values that they belong to."""
    named = {}
    for array, entry in zip(arrays, entries, strict=True):
        if array is not None:
            timed = streams and "time" in entry["axes"]
            named[entry["name"]] = (array[:, 0] if timed else array[0]) if single else array
    return named
