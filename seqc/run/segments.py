"""SegmentedEngine: an engine that keeps `evaluate`, `gradients` and `update` within a budget of bytes.

Takes the engine of a model and those of its parts (see `passes.segment`); a call whose workspace would not fit is
run in segments of time: forwards with the states between segments kept, then backwards, each segment computed again.
Results are those of one piece up to the order of sums. Training excludes what else trains or measures from first to last
segment. `infer`, `step` and `generate` go to the whole engine and exclude single calls only: between segments the weights are
still those from before, which `apply` changes in one such call, so that each of them sees one set of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .engine import Arenas, Array, Engine, EngineFault, Manifest, StateArrays
from .fault import BAD_INDEX, BAD_LENGTH, NOT_FINITE, ModelError
from .guard import Guard, reads, trains
from .labels import missing_label
from .layout import aligned, dtype_of, is_real, make_state

EVALUATE, GRADIENTS, INFER, UPDATE = 1, 2, 0, 4


@dataclass(frozen=True, slots=True)
class Parts:
    """Engines over the arenas of the whole model."""

    advance: Engine
    score: Engine
    close: Engine
    back: Engine


@dataclass(frozen=True, slots=True)
class Moment:
    """One call."""

    inputs: Sequence[Array | None]
    steps: int
    batch: int
    seed: int
    call: int

    def pieces(self, length: int) -> list[tuple[int, int]]:
        """The first step of each segment and the one behind its last."""
        return [(first, min(first + length, self.steps)) for first in range(0, self.steps, length)]


class SegmentedEngine:
    """The whole engine, but for calls that would take more than `budget` bytes of workspace.

    `make` builds the parts when they are first needed; it raises ModelError where the model cannot be cut.
    """

    def __init__(self, whole: Any, make: Callable[[Arenas], Parts], budget: int) -> None:
        self.whole, self._make, self.budget = whole, make, budget
        self.manifest: Manifest = whole.manifest
        self._parts: Parts | None = None
        self._guard = Guard()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    @property
    def threads(self) -> int:
        return int(self.whole.threads)

    @threads.setter
    def threads(self, count: int) -> None:
        self.whole.threads = count

    @property
    def parts(self) -> Parts:
        """The engines of the parts, with weights as they are now."""
        if self._parts is None:
            self._parts = self._make(self.whole.arenas)
        for engine in (self._parts.advance, self._parts.score, self._parts.close, self._parts.back):
            engine.threads = self.whole.threads
            engine.touch()
        return self._parts

    # ---- how long a segment is

    def fits(self, entry: int, steps: int, batch: int) -> bool:
        """Whether a call in one piece stays within the budget."""
        return bool(self.whole.workspace_bytes(entry, steps, batch) <= self.budget)

    def bytes_for(self, length: int, steps: int, batch: int, training: bool) -> int:
        """Bytes of a call in segments of `length`: the larger workspace, the kept states, the gradients."""
        parts = self.parts
        sizes = [parts.advance.workspace_bytes(INFER, length, batch)]  # type: ignore[attr-defined]
        kept = sum(each.nbytes for each in make_state(parts.advance.manifest, batch).values) + 9 * batch
        count = 1
        if training:
            sizes.append(parts.back.workspace_bytes(GRADIENTS, length, batch))  # type: ignore[attr-defined]
            count = -(-steps // length) + 2
        return int(max(sizes) + count * kept + (self.manifest["plain_bytes"] if training else 0))

    def segment_steps(self, steps: int, batch: int, training: bool) -> int:
        """The longest segment that fits; ModelError if even the cheapest does not."""
        best, least = 0, 0
        count = 2
        while True:
            length = -(-steps // count)
            size = self.bytes_for(length, steps, batch, training)
            if size <= self.budget:
                return length
            if not best or size < least:
                best, least = length, size
            if length == 1:
                break
            count = max(count + 1, int(count * 1.2))
        raise ModelError(
            f"`memory = {self.budget}` is not enough for {steps} steps of {batch} rows: "
            f"the least is {least} bytes, in segments of {best} steps; raise it, or give fewer rows or steps"
        )

    # ---- entry points

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
        if self.fits(EVALUATE, steps, batch):
            return np.asarray(self.whole.evaluate(inputs, state, steps, batch, seed, call))
        moment = Moment(inputs, steps, batch, seed, call)
        parts = self.parts
        carried = self._begun(parts, state, batch)
        cuts = self._forward(parts.score, moment, carried, self.segment_steps(steps, batch, False), None)
        scores = parts.close.evaluate([*self._once(moment), *cuts], None, steps, batch, seed, call)
        if np.isnan(scores[0]):
            missing_label(self.manifest, moment.inputs)
        self._put(parts, state, carried)
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
        wanted = (parameters, hypers, input_gradients, state_gradients)
        if self.fits(GRADIENTS, steps, batch):
            return np.asarray(
                self.whole.gradients(inputs, *wanted, state, steps, batch, seed, call, accumulate)
            )
        if not accumulate:
            for each in (parameters, hypers, *input_gradients, *state_gradients):
                if each is not None:
                    each[...] = 0
        moment = Moment(inputs, steps, batch, seed, call)
        scores, carried = self._both_ways(moment, wanted, state, self.segment_steps(steps, batch, True))
        self._put(self.parts, state, carried)
        return scores

    @trains
    def update(
        self, inputs: Sequence[Array | None], state: StateArrays | None, steps: int, batch: int, seed: int
    ) -> Array:
        if self.fits(UPDATE, steps, batch):
            return np.asarray(self.whole.update(inputs, state, steps, batch, seed))
        moment = Moment(inputs, steps, batch, seed, int(self.whole.arenas.updates[0]))
        arena = aligned(self.manifest["plain_bytes"])
        wanted = (arena, None, [None] * len(inputs), [None] * len(self.manifest["states"]))
        scores, carried = self._both_ways(moment, wanted, state, self.segment_steps(steps, batch, True))
        if not np.isfinite(scores[0]):
            raise EngineFault(NOT_FINITE)
        self.whole.apply(arena)
        self._put(self.parts, state, carried)
        return scores

    @trains
    def apply(self, gradients: Array) -> None:
        self.whole.apply(gradients)

    # ---- the two sweeps

    def _both_ways(
        self, moment: Moment, wanted: Any, state: StateArrays | None, length: int
    ) -> tuple[Array, StateArrays]:
        parts = self.parts
        carried = self._begun(parts, state, moment.batch)
        kept: list[StateArrays] = []
        cuts = self._forward(parts.advance, moment, carried, length, kept)
        scores, seeds = self._close(parts.close, moment, cuts, wanted)
        if np.isnan(scores[0]):
            missing_label(self.manifest, moment.inputs)
        self._backward(parts, moment, wanted, seeds, kept, length)
        return scores, carried

    def _forward(
        self, part: Engine, moment: Moment, carried: StateArrays, length: int, kept: list[StateArrays] | None
    ) -> list[Array]:
        """All segments in order; gives the cuts of the whole sequence, and keeps the states before each segment."""
        outputs = part.manifest["outputs"]
        finals = [each["name"].endswith(".final") for each in outputs]
        cuts: list[Array] = []
        for first, last in moment.pieces(length):
            if kept is not None:
                kept.append(copied(carried))
            found = [
                np.zeros(shape_of(each, moment.batch), dtype_of(each["kind"], self.manifest))
                for each in outputs
            ]
            given = self._given(part.manifest, moment, first, last)
            try:
                part.infer(given, found, carried, last - first, moment.batch, moment.seed, moment.call)
            except EngineFault as fault:
                raise later(fault, first) from None
            if not cuts:
                cuts = found
                continue
            for number, (cut, more) in enumerate(zip(cuts, found, strict=True)):
                cut[...] = more if finals[number] else cut + more
        return cuts

    def _close(
        self, close: Engine, moment: Moment, cuts: Sequence[Array], wanted: Any
    ) -> tuple[Array, dict[str, Array]]:
        """Loss and metrics, and how the loss changes with each cut."""
        parameters, hypers, inputs, _ = wanted
        ports = close.manifest["inputs"][len(moment.inputs) :]
        slopes = [
            np.zeros(cut.shape, cut.dtype) if is_real(port["kind"]) else None
            for port, cut in zip(ports, cuts, strict=True)
        ]
        once = [
            None if "time" in port["axes"] else slope
            for port, slope in zip(self.manifest["inputs"], inputs, strict=True)
        ]
        scores = close.gradients(
            [*self._once(moment), *cuts],
            parameters,
            hypers,
            [*once, *slopes],
            [None] * len(close.manifest["states"]),
            None,
            moment.steps,
            moment.batch,
            moment.seed,
            moment.call,
            True,
        )
        names = (f"seed.{port['name']}" for port in ports)
        return scores, {name: slope for name, slope in zip(names, slopes, strict=True) if slope is not None}

    def _backward(
        self,
        parts: Parts,
        moment: Moment,
        wanted: Any,
        seeds: dict[str, Array],
        kept: list[StateArrays],
        length: int,
    ) -> None:
        """All segments from the last to the first; adds to what is wanted."""
        parameters, hypers, inputs, states = wanted
        manifest = parts.back.manifest
        number = len(moment.inputs)
        state_seeds = [
            np.zeros_like(values) if is_real(port["kind"]) else None
            for port, values in zip(manifest["states"], kept[0].values, strict=True)
        ]
        seeded = {port["name"] for port in manifest["inputs"]}
        own: dict[str, Any] = dict(seeds)
        for first, last in reversed(moment.pieces(length)):
            for port, slope in zip(manifest["states"], state_seeds, strict=True):
                if f"seed.state.{port['name']}" in seeded:
                    own[f"seed.state.{port['name']}"] = slope
            given = self._given(manifest, moment, first, last)
            given = [
                *given[: len(given) - len(own)],
                *(own[port["name"]] for port in manifest["inputs"][-len(own) :]),
            ]
            slopes = [
                piece(slope, port, first, last)
                for port, slope in zip(self.manifest["inputs"], inputs, strict=True)
            ]
            before = [None if slope is None else np.zeros_like(slope) for slope in state_seeds]
            parts.back.gradients(
                given,
                parameters,
                hypers,
                [*slopes, *[None] * (len(given) - number)],
                before,
                kept.pop(),
                last - first,
                moment.batch,
                moment.seed,
                moment.call,
                True,
            )
            state_seeds = before
            for name in own:
                if name.endswith(".final"):
                    own[name] = np.zeros_like(own[name])
        last_seeds = dict(zip((port["name"] for port in manifest["states"]), state_seeds, strict=True))
        for port, slope in zip(self.manifest["states"], states or [None] * len(last_seeds), strict=False):
            if slope is not None and last_seeds[port["name"]] is not None:
                slope += last_seeds[port["name"]]

    # ---- inputs of a segment

    def _given(self, manifest: Manifest, moment: Moment, first: int, last: int) -> list[Array | None]:
        """The inputs of steps first … last in the order of a part's manifest; None where it has a seed."""
        given: list[Array | None] = []
        for port, array in zip(self.manifest["inputs"], moment.inputs, strict=True):
            if port["length"] and array is not None:
                given.append(np.clip(array - first, 0, last - first).astype(np.int32))
            else:
                given.append(piece(array, port, first, last))
        for port in manifest["inputs"][len(given) :]:
            given.append(self._total(port, moment) if port["name"] == "segment.steps" else None)
        return given

    def _total(self, port: Any, moment: Moment) -> Array:
        """How many steps each row has in all."""
        for each, array in zip(self.manifest["inputs"], moment.inputs, strict=True):
            if each["length"] and array is not None:
                return array
        return np.full(shape_of(port, moment.batch), moment.steps, np.int32)

    # ---- states: those of the parts are those of the model, and others that begin anew with every call

    def _begun(self, parts: Parts, state: StateArrays | None, batch: int) -> StateArrays:
        """The state before the first segment."""
        begun = make_state(parts.advance.manifest, batch)
        if state is not None:
            for ours, theirs in self._common(parts, begun, state):
                ours[...] = theirs
            begun.started[...] = state.started
        return begun

    def _put(self, parts: Parts, state: StateArrays | None, new: StateArrays) -> None:
        """Hands the state behind the last segment to the caller."""
        if state is not None:
            for ours, theirs in self._common(parts, new, state):
                theirs[...] = ours
            state.started[...] = new.started

    def _common(self, parts: Parts, ours: StateArrays, theirs: StateArrays) -> Iterator[tuple[Array, Array]]:
        names = {port["name"]: n for n, port in enumerate(parts.advance.manifest["states"])}
        for number, port in enumerate(self.manifest["states"]):
            if (own := names.get(port["name"])) is not None:
                yield ours.values[own], theirs.values[number]
                yield ours.fresh[own], theirs.fresh[number]

    def _once(self, moment: Moment) -> list[Array | None]:
        """The inputs that a sequence has once."""
        ports = self.manifest["inputs"]
        return [None if "time" in p["axes"] else a for p, a in zip(ports, moment.inputs, strict=True)]


def piece(array: Array | None, port: Any, first: int, last: int) -> Array | None:
    """The steps of a segment, without a copy; an input that is given once is whole."""
    return array if array is None or "time" not in port["axes"] else array[first:last]


def shape_of(port: Any, batch: int) -> tuple[int, ...]:
    """The shape of a value without time."""
    return (*((batch,) if "batch" in port["axes"] else ()), *port["dims"])


def copied(state: StateArrays) -> StateArrays:
    """A state of its own."""
    return StateArrays(
        [each.copy() for each in state.values], [each.copy() for each in state.fresh], state.started.copy()
    )


def later(fault: EngineFault, first: int) -> EngineFault:
    """A fault inside a segment, at its step of the whole sequence."""
    number, step, row, value = fault.where
    if fault.code in (BAD_INDEX, BAD_LENGTH) and step >= 0:
        return EngineFault(fault.code, (number, step + first, row, value))
    return fault
