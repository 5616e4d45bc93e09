"""First values of parameters, from the initialisers that the manifest lists, keyed by (seed, name of the parameter).

The same seed gives the same numbers on every machine and numpy: only raw bits of a counter-based generator are used.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .engine import Array
from .fault import ModelError

Init = Sequence[Any]


class Draws:
    """Random numbers of one parameter, in float64."""

    def __init__(self, seed: int, name: str) -> None:
        self._bits = np.random.Philox(key=[seed & (2**64 - 1), zlib.crc32(name.encode())])

    def uniform(self, size: int) -> Array:
        """In [0, 1), 53 bits each."""
        raw = np.atleast_1d(self._bits.random_raw(size)) >> np.uint64(11)
        numbers: Array = raw.astype(np.float64) * 2.0**-53
        return numbers

    def normal(self, size: int) -> Array:
        """Mean 0, deviation 1, by Box and Muller."""
        half = (size + 1) // 2
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(half)))
        angle = 2.0 * np.pi * self.uniform(half)
        both: Array = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return both[:size]


def initial(init: Init, dims: Sequence[int], seed: int, name: str) -> Array:
    """The first values of the parameter `name`, as float64 of shape `dims`."""
    return _value(init, tuple(dims), Draws(seed, name))


def _value(init: Any, dims: tuple[int, ...], draws: Draws) -> Array:
    values: list[Any]
    if isinstance(init, int | float):
        return np.full(dims, float(init))
    how, *rest = init
    size = int(np.prod(dims, dtype=np.int64))
    if how in ("zeros", "ones"):
        return np.full(dims, 0.0 if how == "zeros" else 1.0)
    if how == "constant":
        return np.broadcast_to(np.asarray(rest[0], np.float64), dims).copy()
    if how == "glorot":
        reach = np.sqrt(6.0 / sum(_fans(dims)))
        centred: Array = 2.0 * draws.uniform(size).reshape(dims) - 1.0
        return np.asarray(centred * reach)
    if how == "orthogonal":
        return _orthogonal(dims, draws)
    if how == "eye":
        return np.eye(dims[0], dims[1])
    if how == "legendre":
        return legendre(dims, float(_number(rest[0])))
    values = [_value(each, dims, draws) for each in rest]
    if how == "uniform":
        return np.asarray(values[0] + (values[1] - values[0]) * draws.uniform(size).reshape(dims))
    if how == "normal":
        return np.asarray(values[0] + values[1] * draws.normal(size).reshape(dims))
    if how == "neg":
        return np.asarray(-values[0])
    operations = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
    if how not in operations:
        raise ModelError(f"the manifest holds an initialiser `{how}` that this version does not know")
    result: Array = operations[how](*values)
    return result


def _fans(dims: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers go in and come out of a matrix [out, in]."""
    out = dims[0] if dims else 1
    return int(np.prod(dims[1:], dtype=np.int64)), out


def _orthogonal(dims: tuple[int, ...], draws: Draws) -> Array:
    """Orthonormal rows or columns, whichever are fewer: QR of the tall form, signs fixed by the diagonal."""
    inside, out = _fans(dims)
    tall, narrow = max(inside, out), min(inside, out)
    q, r = np.linalg.qr(draws.normal(tall * narrow).reshape(tall, narrow))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    matrix = q if out >= inside else q.T
    return np.ascontiguousarray(matrix).reshape(dims)


def _number(init: Any) -> float:
    """A number, bare or as ("constant", v)."""
    return float(init if isinstance(init, int | float) else init[1])


def legendre(dims: Sequence[int], theta: float) -> Array:
    """How a Legendre memory of M numbers goes on in one step: [M, M] from itself, or [M] from its input.

    Voelker et al. 2019, equations 1 and 2: `theta m' = A m + B u` keeps the last `theta` steps of `u` as weights of
    Legendre polynomials; held input between steps (their appendix), so that both come out of one matrix exponential.
    """
    size = dims[0]
    row, column = np.arange(size)[:, None], np.arange(size)[None, :]
    signs = np.where(row < column, -1.0, (-1.0) ** (row - column + 1))
    whole = np.zeros((size + 1, size + 1))
    whole[:size, :size] = (2 * row + 1) * signs / theta
    whole[:size, size] = ((2 * row + 1) * (-1.0) ** row)[:, 0] / theta
    stepped = _exponential(whole)
    found = stepped[:size, :size] if len(dims) == 2 else stepped[:size, size]
    return np.ascontiguousarray(found)


def _exponential(matrix: Array) -> Array:
    """exp of a matrix: the series of a 2^-k part of it, squared k times."""
    halvings = max(0, int(np.ceil(np.log2(max(float(np.abs(matrix).sum(0).max()), 1e-30)))) + 1)
    part = matrix / 2.0**halvings
    term = total = np.eye(len(matrix))
    for order in range(1, 20):  # what is left out is below 0.5^20 / 20!
        term = term @ part / order
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return np.asarray(total)
