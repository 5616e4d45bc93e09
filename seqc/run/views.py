"""What a model shows of itself by name: parameters, optimizer states, hypers, gradients and scores.

Arrays are live views into the model's memory. A view of a parameter is a *lease*: while one lives, the model packs its
weights anew before each call, since nobody can know when the view is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .engine import Array, Manifest
from .fault import ModelError, unknown
from .layout import aligned, real_dtype, tensor


class Lease:
    """The base object of all views handed out together; numpy keeps it alive as long as any of them lives."""

    __slots__ = ("__array_interface__", "__weakref__", "_arena")

    def __init__(self, arena: Array) -> None:
        self._arena = arena
        self.__array_interface__ = dict(arena.__array_interface__)


class Views(Mapping[str, Array]):
    """Arrays by name, made when asked for. Assigning to a name copies values into the array."""

    def __init__(
        self, what: str, entries: Sequence[Any], dtype: np.dtype[Any], arena: Callable[[], Array]
    ) -> None:
        self._what, self._dtype, self._arena = what, dtype, arena
        self._entries = {entry["name"]: entry for entry in entries}

    @property
    def arena(self) -> Array:
        """The memory behind all of them, as bytes."""
        return self._arena()

    def __getitem__(self, name: str) -> Array:
        if name not in self._entries:
            raise unknown(self._what, name, self._entries)
        return tensor(self._arena(), self._entries[name], self._dtype)

    def __setitem__(self, name: str, value: Any) -> None:
        array = self[name]
        expected = f"{self._what} `{name}`: expected numbers of shape {list(array.shape)}"
        try:
            given = np.asarray(value)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ModelError(f"{expected}, found a {type(value).__name__}: {error}") from None
        if given.dtype.kind not in "fiub" or given.shape not in ((), array.shape):
            raise ModelError(f"{expected}, found {given.dtype} {list(given.shape)}")
        array[...] = given

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy or a pickle holds the numbers as they are now, in memory of its own."""
        return held, (self._what, list(self._entries.values()), self._dtype, self._arena().copy())

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {entry['dims']}" for name, entry in self._entries.items())
        return f"<{self._what}s: {shapes or 'none'}>"


def held(what: str, entries: Sequence[Any], dtype: np.dtype[Any], values: Array) -> Views:
    """Views into memory of their own, as kernels like it, that holds these bytes."""
    arena = aligned(values.nbytes)
    arena[...] = values
    return Views(what, entries, dtype, lambda: arena)


class Hypers(MutableMapping[str, float]):
    """Numbers that may change between calls, checked against the range that the source gives."""

    def __init__(self, manifest: Manifest, values: Array) -> None:
        self._entries = {entry["name"]: (number, entry) for number, entry in enumerate(manifest["hypers"])}
        self._values = values

    def _find(self, name: str) -> tuple[int, Any]:
        if name not in self._entries:
            raise unknown("hyper", name, self._entries)
        return self._entries[name]

    def __getitem__(self, name: str) -> float:
        number, entry = self._find(name)
        value = float(self._values[number])
        return int(value) if entry["kind"] in ("int", "index") else value

    def __setitem__(self, name: str, value: float) -> None:
        number, entry = self._find(name)
        self._values[number] = _checked(name, value, entry)

    def __delitem__(self, name: str) -> None:
        raise ModelError(f"hyper `{name}` cannot be removed; set it to a number")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(dict(self))


def _checked(name: str, value: Any, entry: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ModelError(f"hyper `{name}`: expected a number, found {value!r}") from None
    whole = entry["kind"] in ("int", "index")
    low, high = entry.get("low"), entry.get("high")
    if entry["kind"] == "index":
        low, high = 0, (entry.get("bound") or 2**31) - 1
    endless = number in (float("inf"), float("-inf")) and name != "clip"  # a norm without end clips nothing
    outside = (
        number != number
        or endless
        or (low is not None and number < low)
        or (high is not None and number > high)
    )
    if outside or (whole and number != int(number)):
        limits = "" if low is None else f" from {low:g}"
        limits += "" if high is None else f" up to {high:g}" if low is None else f" to {high:g}"
        raise ModelError(
            f"hyper `{name}`: expected a {'whole ' if whole else ''}number{limits}, found {value!r}"
        )
    return number


class Score(float):
    """A loss, with the metrics of the same call."""

    __slots__ = ("metrics",)
    metrics: dict[str, float]

    def __new__(cls, scores: Array, names: Sequence[str]) -> Score:
        score = super().__new__(cls, scores[0])
        score.metrics = {name: float(value) for name, value in zip(names, scores[1:], strict=True)}
        return score

    def __repr__(self) -> str:
        return f"Score({float(self)!r}, {self.metrics!r})" if self.metrics else f"Score({float(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Score, (np.array([float(self), *self.metrics.values()]), tuple(self.metrics)))


@dataclass(slots=True)
class Gradients:
    """Derivatives of one loss. `arena` holds those of the parameters, laid out as the weights are.

    `inputs` and `states` have entries for real values only; `states` only where a state was given.
    """

    score: Score
    parameters: Mapping[str, Array]
    inputs: dict[str, Array]
    states: dict[str, Array]
    hypers: dict[str, float]
    arena: Array
    hyper_array: Array

    def __reduce__(self) -> tuple[Any, ...]:
        """The parameters of a copy are views into its own arena."""
        parts = (self.score, self.parameters, self.inputs, self.states, self.hypers, self.hyper_array)
        return gathered, parts


def gathered(
    score: Score,
    parameters: Views,
    inputs: dict[str, Array],
    states: dict[str, Array],
    hypers: dict[str, float],
    hyper_array: Array,
) -> Gradients:
    """The gradients of a copy or a pickle."""
    return Gradients(score, parameters, inputs, states, hypers, parameters.arena, hyper_array)


def own_gradients(manifest: Manifest, value: Any, what: str) -> Gradients:
    """Gradients that fit a model; ModelError for anything else, `what` being the argument."""
    if not isinstance(value, Gradients):
        found = type(value).__name__
        raise ModelError(f"`{what}`: expected Gradients, made by `model.gradients(…)`, found a {found}")
    ours = {entry["name"]: tuple(entry["dims"]) for entry in manifest["parameters"]}
    theirs = {name: array.shape for name, array in value.parameters.items()}
    sizes = (value.arena.nbytes, value.hyper_array.size)
    dtypes = {array.dtype for array in value.parameters.values()} or {real_dtype(manifest)}
    fits = sizes == (manifest["plain_bytes"], len(manifest["hypers"])) and dtypes == {real_dtype(manifest)}
    if ours != theirs or not fits:
        raise ModelError(
            f"`{what}`: these are gradients of another model; expected those of {manifest['name']}"
        )
    return value


def parameter_views(manifest: Manifest, arena: Callable[[], Array], what: str = "parameter") -> Views:
    return Views(what, manifest["parameters"], real_dtype(manifest), arena)
