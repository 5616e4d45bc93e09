"""Element types and memory of a model, read from its manifest: dtypes of kinds, arenas, and named views into them.

Takes a manifest, gives arrays; knows nothing of engines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .engine import REAL_DTYPES, Arenas, Array, Manifest, StateArrays

ALIGNMENT = 64
_FIXED = {"f32": np.float32, "f64": np.float64, "int": np.int32, "index": np.int32, "bool": np.bool_}


def real_dtype(manifest: Manifest) -> np.dtype[Any]:
    """The dtype of `real` in this build."""
    return np.dtype(REAL_DTYPES[manifest["real"]])


def dtype_of(kind: str, manifest: Manifest) -> np.dtype[Any]:
    """The dtype that a value of `kind` has at the border."""
    return real_dtype(manifest) if kind == "real" else np.dtype(_FIXED[kind])


def is_real(kind: str) -> bool:
    return kind in ("real", "f32", "f64")


def aligned(size: int) -> Array:
    """`size` zero bytes at an address that vector instructions like."""
    block = np.zeros(size + ALIGNMENT, np.uint8)
    first = -block.ctypes.data % ALIGNMENT
    return block[first : first + size]


def make_arenas(manifest: Manifest) -> Arenas:
    """Memory for one model: weights and optimizer states zero, hypers at the values of the source."""
    hyper = np.array([entry["value"] for entry in manifest["hypers"]], np.float64)
    plain, optimizer = aligned(manifest["plain_bytes"]), aligned(manifest["optimizer_bytes"])
    return Arenas(plain, optimizer, hyper, np.zeros(1, np.int64))


def tensor(arena: Array, entry: Any, dtype: np.dtype[Any]) -> Array:
    """The array of one entry (`dims`, `offset`) of the manifest, as a view into its arena."""
    size = int(np.prod(entry["dims"], dtype=np.int64)) * dtype.itemsize
    first = entry["offset"]
    view: Array = arena[first : first + size].view(dtype).reshape(entry["dims"])
    return view


def make_state(manifest: Manifest, batch: int) -> StateArrays:
    """A state of `batch` rows, all fresh: each takes its initial values at its first step."""
    states = manifest["states"]
    values = [np.zeros((batch, *each["dims"]), dtype_of(each["kind"], manifest)) for each in states]
    fresh = [np.ones(batch, np.uint8) for _ in states]
    return StateArrays(values, fresh, np.zeros(batch, np.int64))
