"""Turns whatever a user hands in into the dense array that a kernel reads, and says what was expected where it cannot.

Takes numpy arrays, buffers, `__array__` and DLPack objects, lists and numbers. No copy is made where dtype and layout fit.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .engine import Array
from .fault import ModelError

_INT32 = np.iinfo(np.int32)


def raw(value: Any, name: str) -> Array:
    """An array of any dtype from any array-like object."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ModelError(f"`{name}`: expected an array without gaps, found a masked one; fill it first")
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if isinstance(value, str | bytes | dict | set) or value is None:
        raise ModelError(f"`{name}`: expected an array, found {_found(value)}")
    speaks_numpy = hasattr(value, "__array__") or hasattr(value, "__array_interface__")
    try:
        if hasattr(value, "__dlpack__") and not speaks_numpy:
            return np.asarray(np.from_dlpack(value))
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError, OverflowError) as error:
        if isinstance(value, list | tuple) and "inhomogeneous" in str(error):
            raise ModelError(
                f"`{name}`: expected an array, found {_found(value)} whose parts differ in shape; `fit`, `score` and "
                "`predict` take lists of sequences of different lengths"
            ) from None
        raise ModelError(f"`{name}`: expected an array, found {_found(value)}: {error}") from None


def _found(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def convert(value: Any, name: str, dtype: np.dtype[Any], warned: set[str] | None = None) -> Array:
    """A dense native array of `dtype`; `warned` remembers the names for which a loss of precision was told."""
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray and value.dtype.isnative:
        return value
    array = raw(value, name)
    if array.dtype != dtype:
        array = _cast(array, name, dtype, warned if hasattr(value, "dtype") else None)
    return np.require(array, dtype, ["C", "A"])


def _cast(array: Array, name: str, dtype: np.dtype[Any], warned: set[str] | None) -> Array:
    kind = array.dtype.kind
    if array.size == 0 and kind == "f":
        return array.astype(dtype)
    if dtype.kind == "f" and kind in "fiub":
        if (
            dtype.itemsize < array.dtype.itemsize
            and kind == "f"
            and warned is not None
            and name not in warned
        ):
            warned.add(name)
            text = f"`{name}`: {array.dtype} is converted to {dtype} (said once)"
            warnings.warn(text, UserWarning, stacklevel=_callers())
        with np.errstate(over="ignore"):
            return array.astype(dtype)
    if dtype.kind == "i" and kind in "iu":
        return _whole(array, name, dtype)
    if dtype.kind == "b" and kind in "iu" and bool(np.all((array == 0) | (array == 1))):
        return array.astype(dtype)
    if dtype.kind == "i" and kind == "f" and bool(np.isnan(array).any()):
        raise ModelError(f"`{name}`: expected whole numbers, found {array.dtype} with NaN")
    words = {"f": "numbers", "i": "whole numbers", "b": "True and False"}[dtype.kind]
    raise ModelError(f"`{name}`: expected {words} ({dtype}), found {array.dtype}")


def _callers() -> int:
    """How many calls up whoever handed the array in is: the first outside of this room."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == Path(__file__).parent:
        level, frame = level + 1, frame.f_back
    return level


def _whole(array: Array, name: str, dtype: np.dtype[Any]) -> Array:
    """int64 and its like to int32; a value that does not fit is named with its place."""
    info = np.iinfo(dtype)
    outside = (array < info.min) | (array > info.max)
    if bool(outside.any()):
        place = tuple(int(each) for each in np.argwhere(outside)[0])
        raise ModelError(
            f"`{name}` holds {array[place]} at {list(place)}; expected a whole number of 32 bits"
        )
    return array.astype(dtype)


def shape_text(dims: list[int], *axes: str) -> str:
    """`[T, B, 4]` for two axes and one dimension."""
    return "[" + ", ".join([*axes, *map(str, dims)]) + "]"
