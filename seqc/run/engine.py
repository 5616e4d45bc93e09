"""Engine: what runs a model. Two kinds exist: the numpy evaluator and a compiled library.

`run.Model` owns arrays and checks arguments; an engine only computes. It imports nothing but numpy, so that the written
package can carry a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Manifest = Mapping[str, Any]
"""The parsed `model.json`; its schema is `seqc/emit/manifest.schema.json`.

{"schema": 1, "name", "seqc", "source_hash", "real": "f32" | "f64", "doc",
 "entries": ["infer", "evaluate", "gradients", "apply", "update", "step", "generate"],   # those that exist
 "causal": bool, "carried": bool, "stream": bool (has a stream input), "until": bool,
 "inputs":  [{"name", "kind": real|f32|f64|int|index|bool, "dims", "axes": ["time","batch"]|["batch"], "bound", "target", "length", "default", "doc"}],
 "outputs": [{"name", "kind", "dims", "axes", "bound"}],
 "metrics": [name], "hypers": [{"name", "kind", "value", "low", "high", "bound"}],
 "parameters": [{"name", "dims", "offset" (bytes in plain), "init" (nested list, see lower.program.Init), "trained": bool, "doc"}],
 "states": [{"name", "kind", "dims", "bound"}],
 "optimizer": [{"name": "<parameter>.<state>", "parameter", "dims", "offset"}],
 "plain_bytes", "packed_bytes", "optimizer_bytes",
 "train": {"clip", "window", "warmup", "seed", "memory"} | null, "library": file name, "target": {...}, "symbols": null | [...]}
"""


@dataclass(slots=True)
class Arenas:
    """Memory of one model: `plain` weights and `optimizer` states as bytes, `hyper` as float64, `updates` as int64[1]."""

    plain: Array
    optimizer: Array
    hyper: Array
    updates: Array


@dataclass(slots=True)
class StateArrays:
    """One carried state of B rows: for each state its values [B, *dims] and fresh bytes [B], and steps seen [B]."""

    values: list[Array]
    fresh: list[Array]
    started: Array


class EngineFault(Exception):
    """A code other than 0 (see seqc_abi.h) with input number, step, row and value."""

    def __init__(self, code: int, where: tuple[int, int, int, int] = (-1, -1, -1, 0)) -> None:
        super().__init__(f"engine code {code}")
        self.code = code
        self.where = where


class Engine(Protocol):
    """Computes entry points on arrays that are already checked: dense, right dtype, [T, B, *dims] or [B, *dims].

    `state` is advanced in place. `inputs` holds inputs then targets in manifest order, None where not given.
    Integers are int32, real float32 or float64. All raise EngineFault.
    """

    manifest: Manifest
    arenas: Arenas
    threads: int
    """How many threads share a call, from 1; results do not depend on it."""

    def touch(self) -> None:
        """Weights were changed from outside: derived copies must be made anew before the next call."""

    def mark(self, stale: bool) -> None:
        """Says whether weights may have changed since the last `touch`; for engines with a short cut round Model."""

    def reset_optimizer(self) -> None:
        """Gives the optimizer states their first values."""

    def infer(
        self,
        inputs: Sequence[Array | None],
        outputs: Sequence[Array],
        state: StateArrays | None,
        steps: int,
        batch: int,
        seed: int,
        call: int,
    ) -> None: ...

    def evaluate(
        self,
        inputs: Sequence[Array | None],
        state: StateArrays | None,
        steps: int,
        batch: int,
        seed: int,
        call: int,
    ) -> Array:
        """float64 [1 + metrics]: loss, then metrics."""
        ...

    def gradients(
        self,
        inputs: Sequence[Array | None],
        parameters: Array | None,
        hypers: Array | None,
        input_gradients: Sequence[Array | None],
        state_gradients: Sequence[Array | None],
        state: StateArrays | None,
        steps: int,
        batch: int,
        seed: int,
        call: int,
        accumulate: bool,
    ) -> Array: ...

    def apply(self, gradients: Array) -> None: ...

    def update(
        self, inputs: Sequence[Array | None], state: StateArrays | None, steps: int, batch: int, seed: int
    ) -> Array: ...

    def step(
        self,
        inputs: Sequence[Array | None],
        outputs: Sequence[Array],
        state: StateArrays | None,
        batch: int,
        seed: int,
        call: int,
    ) -> None: ...

    def generate(
        self,
        inputs: Sequence[Array | None],
        outputs: Sequence[Array],
        lengths: Array,
        state: StateArrays | None,
        steps: int,
        given: int,
        batch: int,
        seed: int,
        call: int,
    ) -> None: ...


REAL_DTYPES = {"f32": np.float32, "f64": np.float64}
