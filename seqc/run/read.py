"""Reads training data from files: text, `.npy`, `.npz`, `.csv`, `.wav`, and folders of these.

Takes paths, gives what `fit` takes: a text, arrays by name, lists of sequences or a table; nothing in a file is ever
executed.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from .fault import ModelError
from .table import FILE, Table, read_csv
from .wav import read_wav

DATA_SUFFIXES = (".npz", ".npy", ".csv", ".wav")
TEXT_SUFFIXES = (".txt", ".py", ".md", ".rst", ".c", ".h", ".csv", ".seq")
DAMAGED = (
    *(ValueError, KeyError, EOFError, TypeError, RuntimeError),
    *(SyntaxError, TokenError, zlib.error, zipfile.BadZipFile),
)
"""What numpy raises where a file is not what its name says."""
MAGIC = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")
"""What a file of one array begins with, and an archive of several; numpy takes all else for pickled objects."""
NUMBERED = re.compile(r"(.+)\.(\d+)")

Found = str | dict[str, Any] | Table


class Files(dict[str, Any]):
    """Recordings by the names of their files, which need not be those of inputs, in the order in which they were named."""


def suffix_of(path: Path) -> str:
    """What the end of a file's name says that it holds; `.CSV` says the same as `.csv`."""
    return path.suffix.lower()


def read_data(path: str | Path) -> Found:
    """A text, arrays by name, or a table; one array of an `.npy` or `.wav` file has the name of the file.

    A folder is one of texts, or of `.npz` or `.csv` files with a sequence each, or of `.npy` or `.wav` files named like
    inputs.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    suffix = suffix_of(path)
    if suffix == ".npz":
        return read_npz(path)
    if suffix == ".csv":
        return read_csv(path)
    if suffix in (".npy", ".wav"):
        return _single_arrays([path])
    return read_text(path)


def read_several(paths: Sequence[Path]) -> Found:
    """Several files: one `.npy` or `.wav` for each input, in their order; else one sequence for each file."""
    if len(paths) == 1:
        return read_data(paths[0])
    suffixes = {suffix_of(each) for each in paths}
    if suffixes <= {".npy", ".wav"}:
        return _single_arrays(paths)
    if suffixes == {".npz"}:
        return _sequences(paths)
    if suffixes == {".csv"}:
        return _tables(paths)
    if suffixes & set(DATA_SUFFIXES):
        raise ModelError(f"the files are of several kinds: {', '.join(sorted(suffixes))}; expected one kind")
    return "\n".join(read_text(each) for each in paths)


def _folder(path: Path) -> Found:
    files = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    for kinds, read in (((".npz",), _sequences), ((".npy", ".wav"), _single_arrays), ((".csv",), _tables)):
        some = [each for each in files if suffix_of(each) in kinds]
        texts = [each for each in files if suffix_of(each) in TEXT_SUFFIXES and suffix_of(each) not in kinds]
        if some and not (kinds == (".csv",) and texts):
            return read(some)
    return read_text(path)


def _single_arrays(paths: Sequence[Path]) -> dict[str, Any]:
    """A recording for each file, by the name of the file."""
    found = Files()
    rates: dict[int, str] = {}
    for path in paths:
        if suffix_of(path) == ".wav":
            found[path.stem], rate = read_wav(path)
            rates.setdefault(rate, path.name)
        else:
            found[path.stem] = _npy(path)
    if len(found) != len(paths):
        raise ModelError("two files have one name; expected a name of its own for each input")
    if len(rates) > 1:
        shown = ", ".join(f"{name} has {rate}" for rate, name in rates.items())
        raise ModelError(f"the sounds differ in samples per second: {shown}; expected one rate")
    return found


def _npy(path: Path) -> Any:
    found = _loaded(path)
    if isinstance(found, dict):
        raise ModelError(f"{path} holds arrays by name; expected one array, or a name that ends in `.npz`")
    return found


def _loaded(path: Path) -> Any:
    """One array, or several by name, whatever the file is called."""
    try:
        with path.open("rb") as raw:
            begin = raw.read(6)
            if begin and not begin.startswith(MAGIC):
                raise ValueError("it is no file of numpy")
            raw.seek(0)
            found = np.load(raw, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except DAMAGED as error:
        raise ModelError(f"{path} does not hold plain arrays: {error}") from None


def read_npz(path: Path) -> dict[str, Any]:
    """Arrays by name; `x.0`, `x.1`, … are the sequences of `x`."""
    found = _loaded(path)
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds one array; expected arrays by name, or a name that ends in `.npy`")
    for name, each in found.items():
        if not isinstance(each, np.ndarray):
            raise ModelError(f"{path}: `{name}` is not an array; expected what `numpy.savez` writes")
    lists: dict[str, dict[int, Any]] = {}
    for name in list(found):
        match = NUMBERED.fullmatch(name)
        if match is not None:
            lists.setdefault(match[1], {})[int(match[2])] = found.pop(name)
    for name, parts in lists.items():
        if sorted(parts) != list(range(len(parts))) or name in found:
            raise ModelError(f"{path}: expected `{name}.0` to `{name}.{len(parts) - 1}`, each once")
        found[name] = [parts[number] for number in range(len(parts))]
    return found


def _sequences(paths: Sequence[Path]) -> dict[str, Any]:
    """The arrays of several files, each of which holds one sequence of every input."""
    several = [read_npz(path) for path in paths]
    for path, each in zip(paths, several, strict=True):
        if list(each) != list(several[0]) and sorted(each) != sorted(several[0]):
            expected, found = ", ".join(sorted(several[0])), ", ".join(sorted(each))
            raise ModelError(f"{path} holds {found}; expected {expected}, as {paths[0].name} does")
    return {name: [each[name] for each in several] for name in several[0]}


def _tables(paths: Sequence[Path]) -> Table:
    """Several tables with the same columns, as one whose sequences are told apart by a column of their paths."""
    several = [read_csv(path) for path in paths]
    for path, each in zip(paths, several, strict=True):
        if list(each.columns) != list(several[0].columns):
            raise ModelError(
                f"{path} has other columns than {paths[0].name}; expected the same, in one order"
            )
    columns: dict[str, Any] = {
        name: [cell for each in several for cell in each.columns[name]] for name in several[0].columns
    }
    counts = [len(next(iter(each.columns.values()))) for each in several]
    columns[FILE] = [str(path) for path, count in zip(paths, counts, strict=True) for _ in range(count)]
    return Table(columns, "the tables", group=FILE)


def read_text(path: str | Path) -> str:
    """The text of a file, or of all text files of a folder in the order of their paths."""
    path = Path(path)
    paths = [path]
    if path.is_dir():
        paths = sorted(
            each for each in path.rglob("*") if suffix_of(each) in TEXT_SUFFIXES and each.is_file()
        )
    parts = [_text(each) for each in paths]
    text = "\n".join(parts)
    if not text:
        raise ModelError(f"{path} holds no text")
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not text in UTF-8 (byte {error.start})") from None
