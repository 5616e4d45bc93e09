"""LibraryEngine: runs a model in its compiled library, through the host extension `_host`.

Takes the manifest and the library's path, owns the arenas, raises EngineFault for codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .engine import Arenas, Array, EngineFault, Manifest, StateArrays
from .fault import BUSY, UNSUPPORTED, ModelError
from .layout import dtype_of, make_arenas

INFER, STEP, GENERATE = 0, 5, 6
MOST = 16
"""Inputs or outputs of a call by the short way."""


def symbol_of(manifest: Manifest) -> str:
    """What the library's C names begin with."""
    return str(manifest.get("symbol") or manifest["name"])


def _pointers(state: StateArrays | None) -> list[Array] | None:
    if state is None:
        return None
    pairs = [each for pair in zip(state.values, state.fresh, strict=True) for each in pair]
    return [*pairs, state.started]


def _name(path: Path) -> str:
    """A path of the file under which no other one was ever loaded: the loader answers a path that it knows with the library
    of then, although a build has put another file there since. The file's number is in it, in steps that lead nowhere."""
    try:
        number = path.stat().st_ino
    except OSError:
        return str(path)
    steps = "".join("/." if digit == "1" else "/" for digit in f"{number:b}")
    return f"{path.parent}{steps}/{path.name}"


def _open(path: Path, manifest: Manifest) -> tuple[Any, Any]:
    try:
        from . import _host  # type: ignore[attr-defined,unused-ignore]
    except ImportError as error:
        raise ModelError(
            f"the host extension `_host` is missing or does not fit this Python: {error}; in a folder of sources, "
            "which have none, start `python -P`, which takes what is installed"
        ) from error
    name = _name(path)
    try:
        library = _host.Library(name, symbol_of(manifest))
    except RuntimeError as error:
        reason = str(error).replace(name, str(path))
        raise ModelError(f"cannot load {path.name}: {reason}") from error
    return _host, library


def _check(library: Any, manifest: Manifest, path: Path) -> None:
    """A library and a manifest of different builds would read and write past their memory."""
    pairs = {
        "source_hash": manifest["source_hash"],
        "real_bytes": {"f32": 4, "f64": 8}[manifest["real"]],
        "parameters": len(manifest["parameters"]),
        "inputs": len(manifest["inputs"]),
        "outputs": len(manifest["outputs"]),
        "states": len(manifest["states"]),
        "hypers": len(manifest["hypers"]),
        "metrics": len(manifest["metrics"]),
        "plain_bytes": manifest["plain_bytes"],
        "optimizer_bytes": manifest["optimizer_bytes"],
    }
    for name, expected in pairs.items():
        found = getattr(library, name)
        if found != expected:
            raise ModelError(
                f"{path.name} belongs to another build: `{name}` is {found}, its manifest says {expected}"
            )


class LibraryEngine:
    """Computes in compiled code. Safe from several threads: training excludes every other use of the same engine."""

    def __init__(self, manifest: Manifest, path: Path | str, arenas: Arenas | None = None) -> None:
        """`arenas` are those of another model with the same parameters and hypers, to work on; else new ones."""
        self.manifest = manifest
        self._host, self.library = _open(Path(path), manifest)
        _check(self.library, manifest, Path(path))
        own = arenas is None
        self.arenas = arenas = make_arenas(manifest) if arenas is None else arenas
        if own:
            self.library.initial_optimizer(arenas.optimizer)
        self.embedded = own and self._embedded()
        self.memory = self._host.Memory(
            self.library, arenas.plain, arenas.optimizer, arenas.hyper, arenas.updates
        )
        self.touch()

    def _embedded(self) -> bool:
        weights = self.library.embedded()
        if weights is None:
            return False
        self.arenas.plain[:] = np.frombuffer(weights, np.uint8)
        return True

    def workspace_bytes(self, entry: int, steps: int, batch: int) -> int:
        """Bytes of workspace that a call of an entry point (its number in seqc_abi.h) takes."""
        return int(self.library.workspace_bytes(entry, steps, batch))

    def touch(self) -> None:
        """Packs the weights anew, into memory of its own: calls that are running keep what they have."""
        self._guard(self.memory.repack)

    @property
    def threads(self) -> int:
        """How many threads share a call. Results do not depend on it."""
        return int(self.memory.threads)

    @threads.setter
    def threads(self, count: int) -> None:
        self.memory.threads = count

    def mark(self, stale: bool) -> None:
        """Says whether weights may have changed since the last `touch`: a stepper then takes the slow way."""
        self.memory.stale = stale

    def reset_optimizer(self) -> None:
        self.library.initial_optimizer(self.arenas.optimizer)

    def _guard(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            fault = call(*arguments)
        except self._host.Busy:
            raise EngineFault(BUSY) from None
        if fault is not None:
            raise EngineFault(fault[0], fault[1:])

    def _forward(self, entry: int, inputs: Any, outputs: Any, state: Any, *moment: int) -> None:
        self._guard(self.memory.forward, entry, _pointers(state), list(inputs), list(outputs), *moment)

    def infer(
        self,
        inputs: Sequence[Array | None],
        outputs: Sequence[Array],
        state: StateArrays | None,
        steps: int,
        batch: int,
        seed: int,
        call: int,
    ) -> None:
        self._forward(INFER, inputs, outputs, state, steps, batch, seed, call, steps)

    def evaluate(
        self,
        inputs: Sequence[Array | None],
        state: StateArrays | None,
        steps: int,
        batch: int,
        seed: int,
        call: int,
    ) -> Array:
        scores = self._scores()
        self._guard(self.memory.evaluate, _pointers(state), list(inputs), scores, steps, batch, seed, call)
        return scores

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
    ) -> Array:
        scores = self._scores()
        wanted = [parameters, hypers, *input_gradients, *state_gradients]
        moment = (steps, batch, seed, call)
        self._guard(
            self.memory.gradients, _pointers(state), list(inputs), wanted, accumulate, scores, *moment
        )
        return scores

    def apply(self, gradients: Array) -> None:
        self._guard(self.memory.apply, gradients)

    def update(
        self, inputs: Sequence[Array | None], state: StateArrays | None, steps: int, batch: int, seed: int
    ) -> Array:
        scores = self._scores()
        self._guard(self.memory.update, _pointers(state), list(inputs), scores, steps, batch, seed)
        return scores

    def step(
        self,
        inputs: Sequence[Array | None],
        outputs: Sequence[Array],
        state: StateArrays | None,
        batch: int,
        seed: int,
        call: int,
    ) -> None:
        self._forward(STEP, inputs, outputs, state, 1, batch, seed, call, 1)

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
    ) -> None:
        self._forward(GENERATE, inputs, [*outputs, lengths], state, steps, batch, seed, call, given)

    def stepper(
        self,
        state: StateArrays,
        gate: list[None],
        batch: int,
        single: bool,
        seed: int,
        slow: Callable[..., Any],
    ) -> Callable[..., Any]:
        """A C callable that takes one instant's inputs and goes on from `state`; `slow` takes all unusual calls."""
        if "step" not in self.library.entries:
            raise EngineFault(UNSUPPORTED)

        def port(entry: Any) -> tuple[Any, list[int]]:
            return dtype_of(entry["kind"], self.manifest), list(entry["dims"])

        taken = [None if each["target"] or each["length"] else port(each) for each in self.manifest["inputs"]]
        results = [port(each) for each in self.manifest["outputs"]]
        made: Callable[..., Any] = self._host.stepper(
            self.memory, _pointers(state), gate, taken, results, batch, single, seed, slow
        )
        return made

    def runner(self, entry: str) -> Callable[[tuple[Any, ...], Any], Any] | None:
        """A C callable for `infer` or `update` that takes arrays as they are and answers NotImplemented to all unusual
        calls. Its second argument is `out`, or the seed."""
        inputs = self.manifest["inputs"]
        outputs = self.manifest["outputs"] if entry == "infer" else []
        several = max(len(inputs), len(outputs)) > MOST
        if any(each["length"] for each in inputs) or several or not hasattr(self._host, "Runner"):
            return None

        def stream(port: Any) -> Any:
            axes = port["axes"]
            return dtype_of(port["kind"], self.manifest), list(port["dims"]), "time" in axes, "batch" in axes

        taken = [None if each["target"] and entry == "infer" else stream(each) for each in inputs]
        runner = self._host.Runner(self.memory, taken, [stream(each) for each in outputs])
        made: Callable[[tuple[Any, ...], Any], Any] = getattr(runner, entry)
        return made

    def _scores(self) -> Array:
        return np.zeros(1 + len(self.manifest["metrics"]), np.float64)
