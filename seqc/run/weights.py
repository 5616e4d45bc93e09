"""Weights files: the parameters of one model by name, with the symbols that its indices stand for.

Saving is atomic; loading checks names, shapes and values first, and changes either everything or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .engine import Array, Manifest
from .fault import ModelError
from .layout import real_dtype, tensor
from .tensors import read_tensors, write_tensors


def parameters(manifest: Manifest, arena: Array) -> dict[str, Array]:
    """All parameters as views into an arena that is laid out like `plain`."""
    dtype = real_dtype(manifest)
    return {entry["name"]: tensor(arena, entry, dtype) for entry in manifest["parameters"]}


def save_weights(path: str | Path, manifest: Manifest, plain: Array, symbols: Sequence[str] | None) -> None:
    """Writes a file that every reader of safetensors understands."""
    metadata = {"model": str(manifest["name"]), "source_hash": str(manifest["source_hash"])}
    if symbols is not None:
        metadata["symbols"] = json.dumps(list(symbols))
    arrays = parameters(manifest, plain)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ModelError(f"`{name}` holds a number that is not finite; nothing was written")
    write_tensors(path, arrays, metadata)


def load_weights(path: str | Path, manifest: Manifest, plain: Array) -> list[str] | None:
    """Fills the arena from a file and gives the symbols stored with it."""
    own = parameters(manifest, plain)
    tensors, metadata = read_tensors(path, {name: array.shape for name, array in own.items()})
    dtype, name = real_dtype(manifest), Path(path).name
    ready = {key: fitting(tensors[key], dtype, f"{name}: `{key}`") for key in own}
    symbols = read_symbols(metadata, name)
    for key, array in own.items():
        array[...] = ready[key]
    return symbols


def fitting(array: Array, dtype: np.dtype[np.generic], what: str) -> Array:
    """An array of a file as the build's real numbers; float32 and float64 builds read each other's files."""
    if array.dtype.kind != "f":
        raise ModelError(f"{what} holds {array.dtype}; expected real numbers")
    with np.errstate(over="ignore"):
        converted: Array = array.astype(dtype)
    if not np.isfinite(converted).all():
        raise ModelError(f"{what} holds a number that is not finite")
    return converted


def read_symbols(metadata: dict[str, str], file: str) -> list[str] | None:
    """The symbol table in a file's metadata."""
    if "symbols" not in metadata:
        return None
    try:
        symbols = json.loads(metadata["symbols"])
    except (ValueError, RecursionError):
        symbols = None
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise ModelError(f"{file}: its symbol table cannot be read")
    return symbols
