"""What a user hands to `fit`, made into arrays by input, and checked as a whole before anything is trained.

Takes a text, arrays by name or position, or lists with an array for each sequence; gives a Material. Every mistake in
the data is found here and named with its place among the user's own sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Binder
from .arrays import convert, shape_text
from .data import Arrays
from .engine import Array
from .fault import ModelError
from .lists import flattened
from .table import Columns, Table, from_frame, is_frame, table_arrays
from .texts import text_arrays

if TYPE_CHECKING:
    from .model import Model


@dataclass(frozen=True, slots=True)
class Material:
    """Arrays by input. `single`: one recording [T, dims]. With `lengths`, streams are [all steps, dims]; else [T, N, dims]."""

    arrays: Arrays
    single: bool
    lengths: Array | None = None


Opened = str | Table | Material | Mapping[str, Any] | Sequence[Any]
Source = Opened | Path
"""What a data set is made of: a text, a file, a table, arrays by name, or arrays by position; or what came of one before."""


def opened(source: Source) -> Opened:
    """What a path or a frame holds: a text, a table, or arrays by name; all else as it is."""
    if isinstance(source, tuple | list) and len(source) == 1:
        alone = source[0]
        if isinstance(alone, str | Path | Table | Material | Mapping) or is_frame(alone):
            source = alone
    if isinstance(source, str) and _names_a_file(source):
        raise ModelError(
            f'"{source}" is taken as a text of {len(source)} characters; a file is named by `pathlib.Path("{source}")`'
        )
    if isinstance(source, Path):
        from .read import read_data

        source = read_data(source)
    if is_frame(source) and not isinstance(source, Mapping):
        source = from_frame(source)
    return source


def _names_a_file(text: str) -> bool:
    """Whether somebody wrote the name of a file where a text stands."""
    from .read import DATA_SUFFIXES, TEXT_SUFFIXES

    if len(text.split()) != 1 or text != text.strip() or len(text) > 255:
        return False
    return text.lower().endswith((*DATA_SUFFIXES, *TEXT_SUFFIXES))


def gather(model: Model, source: Source, columns: Columns | None = None, entry: str = "update") -> Material:
    """All arrays of a data set. A frame's columns are the inputs that bear their names, or that `columns` names."""
    found = opened(source)
    if isinstance(found, Material):
        return found
    if isinstance(found, str):
        return Material(text_arrays(model, found), True)
    if entry == "update" and "update" not in model.manifest["entries"]:
        entry = "evaluate"
    binder = model._binder(entry)
    warned: set[str] | None = binder.warned
    if isinstance(found, Table):
        found = table_arrays(model, replace(found, chosen={**found.chosen, **(columns or {})}), binder.wanted)
        warned = None
    elif columns:
        raise ModelError("`columns` is for a frame or a CSV file; name arrays by the names of the inputs")
    args, named = ((), found) if isinstance(found, Mapping) else (found, {})
    placed = binder.place(args, named)
    listed = [
        number for number in binder.wanted if binder.streams(number) and _is_list(binder, number, placed)
    ]
    material = _listed(binder, placed, listed, warned) if listed else _arrays(binder, placed, warned)
    if not material.arrays:
        raise ModelError(f"{model.name} has no inputs to train on")
    check_values(binder.inputs, material)
    return material


def _arrays(binder: Binder, placed: Sequence[Any], warned: set[str] | None) -> Material:
    """Arrays [T, N, dims], or [T, dims] of one recording; with lengths their padding is taken away."""
    found = [
        None if each is None else convert(each, binder.inputs[number]["name"], binder.dtypes[number], warned)
        for number, each in enumerate(placed)
    ]
    single = binder.rank(found, None)
    arrays = {number: array for number, array in enumerate(found) if array is not None}
    length = next((number for number in arrays if binder.inputs[number]["length"]), None)
    timed = [number for number in arrays if binder.streams(number)]
    binder.sizes(found, single, None if timed else 1, None)
    if length is None:
        return Material(arrays, single)
    lengths = arrays.pop(length).reshape(-1)
    name, steps = binder.inputs[length]["name"], len(arrays[timed[0]]) if timed else None
    outside = (lengths < 1) if steps is None else (lengths < 1) | (lengths > steps)
    if outside.any():
        row = int(np.argmax(outside))
        limit = "" if steps is None else f" to {steps}, the number of steps"
        raise ModelError(
            f"`{name}` holds {int(lengths[row])} for sequence {row}; expected a length from 1{limit}"
        )
    if single:
        return Material(
            {n: each[: int(lengths[0])] if n in timed else each for n, each in arrays.items()}, True
        )
    return Material(
        {n: flattened(each, lengths) if n in timed else each for n, each in arrays.items()}, False, lengths
    )


def _is_list(binder: Binder, number: int, placed: Sequence[Any]) -> bool:
    """Whether a stream was given as a list with one array for each sequence."""
    value = placed[number]
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        value = list(value)
    if not isinstance(value, list | tuple):
        return False
    if not value:
        raise ModelError(f"`{binder.inputs[number]['name']}` holds no sequences; expected at least one")
    try:
        rank = np.ndim(value[0])
    except ValueError:  # rows of different lengths within the first sequence: its own message comes later
        return True
    return rank > len(binder.inputs[number]["dims"])


def _listed(
    binder: Binder, placed: Sequence[Any], listed: Sequence[int], warned: set[str] | None
) -> Material:
    """Lists of sequences as their steps one after another."""
    arrays: Arrays = {}
    names = [str(each["name"]) for each in binder.inputs]
    lengths: Array | None = None
    for number in binder.wanted:
        value = placed[number]
        if value is None or binder.inputs[number]["length"]:
            continue
        if not binder.streams(number):
            arrays[number] = convert(value, names[number], binder.dtypes[number], warned)
            if isinstance(value, int | float) and not binder.inputs[number]["dims"]:  # the same for all
                arrays[number] = np.full(len(placed[listed[0]]), arrays[number])
            continue
        if number not in listed:
            raise ModelError(
                f"`{names[listed[0]]}` is a list of sequences and `{names[number]}` is not; expected both alike"
            )
        parts = [_sequence(binder, number, row, each) for row, each in enumerate(value)]
        found = np.array([len(each) for each in parts], np.int64)
        if lengths is None:
            lengths = found
        _same_lengths(names[listed[0]], lengths, names[number], found)
        arrays[number] = np.concatenate(parts)
    assert lengths is not None
    _once(binder, arrays, len(lengths), names[listed[0]])
    given = next((number for number, each in enumerate(binder.inputs) if each["length"]), None)
    if given is not None and placed[given] is not None:
        told = convert(placed[given], names[given], binder.dtypes[given])
        _told(names[given], told, lengths)
    return Material(arrays, False, lengths)


def _sequence(binder: Binder, number: int, row: int, value: Any) -> Array:
    """One sequence of a list."""
    each = binder.inputs[number]
    name, dims = each["name"], list(each["dims"])
    array = convert(value, f"{name}[{row}]", binder.dtypes[number])
    if array.ndim != len(dims) + 1 or list(array.shape[1:]) != dims:
        found = shape_text(list(array.shape))
        raise ModelError(f"`{name}`, sequence {row}: expected {shape_text(dims, 'T')}, found {found}")
    if not len(array):
        raise ModelError(f"`{name}`, sequence {row} is empty; expected at least one step: leave it out")
    return array


def _same_lengths(first: str, lengths: Array, name: str, found: Array) -> None:
    if len(found) != len(lengths):
        raise ModelError(f"`{name}` has {len(found)} sequences; expected {len(lengths)}, as `{first}` has")
    if (found != lengths).any():
        row = int(np.argmax(found != lengths))
        raise ModelError(
            f"`{name}`, sequence {row} has {int(found[row])} steps; expected {int(lengths[row])}, as `{first}` has"
        )


def _once(binder: Binder, arrays: Arrays, count: int, first: str) -> None:
    """What belongs to a whole sequence needs a value for each."""
    for number, array in arrays.items():
        each = binder.inputs[number]
        if binder.streams(number):
            continue
        if list(array.shape) != [count, *each["dims"]]:
            expected, found = shape_text(list(each["dims"]), str(count)), shape_text(list(array.shape))
            raise ModelError(
                f"`{each['name']}`: expected {expected}, one for each of `{first}`; found {found}"
            )


def _told(name: str, told: Array, lengths: Array) -> None:
    if told.shape != lengths.shape or (told != lengths).any():
        raise ModelError(
            f"`{name}` is not the length of each sequence; leave it out: lists say it themselves"
        )


def check_values(inputs: Sequence[Any], material: Material) -> None:
    """Numbers are finite, indices in their range, and something has a label."""
    for number, array in material.arrays.items():
        each = inputs[number]
        if array.dtype.kind == "f":
            bad = ~np.isfinite(array)
            if bad.any():
                place = tuple(np.argwhere(bad)[0])
                where = _place(material, each, place)
                raise ModelError(
                    f"`{each['name']}` holds {array[place]}{where}; expected finite numbers: fill the gap, or leave "
                    "the sequence out"
                )
        elif each["kind"] == "index" and each.get("bound"):
            _check_index(material, each, array)
        elif each["kind"] == "bool" and each["target"] and array.size and not array.any():
            raise ModelError(f"`{each['name']}` is False everywhere, so it selects nothing to learn from")


def _check_index(material: Material, each: Any, array: Array) -> None:
    bad = array >= each["bound"] if each["target"] else (array < 0) | (array >= each["bound"])
    if bad.any():
        place = tuple(np.argwhere(bad)[0])
        more = " (or below 0 for no label)" if each["target"] else ""
        raise ModelError(
            f"`{each['name']}` holds {array[place]}{_place(material, each, place)}; "
            f"expected an index from 0 to {each['bound'] - 1}{more}"
        )
    if each["target"] and array.size and bool((array < 0).all()):
        raise ModelError(
            f"`{each['name']}` holds no label: all are below 0, so the loss selects nothing; expected some from 0"
        )


def _place(material: Material, each: Any, place: tuple[Any, ...]) -> str:
    """Where a value stands among the user's own sequences and steps."""
    first = int(place[0]) if place else 0
    if "time" not in each["axes"]:
        return "" if material.single else f" for sequence {first}"
    if material.lengths is not None:
        ends = np.cumsum(material.lengths)
        row = int(np.searchsorted(ends, first, "right"))
        return f" at step {first - int(ends[row] - material.lengths[row])} of sequence {row}"
    return f" at step {first}" + ("" if material.single else f" of sequence {int(place[1])}")


def split(model: Model, material: Material, share: float) -> tuple[Material, Material]:
    """The first part to train on and the last `share` to validate with: of the steps, or of the sequences."""
    if not 0 < share < 1:
        raise ModelError(f"`validation`: expected a share between 0 and 1, found {share}")
    inputs = model.manifest["inputs"]
    first, last = {}, {}
    rows = None if material.lengths is None else _cut(len(material.lengths), share, "the list of sequences")
    for number, array in material.arrays.items():
        timed = "time" in inputs[number]["axes"]
        if material.single and not timed:
            first[number] = last[number] = array
            continue
        axis = 1 if timed and not material.single and rows is None else 0
        if rows is None:
            cut = _cut(array.shape[axis], share, f"`{inputs[number]['name']}`")
        else:
            cut = int(material.lengths[:rows].sum()) if timed and material.lengths is not None else rows
        first[number], last[number] = np.split(array, [cut], axis)
    if material.lengths is None:
        return Material(first, material.single), Material(last, material.single)
    return Material(first, False, material.lengths[:rows]), Material(last, False, material.lengths[rows:])


def _cut(count: int, share: float, what: str) -> int:
    cut = round(count * (1 - share))
    if not 0 < cut < count:
        raise ModelError(f"{what} is too short to keep a share of {share} for validation")
    return cut
