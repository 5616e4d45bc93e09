"""Reads training data from files: text, `.npy`, `.npz`.

Takes a path, gives what `fit` takes: a text or arrays; nothing in a file is ever executed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .fault import ModelError

TEXT_SUFFIXES = (".txt", ".py", ".md", ".rst", ".c", ".h", ".csv", ".seq")


def read_data(path: str | Path) -> str | dict[str, Any]:
    """A text, or arrays by name; one array of an `.npy` file has the name of the file."""
    path = Path(path)
    try:
        if path.suffix == ".npz":
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        if path.suffix == ".npy":
            return {path.stem: np.load(path, allow_pickle=False)}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} does not hold plain arrays: {error}") from None
    return read_text(path)


def read_text(path: str | Path) -> str:
    """The text of a file, or of all text files of a folder in the order of their paths."""
    path = Path(path)
    paths = [path]
    if path.is_dir():
        paths = sorted(each for each in path.rglob("*") if each.suffix in TEXT_SUFFIXES and each.is_file())
    parts = [_text(each) for each in paths]
    text = "\n".join(parts)
    if not text:
        raise ModelError(f"{path} holds no text")
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not text in UTF-8 (byte {error.start})") from None
