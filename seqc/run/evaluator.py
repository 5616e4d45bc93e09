"""EvaluatorEngine: runs and trains a model in numpy, through the interpreter of Flow. No compiler is needed.

Takes the manifest, the Flow of each entry point, of the update and of the first optimizer states. It is the oracle of
compiled code, and is not copied into packages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqc.flow.types import Flow
from seqc.ops.evaluate import compile_flow

from .engine import Arenas, Array, EngineFault, Manifest, StateArrays
from .fault import BAD_INDEX, BAD_LENGTH, NOT_FINITE
from .guard import Guard, reads, trains
from .labels import missing_label, within
from .layout import make_arenas, real_dtype, tensor
from .weights import parameters

Leaves = dict[tuple[str, str], Any]


class EvaluatorEngine:
    """The numpy meaning of a model behind the same protocol as its library."""

    def __init__(
        self,
        manifest: Manifest,
        flows: Mapping[str, Flow],
        apply_flow: Flow | None = None,
        initial_flow: Flow | None = None,
        dtype: Any = None,
    ) -> None:
        self.manifest = manifest
        self.flows, self._apply, self._initial = flows, apply_flow, initial_flow
        self.dtype = np.dtype(dtype) if dtype is not None else real_dtype(manifest)
        self.arenas: Arenas = make_arenas(manifest)
        self._parameters = parameters(manifest, self.arenas.plain)
        entries, real = manifest["optimizer"], real_dtype(manifest)
        self._optimizer = {each["name"]: tensor(self.arenas.optimizer, each, real) for each in entries}
        self._guard = Guard()
        self.threads = 1  # taken note of only: numpy computes as it likes
        self.reset_optimizer()

    def touch(self) -> None:
        """Nothing is derived from the weights here."""

    def mark(self, stale: bool) -> None:
        """There is no short cut round Model here."""

    def reset_optimizer(self) -> None:
        if self._initial is None:
            return
        values = compile_flow(self._initial).run(self._numbers(), 1, 1, self.dtype)
        for name, array in self._optimizer.items():
            array[...] = values[f"o.{name}"]

    def _numbers(self) -> Leaves:
        names = (each["name"] for each in self.manifest["hypers"])
        leaves: Leaves = {
            ("hyper", name): value for name, value in zip(names, self.arenas.hyper, strict=True)
        }
        return leaves | {("step", ""): int(self.arenas.updates[0])}

    def _leaves(self, inputs: Sequence[Array | None], state: StateArrays | None) -> Leaves:
        leaves = self._numbers() | {("param", name): array for name, array in self._parameters.items()}
        for each, array in zip(self.manifest["inputs"], inputs, strict=True):
            if array is not None:
                leaves["input", each["name"]] = array
        if state is not None:
            for each, values, fresh in zip(self.manifest["states"], state.values, state.fresh, strict=True):
                leaves["carried", each["name"]] = values
                leaves["fresh", each["name"]] = fresh.astype(np.bool_)
        return leaves

    def _length(self, inputs: Sequence[Array | None]) -> Array | None:
        for each, array in zip(self.manifest["inputs"], inputs, strict=True):
            if each["length"]:
                return array
        return None

    def _check(self, inputs: Sequence[Array | None], steps: int | None, given: int | None = None) -> None:
        """Refuses indices and lengths out of range, except in padding, before anything is computed."""
        lengths = self._length(inputs) if steps is not None else None
        for number, (each, array) in enumerate(zip(self.manifest["inputs"], inputs, strict=True)):
            if array is None:
                continue
            if each["length"]:
                self._refuse(BAD_LENGTH, number, array, (array < 0) | (array > (steps or 1)), False)
            elif each["kind"] == "index":
                timed = "time" in each["axes"] and steps is not None
                bad = array >= each["bound"] if each["target"] else (array < 0) | (array >= each["bound"])
                if timed and lengths is not None:
                    bad &= within(array, lengths)
                if timed and given is not None and each["default"]:
                    bad[given:] = False
                self._refuse(BAD_INDEX, number, array, bad, timed)

    def _refuse(self, code: int, number: int, array: Array, bad: Array, timed: bool) -> None:
        if not bad.any():
            return
        place = tuple(int(each) for each in np.argwhere(bad)[0])
        step, row = place[:2] if timed else (-1, place[0])
        raise EngineFault(code, (number, step, row, int(array[place])))

    def _scores(self, found: Mapping[str, Array], inputs: Sequence[Array | None]) -> Array:
        names = ["loss", *(f"metric.{name}" for name in self.manifest["metrics"])]
        scores = np.array([float(found[name]) for name in names], np.float64)
        if np.isnan(scores[0]):
            missing_label(self.manifest, inputs)
        return scores

    def _run(
        self,
        entry: str,
        leaves: Leaves,
        state: StateArrays | None,
        moment: tuple[int, int, int, int],
        roots: Any = None,
    ) -> dict[str, Array]:
        steps, batch, seed, call = moment
        started = None if state is None else state.started
        runner = compile_flow(self.flows[entry])
        return runner.run(leaves, steps, batch, self.dtype, seed, call, started, 0, roots)

    def _advance(self, found: Mapping[str, Array], state: StateArrays | None, count: Any) -> None:
        if state is None:
            return
        for each, values, fresh in zip(self.manifest["states"], state.values, state.fresh, strict=True):
            root = f"state.{each['name']}"
            if root in found:
                values[...] = found[root]
                fresh[...] = 0
        state.started += count

    def _count(self, inputs: Sequence[Array | None], steps: int) -> Any:
        lengths = self._length(inputs)
        return steps if lengths is None else lengths.astype(np.int64)

    def _write(self, found: Mapping[str, Array], outputs: Sequence[Array]) -> None:
        for each, out in zip(self.manifest["outputs"], outputs, strict=True):
            out[...] = found[f"output.{each['name']}"]

    @reads
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
        self._check(inputs, steps)
        found = self._run("infer", self._leaves(inputs, state), state, (steps, batch, seed, call))
        self._write(found, outputs)
        self._advance(found, state, self._count(inputs, steps))

    @reads
    def evaluate(
        self,
        inputs: Sequence[Array | None],
        state: StateArrays | None,
        steps: int,
        batch: int,
        seed: int,
        call: int,
    ) -> Array:
        self._check(inputs, steps)
        found = self._run("evaluate", self._leaves(inputs, state), state, (steps, batch, seed, call))
        scores = self._scores(found, inputs)
        self._advance(found, state, self._count(inputs, steps))
        return scores

    @reads
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
        wanted = self._targets(parameters, hypers, input_gradients, state_gradients)
        self._check(inputs, steps)
        flow = self.flows["gradients"]
        prefixes = ("loss", "metric.", "state.")
        roots = [name for name in flow.roots if name.startswith(prefixes) or name in wanted]
        leaves = self._leaves(inputs, state)
        found = self._run("gradients", leaves, state, (steps, batch, seed, call), roots)
        scores = self._scores(found, inputs)
        for name, array in wanted.items():
            value = found.get(name, 0)
            array[...] = array + value if accumulate else value
        self._advance(found, state, self._count(inputs, steps))
        return scores

    def _targets(
        self,
        plain: Array | None,
        hypers: Array | None,
        inputs: Sequence[Array | None],
        states: Sequence[Array | None],
    ) -> dict[str, Array]:
        """Where each root of the gradients goes."""
        wanted: dict[str, Array] = {}
        if plain is not None:
            wanted |= {f"grad.{name}": array for name, array in parameters(self.manifest, plain).items()}
        if hypers is not None:
            for number, each in enumerate(self.manifest["hypers"]):
                wanted[f"grad.hyper.{each['name']}"] = hypers[number : number + 1].reshape(())
        for what, arrays in (("input", inputs), ("state", states)):
            for each, array in zip(self.manifest[f"{what}s"], arrays, strict=True):
                if array is not None:
                    wanted[f"grad.{what}.{each['name']}"] = array
        return wanted

    @trains
    def apply(self, gradients: Array) -> None:
        self._use(parameters(self.manifest, gradients))

    def _use(self, gradients: Mapping[str, Array]) -> None:
        """One step of the optimizer."""
        assert self._apply is not None
        leaves = self._numbers()
        leaves |= {("input", f"w.{name}"): array for name, array in self._parameters.items()}
        leaves |= {("input", f"g.{name}"): array for name, array in gradients.items()}
        leaves |= {("input", f"o.{name}"): array for name, array in self._optimizer.items()}
        found = compile_flow(self._apply).run(leaves, 1, 1, self.dtype)
        if not found["finite"]:
            raise EngineFault(NOT_FINITE)
        for kind, arrays in (("w", self._parameters), ("o", self._optimizer)):
            for name, array in arrays.items():
                if f"{kind}.{name}" in found:
                    array[...] = found[f"{kind}.{name}"]
        self.arenas.updates[0] += 1

    @trains
    def update(
        self, inputs: Sequence[Array | None], state: StateArrays | None, steps: int, batch: int, seed: int
    ) -> Array:
        self._check(inputs, steps)
        moment = (steps, batch, seed, int(self.arenas.updates[0]))
        found = self._run("update", self._leaves(inputs, state), state, moment)
        scores = self._scores(found, inputs)
        if not np.isfinite(scores[0]):
            raise EngineFault(NOT_FINITE)
        prefix = "grad."
        self._use({name[len(prefix) :]: array for name, array in found.items() if name.startswith(prefix)})
        self._advance(found, state, self._count(inputs, steps))
        return scores

    @reads
    def step(
        self,
        inputs: Sequence[Array | None],
        outputs: Sequence[Array],
        state: StateArrays | None,
        batch: int,
        seed: int,
        call: int,
    ) -> None:
        self._check(inputs, None)
        leaves = self._leaves(inputs, state)
        for each, array in zip(self.manifest["inputs"], inputs, strict=True):
            if array is None and each["default"]:
                self._feed(leaves, each, batch)
        found = self._run("step", leaves, state, (1, batch, seed, call))
        self._write(found, outputs)
        self._advance(found, state, 1)

    def _feed(self, leaves: Leaves, entry: Any, batch: int) -> None:
        """Marks an input as not given; the graph then takes the value that the source says."""
        leaves["given", entry["name"]] = np.False_
        leaves["input", entry["name"]] = np.zeros((batch, *entry["dims"]), np.int64)

    @reads
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
        from .layout import make_state

        first = max(given, 1) - 1
        state = make_state(self.manifest, batch) if state is None else state
        active = np.ones(batch, np.bool_)
        lengths[...] = 0
        self._check(inputs, steps, given)
        for step in range(steps):
            leaves = self._leaves([self._now(n, each, step) for n, each in enumerate(inputs)], state)
            leaves["active", ""] = active
            for each in self.manifest["inputs"]:
                if each["default"] and "time" in each["axes"] and step >= given:
                    self._feed(leaves, each, batch)
            found = self._run("generate", leaves, state, (1, batch, seed, call))
            self._advance(found, state, active.astype(np.int64))
            if step < first:
                continue
            lengths += active
            for each, out in zip(self.manifest["outputs"], outputs, strict=True):
                value = found[f"output.{each['name']}"]
                timed = "time" in each["axes"]
                shown = _masked(value, active) if timed and "batch" in each["axes"] else value
                (out[step - first : step - first + 1] if timed else out)[...] = shown
            if "until" in found:
                active = active & ~np.broadcast_to(found["until"], (batch,))

    def _now(self, number: int, array: Array | None, step: int) -> Array | None:
        return (
            array[step] if array is not None and "time" in self.manifest["inputs"][number]["axes"] else array
        )


def _masked(value: Array, active: Array) -> Array:
    """Zero in rows that have ended."""
    mask = active.reshape(-1, *[1] * (value.ndim - 1))
    return np.where(mask, value, np.zeros((), value.dtype))
