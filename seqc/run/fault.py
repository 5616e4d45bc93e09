"""ModelError, the one error that a model raises for what it is given, and the sentences behind an engine's codes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from .engine import EngineFault, Manifest

BAD_CALL, BAD_INDEX, BAD_LENGTH, COUNTED_LABEL, NOT_FINITE, UNSUPPORTED, BUSY = 1, 2, 3, 4, 5, 6, -1


TRAINS_NOTHING = (
    "its `train` record changes no parameter: all are frozen, or none that an optimizer has reaches the loss"
)


class ModelError(ValueError):
    """What was given does not fit the model; the text says what was expected and what was found.

    `code` is the engine's code where one was behind it (see seqc_abi.h), else 0; `where` is the place that came with it:
    number of the input, step, row and value.
    """

    def __init__(self, text: str, code: int = 0, where: tuple[int, int, int, int] = (-1, -1, -1, 0)) -> None:
        super().__init__(text)
        self.code = code
        self.where = where


class DiskError(ModelError):
    """A file or a folder could not be written: what was asked for fits, the disk refuses it."""


def distance(left: str, right: str) -> int:
    """Edits that lead from one name to another: insert, delete, replace, swap neighbours."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(right, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other)))
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                row[j] = min(row[j], older[j - 2] + 1)
    return row[-1]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant: same letters in other case, the same ending, or few edits away."""
    candidates = list(names)
    for other in candidates:
        if other.lower() == name.lower():
            return other
    endings = [other for other in candidates if other.endswith("." + name)]
    if len(endings) == 1:
        return endings[0]
    close = [
        (distance(name, other), other)
        for other in candidates
        if abs(len(other) - len(name)) <= len(name) // 3
    ]
    best = min(close, default=None)
    return best[1] if best is not None and best[0] <= max(1, len(name) // 3) else None


def unknown(what: str, name: object, names: Iterable[str]) -> ModelError:
    """The error for a name that the model does not have."""
    candidates = list(names)
    text = f"there is no {what} `{name}`"
    guess = nearest(str(name), candidates)
    if guess is not None:
        return ModelError(f"{text}; did you mean `{guess}`?")
    if not candidates:
        return ModelError(f"{text}; this model has no {what}")
    shown = ", ".join(f"`{each}`" for each in candidates[:12]) + (", …" if len(candidates) > 12 else "")
    return ModelError(f"{text}; expected one of {shown}")


def explain(fault: EngineFault, manifest: Manifest, entry: str, batched: bool = True) -> ModelError:
    """The sentence for an engine's code."""
    number, step, row, value = fault.where
    inputs = manifest["inputs"]
    which: Any = inputs[number] if 0 <= number < len(inputs) else None
    place = _place(step, row, batched)
    if fault.code == BAD_INDEX and which is not None:
        wanted = (
            f"expected an index from 0 to {which['bound'] - 1}" if which.get("bound") else "expected an index"
        )
        if which["target"]:
            wanted += " (or below 0 for no label)"
        return ModelError(f"`{which['name']}` holds {value}{place}; {wanted}", fault.code)
    if fault.code == BAD_LENGTH and which is not None:
        text = f"`{which['name']}` holds {value}{_place(-1, row, batched)}; expected a length from 0 to the number of steps"
        return ModelError(text, fault.code)
    if fault.code == BAD_CALL and (only := _only(manifest, entry)):
        return ModelError(
            f"`{entry}` takes {only}: the profile of this build names no other size", fault.code
        )
    texts = {
        BAD_INDEX: f"an index is out of range{place}",
        BAD_LENGTH: "a length is out of range",
        COUNTED_LABEL: f"the loss counts a step whose label is missing (an index below 0){place}",
        NOT_FINITE: "the loss or a gradient is not finite; nothing was changed",
        UNSUPPORTED: f"this model has no entry point `{entry}`",
        BUSY: "the model is being trained by another thread, or is in use while it should be trained",
    }
    text = texts.get(fault.code, f"`{entry}` refused the call (code {fault.code})")
    return ModelError(text, fault.code, fault.where)


def missing(entry: str, entries: Collection[str], trained: bool) -> str:
    """Why a model with these entry points lacks another; `trained`: its source has a `train` record."""
    if entry == "step":
        return "it cannot stream, because an output depends on steps to come"
    if entry == "generate":
        return "no input says what it is where none is given (`input x: … = prev y`)"
    if "infer" not in entries:
        return "it was built with `mode = streaming`, to run step by step"
    if "gradients" in entries:
        return TRAINS_NOTHING if trained else "its source has no `train` record"
    if "evaluate" in entries:
        return "it was built with `weights` of fewer bits; train a build of reals and load what it saves"
    return "its source has no loss"


def _only(manifest: Manifest, entry: str) -> str:
    """The sizes that an entry point was built for, if there are such."""
    only = manifest["only"]
    counts = [(only["batch"], "row")] if entry != "apply" else []
    if entry not in ("apply", "step", "generate"):
        counts.insert(0, (only["steps"], "step"))
    return " of ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)


def _place(step: int, row: int, batched: bool) -> str:
    words = ([f"step {step}"] if step >= 0 else []) + ([f"row {row}"] if row >= 0 and batched else [])
    return " at " + ", ".join(words) if words else ""
