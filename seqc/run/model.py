"""Model: one trained or untrained network, over an engine that computes.

Owns no memory of its own; checks every argument, keeps states, weights and their packed form in step, and names
mistakes. Arrays are time-major: [T, B, dims], or [T, dims] for one sequence.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .arguments import WRT, Binder, Call, count_of, seed_of, wrt_of
from .engine import Array, Engine, EngineFault, Manifest
from .fault import ModelError, explain, missing
from .initial import initial
from .layout import aligned, real_dtype
from .results import Results, by_name, zeros_like
from .short import ShortWays
from .state import Result, State, arrays_of
from .views import Gradients, Hypers, Lease, Score, Views, own_gradients, parameter_views
from .weights import load_weights, parameters, save_weights

if TYPE_CHECKING:
    from .pickled import Origin
    from .report import History, Picture

MOST = 16  # inputs or outputs of a step that goes straight to the library


class Model:
    """A model that can be run, trained, saved. `seqc.load` and written packages make it."""

    def __init__(self, engine: Engine, seed: int | None = 0) -> None:
        """`seed` draws first values for the parameters, unless they are built into the library; None leaves them."""
        self.engine = engine
        self.manifest: Manifest = engine.manifest
        self.name = str(self.manifest["name"])
        symbols = self.manifest.get("symbols")
        self.symbols: list[str] | None = None if symbols is None else list(symbols)
        self.hyper = Hypers(self.manifest, engine.arenas.hyper)
        self.params: Views = parameter_views(self.manifest, self._lease)
        optimizer = engine.arenas.optimizer
        dtype = real_dtype(self.manifest)
        self.optimizer = Views("optimizer state", self.manifest["optimizer"], dtype, lambda: optimizer)
        self.picture: Picture | None = None
        self.origin: Origin | None = None
        self._metrics: Sequence[str] = self.manifest["metrics"]
        self._entries = frozenset(self.manifest["entries"])
        self._binders: dict[str, Binder] = {}
        self._warned: set[str] = set()
        self._stale = True
        self._living: weakref.ref[Lease] | None = None
        self._results = Results(self.manifest)
        self._short = ShortWays(engine)
        if seed is not None and not getattr(engine, "embedded", False):
            self.initialise(seed)

    # Weights

    def initialise(self, seed: int = 0) -> None:
        """Gives all parameters their first values, the optimizer its own, and begins to count updates at 0."""
        seed = seed_of(seed)
        arrays = parameters(self.manifest, self.engine.arenas.plain)
        for entry in self.manifest["parameters"]:
            arrays[entry["name"]][...] = initial(entry["init"], entry["dims"], seed, entry["name"])
        self.reset_optimizer()
        self._changed()

    def reset_optimizer(self) -> None:
        """The optimizer forgets: its states start anew and updates are counted from 0."""
        self.engine.reset_optimizer()
        self.engine.arenas.updates[0] = 0

    @property
    def updates(self) -> int:
        """How many updates the weights have had."""
        return int(self.engine.arenas.updates[0])

    @property
    def threads(self) -> int:
        """How many threads share a call, 1 to 256; results are the same, bit for bit, for any number."""
        return self.engine.threads

    @threads.setter
    def threads(self, count: int) -> None:
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not whole or not 1 <= count <= 256:
            raise ModelError(f"`threads`: expected a whole number from 1 to 256, found {count!r}")
        self.engine.threads = int(count)

    def save(self, path: str | Path) -> None:
        """Writes the weights (and symbols) as safetensors."""
        save_weights(path, self.manifest, self.engine.arenas.plain, self.symbols)

    def load(self, path: str | Path) -> None:
        """Takes the weights of a file whose names and shapes fit; otherwise nothing changes."""
        symbols = load_weights(path, self.manifest, self.engine.arenas.plain)
        self.symbols = symbols if symbols is not None else self.symbols
        self._changed()

    def _changed(self) -> None:
        self._stale = True
        self.engine.mark(True)

    def _lease(self) -> Array:
        """The weights as bytes, by way of an object whose life tells whether somebody may still write to them."""
        lease = self._living() if self._living is not None else None
        if lease is None:
            lease = Lease(self.engine.arenas.plain)
            self._living = weakref.ref(lease)
        self._changed()
        return np.asarray(lease)

    def _pack(self) -> None:
        if self._stale:
            leased = self._living is not None and self._living() is not None
            self.engine.touch()
            self._stale = leased
            self.engine.mark(leased)

    # Running

    def state(self, batch: int | None = None) -> State:
        """A fresh state of `batch` rows, or of one sequence whose arrays have no batch axis."""
        return State(self.manifest, None if batch is None else count_of(batch, "batch"))

    def infer(
        self,
        *args: Any,
        state: State | None = None,
        out: Any = None,
        seed: int = 0,
        steps: int | None = None,
        batch: int | None = None,
        **named: Any,
    ) -> Any:
        """Runs whole sequences; gives the output, or a named tuple of outputs. `state` is advanced in place."""
        usual = state is None and steps is None and batch is None and type(seed) is int
        if usual and not (seed or named) and (done := self._short.infer(args, out)) is not NotImplemented:
            return done
        call = self._bind("infer", args, named, steps, batch, state)
        outputs = self._results.make(call, call.steps, out, self.engine.arenas.plain)
        key = seed_of(seed)
        given = (call.inputs, outputs, arrays_of(state), call.steps, call.batch, key, 0)
        self._called("infer", call, state, lambda: self.engine.infer(*given))
        return self._results.show(outputs, call.single, out)

    def step(
        self,
        *args: Any,
        state: State | None = None,
        out: Any = None,
        seed: int = 0,
        batch: int | None = None,
        **named: Any,
    ) -> Any:
        """Runs one step of every row, going on from `state`."""
        if state is None:
            raise ModelError("`step` goes on from a state; expected `state=`, made by `model.state()`")
        if seed == 0 and not named:
            quick = state.stepper if getattr(state, "owner", None) is self else None
            return (quick or self.stepper(state))(*args, out=out)
        return self._step(state, *args, out=out, seed=seed, batch=batch, **named)

    def stepper(self, state: State) -> Callable[..., Any]:
        """`step` bound to one state: the fastest way to run one step after another."""
        if not isinstance(state, State) or state.owner is not self:
            self._need("step")
            self._own(state)
            slow = partial(self._step, state)
            make = getattr(self.engine, "stepper", None)
            few = len(self.manifest["inputs"]) <= MOST and 1 <= len(self.manifest["outputs"]) <= MOST
            state.stepper, state.owner = slow, self
            if make is not None and few:
                self._pack()
                state.stepper = make(state.arrays, state.gate, state.batch, state.single, 0, slow)
        return cast(Callable[..., Any], state.stepper)

    def _step(
        self, state: State, *args: Any, out: Any = None, seed: int = 0, batch: int | None = None, **named: Any
    ) -> Any:
        batch = batch if batch is not None or state.single else state.batch
        call = self._bind("step", args, named, None, batch, state)
        outputs = self._results.make(call, None, out, self.engine.arenas.plain)
        key = seed_of(seed)
        given = (call.inputs, outputs, state.arrays, call.batch, key, 0)
        self._called("step", call, state, lambda: self.engine.step(*given))
        return self._results.show(outputs, call.single, out)

    def generate(
        self,
        *args: Any,
        steps: int,
        state: State | None = None,
        seed: int = 0,
        batch: int | None = None,
        **named: Any,
    ) -> Any:
        """Feeds the model's own guesses back: outputs of `steps` steps from the last given one on, and row lengths."""
        from .generate import bind_generate

        self._need("generate")
        if state is not None:
            self._own(state)
            if batch is None and not (args or named or state.single):
                batch = state.batch
        call, given = bind_generate(self._binder("generate"), args, named, steps, batch)
        self._rows(call, state)
        count = call.steps - max(given, 1) + 1
        outputs = self._results.make(call, count, None, self.engine.arenas.plain)
        lengths = np.zeros(call.batch, np.int32)
        key = seed_of(seed)
        told = (call.inputs, outputs, lengths, arrays_of(state), call.steps, given, call.batch, key, 0)
        self._called("generate", call, state, lambda: self.engine.generate(*told))
        return self._results.generated(outputs, lengths, call.single)

    # Training

    def evaluate(
        self,
        *args: Any,
        state: State | None = None,
        seed: int = 0,
        steps: int | None = None,
        batch: int | None = None,
        **named: Any,
    ) -> Score:
        """Loss and metrics, without dropout and without changing the weights."""
        call = self._bind("evaluate", args, named, steps, batch, state)
        key = seed_of(seed)
        given = (call.inputs, arrays_of(state), call.steps, call.batch, key, 0)
        return Score(
            self._called("evaluate", call, state, lambda: self.engine.evaluate(*given)), self._metrics
        )

    def gradients(
        self,
        *args: Any,
        state: State | None = None,
        seed: int = 0,
        steps: int | None = None,
        batch: int | None = None,
        accumulate: Gradients | None = None,
        wrt: Sequence[str] = WRT,
        **named: Any,
    ) -> Gradients:
        """Derivatives of the loss; `accumulate` adds them to a record of an earlier call."""
        call = self._bind("gradients", args, named, steps, batch, state)
        key = seed_of(seed)
        wrt = wrt_of(wrt)
        add = accumulate is not None
        told = own_gradients(self.manifest, accumulate, "accumulate") if add else None
        plain = told.arena if told else aligned(self.manifest["plain_bytes"])
        hypers = told.hyper_array if told else np.zeros(len(self.manifest["hypers"]))
        inputs = zeros_like(call.inputs, self.manifest["inputs"], "inputs" in wrt and not add)
        carried: Sequence[Array | None] = [] if state is None else state.arrays.values
        states = zeros_like(carried, self.manifest["states"], "states" in wrt and not add)
        wanted = (plain if "parameters" in wrt else None, hypers if "hypers" in wrt else None)
        given = (call.inputs, *wanted, inputs, states, arrays_of(state), call.steps, call.batch, key)
        scores = self._called(
            "gradients", call, state, lambda: self.engine.gradients(*given, self.updates, add)
        )
        views = parameter_views(self.manifest, lambda: plain, "gradient")
        by_input = by_name(inputs, self.manifest["inputs"], call.single)
        by_state = by_name(states, self.manifest["states"], call.single, streams=False)
        named_hypers = {
            entry["name"]: float(value) for entry, value in zip(self.manifest["hypers"], hypers, strict=True)
        }
        return Gradients(Score(scores, self._metrics), views, by_input, by_state, named_hypers, plain, hypers)

    def apply(self, gradients: Gradients) -> None:
        """Clips gradients and lets the optimizer use them: one update."""
        self._need("apply")
        arena = own_gradients(self.manifest, gradients, "gradients").arena
        with self._faults("apply", True):
            self._pack()
            self.engine.apply(arena)

    def update(
        self,
        *args: Any,
        state: State | None = None,
        seed: int = 0,
        steps: int | None = None,
        batch: int | None = None,
        **named: Any,
    ) -> Score:
        """Forward, backward, optimizer: one update. Gives loss and metrics from before it."""
        usual = state is None and steps is None and batch is None
        if usual and (done := self._short.update(args, named, seed)) is not NotImplemented:
            return Score(done, self._metrics)
        call = self._bind("update", args, named, steps, batch, state)
        key = seed_of(seed)
        given = (call.inputs, arrays_of(state), call.steps, call.batch, key)
        return Score(self._called("update", call, state, lambda: self.engine.update(*given)), self._metrics)

    def fit(self, *args: Any, **options: Any) -> History:
        """Trains on whole data sets; see `fit.fit` for its options."""
        from .fit import fit

        return fit(self, *args, **options)

    def score(self, *args: Any, **options: Any) -> Score:
        """Loss and metrics of a whole data set, given as to `fit`; see `measure.score`."""
        from .measure import score

        return score(self, *args, **options)

    def predict(self, *args: Any, **options: Any) -> Any:
        """Outputs for lists of sequences of different lengths; see `measure.predict`."""
        from .measure import predict

        return predict(self, *args, **options)

    # Inside

    def _need(self, entry: str) -> None:
        if entry in self._entries:
            return
        reason = missing(entry, self._entries, self.manifest["train"] is not None)
        raise ModelError(f"{self.name} has no entry point `{entry}`: {reason}", 6)

    def _binder(self, entry: str) -> Binder:
        self._need(entry)
        if entry not in self._binders:
            self._binders[entry] = Binder(self.manifest, entry, self._warned)
        return self._binders[entry]

    def _bind(
        self,
        entry: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        steps: int | None,
        batch: int | None,
        state: State | None,
    ) -> Call:
        binder = self._binder(entry)
        if state is not None:
            self._own(state)
            if batch is None and not binder.wanted and not state.single:
                batch = state.batch
        call = binder.bind(args, named, steps, batch)
        self._rows(call, state)
        call.inputs = [None if each is None else np.ascontiguousarray(each) for each in call.inputs]
        return call

    def _rows(self, call: Call, state: State | None) -> None:
        if state is not None and state.batch != call.batch:
            raise ModelError(f"the state has {state.batch} rows; expected {call.batch}, as the arrays have")

    def _own(self, state: Any) -> None:
        if not isinstance(state, State):
            raise ModelError(
                f"`state`: expected a State, made by `model.state()`, found a {type(state).__name__}"
            )
        ours, theirs = self.manifest, state._manifest
        if theirs is not ours and any(theirs[each] != ours[each] for each in ("states", "real")):
            raise ModelError(f"`state` belongs to another model, or to one of another precision: {state!r}")

    def _called(self, entry: str, call: Call, state: State | None, work: Callable[[], Result]) -> Result:
        """What `work` gives, with the weights packed, the state held and faults explained."""

        def packed() -> Result:
            self._pack()
            return work()

        with self._faults(entry, not call.single):
            return packed() if state is None else state.using(packed)

    @contextmanager
    def _faults(self, entry: str, batched: bool) -> Iterator[None]:
        try:
            yield
        except EngineFault as fault:
            raise explain(fault, self.manifest, entry, batched) from None
        except MemoryError:
            raise MemoryError(
                f"`{entry}` needs more memory than there is; give it fewer rows or steps"
            ) from None

    def __reduce__(self) -> tuple[Any, ...]:
        from .pickled import reduced

        return reduced(self)

    def __repr__(self) -> str:
        count = sum(int(np.prod(entry["dims"])) for entry in self.manifest["parameters"])
        return (
            f"<{self.name}: {count} parameters, {self.updates} updates, {', '.join(sorted(self._entries))}>"
        )
