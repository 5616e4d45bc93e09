"""`seqc.windows`: a long recording cut into many short sequences, with targets some steps ahead where they are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import raw
from .engine import Array
from .fault import ModelError


def windows(x: Any, length: int, stride: int | None = None, horizon: int | None = None) -> Any:
    """Windows [length, N, dims] of a recording [T, dims], one beginning every `stride` steps (default: `length`).

    With `horizon`, a pair: the windows, and those of the same recording `horizon` steps later, which are the targets of
    a forecast. Steps that fill no window are left out. Raises ModelError if the recording is too short.
    """
    stride = length if stride is None else stride
    for name, value, least in (("length", length, 1), ("stride", stride, 1), ("horizon", horizon or 0, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ModelError(f"`{name}`: expected a whole number from {least}, found {value!r}")
    array = raw(x, "x")
    if array.ndim == 0:
        raise ModelError("`x`: expected a recording [T, dims], found one number")
    room = len(array) - length - (horizon or 0)
    if room < 0:
        raise ModelError(
            f"`x` has {len(array)} steps; expected at least {length + (horizon or 0)} for one window"
        )
    firsts = np.arange(0, room + 1, stride)
    found = _cut(array, firsts, length)
    return found if horizon is None else (found, _cut(array, firsts + horizon, length))


def _cut(array: Array, firsts: Array, length: int) -> Array:
    return np.ascontiguousarray(array[np.arange(length)[:, None] + firsts])
