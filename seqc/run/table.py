"""Tables as training data: CSV files and frames of pandas or polars, whose columns become the inputs of a model.

A frame is whatever has `columns` and gives each as an object with `to_numpy`; neither library is imported. Rows are
steps; a `group` column tells which rows belong to one sequence.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .engine import Array
from .fault import ModelError, unknown
from .layout import dtype_of

if TYPE_CHECKING:
    from .model import Model

FILE = "(file)"
"""The column that says from which of several files a row is."""

Columns = Mapping[str, str | Sequence[str]]
"""For an input, the column or the columns that make it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, all of one length; texts are read as numbers when a column is used.

    `inputs` and `targets` deal columns out in order, `group` names the column that tells sequences apart, `given` holds
    numbers of inputs that no column has.
    """

    columns: Mapping[str, Sequence[Any] | Array]
    name: str = "the table"
    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    group: str | None = None
    chosen: Columns = field(default_factory=dict)
    given: Mapping[str, float] = field(default_factory=dict)


SEPARATORS = ",;\t"
"""What stands between the cells of a table; in a file it is what its first line has most of."""


def is_frame(value: Any) -> bool:
    """Whether a value is a frame of pandas, polars or their like."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy") and hasattr(value, "__getitem__")


def from_frame(frame: Any) -> Table:
    """The columns of a frame."""
    return Table({str(name): frame[name].to_numpy() for name in frame.columns}, "the frame")


def read_csv(path: Path) -> Table:
    """A CSV file whose first line names its columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = [row for row in csv.reader(file, delimiter=max(SEPARATORS, key=first.count)) if row]
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path} is not a CSV file in UTF-8: {error}") from None
    if len(rows) < 2:
        raise ModelError(f"{path} holds no rows; expected a line of names and lines of numbers")
    names = [each.strip() for each in rows[0]]
    if any(_is_number(each) for each in names):
        raise ModelError(f"{path}: expected the names of the columns in the first line, found {rows[0][0]!r}")
    if len(set(names)) != len(names):
        twice = next(each for each in names if names.count(each) > 1)
        raise ModelError(f"{path}: the column `{twice}` is there twice")
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise ModelError(f"{path}, row {number}: expected {len(names)} cells, found {len(row)}")
    cells = zip(*rows[1:], strict=True)
    return Table({name: list(column) for name, column in zip(names, cells, strict=True)}, path.name)


TRUTHS = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0, "TRUE": 1.0, "FALSE": 0.0}
"""How Python, polars and spreadsheets write a truth into a table."""


def _number(cell: Any) -> float:
    """A cell as a number; ValueError for what is none, also for `1_0`, which Python alone takes for 10."""
    if isinstance(cell, str) and "_" in cell:
        raise ValueError
    return float(cell)


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def table_arrays(model: Model, table: Table, wanted: Sequence[int]) -> dict[str, Any]:
    """The `wanted` inputs of a model out of a table: one recording, or with `group` lists of sequences."""
    inputs = model.manifest["inputs"]
    columns = {**dealt(inputs, table), **{name: _several(each) for name, each in table.chosen.items()}}
    for name in columns:
        if name not in [each["name"] for each in inputs]:
            raise unknown("input", name, [each["name"] for each in inputs])
    groups = None if table.group is None else _groups(_names_of_sequences(table, table.group))
    found: dict[str, Any] = {}
    for each in (inputs[number] for number in wanted):
        if each["length"]:
            continue
        if each["name"] in table.given:
            found[each["name"]] = table.given[each["name"]]
            continue
        names = columns.get(each["name"]) or _own(table, each)
        whole = each["kind"] in ("int", "index", "bool")
        dtype = dtype_of(each["kind"], model.manifest)
        values = np.stack([_room(table, name, column_of(table, name, whole), dtype) for name in names], -1)
        shaped = values.reshape(len(values), *each["dims"])
        found[each["name"]] = _cut(shaped, groups, each, table.name)
    return found


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def size_of(each: Any) -> int:
    """How many numbers an input has at one step."""
    return int(np.prod(each["dims"], dtype=np.int64))


def dealt(inputs: Sequence[Any], table: Table) -> dict[str, tuple[str, ...]]:
    """The columns that `inputs` and `targets` name, dealt out in the order of the model."""
    found: dict[str, tuple[str, ...]] = {}
    for names, target, word in ((table.inputs, False, "inputs"), (table.targets, True, "targets")):
        if not names:
            continue
        ports = [each for each in inputs if each["target"] == target and not each["length"]]
        ports = [each for each in ports if each["name"] not in table.given]
        wanted = sum(size_of(each) for each in ports)
        if wanted != len(names):
            shown = ", ".join(f"`{each['name']}` ({size_of(each)})" for each in ports) or "none"
            raise ModelError(f"{word}: expected {wanted} columns for {shown}; found {len(names)}")
        first = 0
        for each in ports:
            found[each["name"]] = names[first : first + size_of(each)]
            first += size_of(each)
    return found


def _own(table: Table, each: Any) -> tuple[str, ...]:
    """The columns that bear an input's own name: `x`, or `x.0`, `x.1`, … (also `x_0` and `x0`) for its numbers."""
    name, size = str(each["name"]), size_of(each)
    if name in table.columns and size == 1:
        return (name,)
    for between in (".", "_", ""):
        names = tuple(f"{name}{between}{number}" for number in range(size))
        if each["dims"] and all(number in table.columns for number in names):
            return names
    expected = f"a column `{name}`" if not each["dims"] else f"columns `{name}.0` to `{name}.{size - 1}`"
    shown = ", ".join(f"`{column}`" for column in list(table.columns)[:12])
    raise ModelError(
        f"{table.name} has no column for `{name}`: expected {expected}, or say which are inputs and which are targets; "
        f"it has {shown}"
    )


def column_of(table: Table, name: str, whole: bool) -> Array:
    """One column as numbers; whole ones where that is wanted and they are."""
    if name not in table.columns:
        raise unknown("column", name, table.columns)
    values = table.columns[name]
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values
    array = np.empty(len(values), np.float64)
    for row, cell in enumerate(values):
        try:
            array[row] = TRUTHS[cell] if isinstance(cell, str) and cell in TRUTHS else _number(cell)
        except (TypeError, ValueError, OverflowError):
            raise ModelError(f"{_at(table, row)}: `{name}` holds {cell!r}; expected a number") from None
    if whole and bool((np.abs(array) < 2.0**63).all()) and bool((array == np.round(array)).all()):
        return array.astype(np.int64)
    return array


def _room(table: Table, name: str, values: Array, dtype: np.dtype[Any]) -> Array:
    """The same values; ModelError for a cell that is too large for the model's own numbers."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            large = np.isinf(values.astype(dtype))
    else:
        large = (values > 2.0**31 - 1) | (values < -(2.0**31))
    for row in np.flatnonzero(large):
        cell = table.columns[name][int(row)]
        if "inf" not in str(cell).lower():  # a cell that says so itself has a message of its own
            raise ModelError(
                f"{_at(table, int(row))}: `{name}` holds {str(cell)!r}, which is too large for {dtype}"
            )
    return values


def _at(table: Table, row: int) -> str:
    """Where a row stands: in its own file, where there are several."""
    files = table.columns.get(FILE)
    if files is None:
        return f"{table.name}, row {row + 1}"
    return f"{files[row]}, row {row + 1 - list(files).index(files[row])}"


def _names_of_sequences(table: Table, column: str) -> list[Any]:
    """What the column of a group says in each row: a number, a date, any word."""
    if column not in table.columns:
        raise unknown("column", column, table.columns)
    values = table.columns[column]
    names = values.tolist() if isinstance(values, np.ndarray) else [_name(cell) for cell in values]
    for row, name in enumerate(names):
        if name is None or name == "" or name != name:
            raise ModelError(f"{_at(table, row)}: `{column}` is empty, which names no sequence")
    if column == FILE or FILE not in table.columns:
        return names
    return list(zip(table.columns[FILE], names, strict=True))  # no sequence goes on in another file


def _name(cell: Any) -> Any:
    """A whole number as such, of any size, and another as the number that it is, so that 1 and 1.0 are one sequence."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    for kind in (int, _number):
        try:
            return kind(text) if "_" not in text else text
        except ValueError:
            continue
    return text


def _groups(names: list[Any]) -> list[slice]:
    """The runs of rows with one name."""
    edges = [0, *(row for row in range(1, len(names)) if names[row] != names[row - 1]), len(names)]
    if len({names[edge] for edge in edges[:-1]}) != len(edges) - 1:
        raise ModelError("the rows of a group must stand together; sort the table by its group and time")
    return [slice(first, end) for first, end in pairwise(edges)]


def _cut(values: Array, groups: list[slice] | None, each: Any, table: str) -> Any:
    """The values of one recording, or of each sequence; what is `once` must be one value in all its rows."""
    parts = [values[group] for group in groups] if groups is not None else [values]
    if "time" not in each["axes"]:
        for number, part in enumerate(parts):
            if bool((part != part[0]).any()):
                place = f" of sequence {number}" if groups is not None else ""
                raise ModelError(
                    f"{table}: `{each['name']}` is one value per sequence; expected it equal in all rows{place}"
                )
        once = np.stack([part[0] for part in parts])
        return once if groups is not None else once[0]
    return parts if groups is not None else values
