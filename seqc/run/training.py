"""One training run: epochs, validation, early stopping, checkpoints, interruption and resumption.

Takes a model and data sets, changes the weights, gives a History. The same seed gives the same curve bit for bit, also
when the run was interrupted and resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import public
from .data import Batch, Data, Slice
from .engine import EngineFault
from .fault import NOT_FINITE, ModelError
from .folder import Folder, Progress, value_of, weighted
from .layout import aligned
from .report import History, Record, Reporter
from .state import State
from .weights import load_weights, parameters

if TYPE_CHECKING:
    from .model import Model

Callback = Callable[["Model", Record], object]


@dataclass(slots=True)
class Options:
    """How to train."""

    epochs: int
    batch: int
    window: int | None
    warmup: int
    seed: int
    patience: int | None
    keep: str
    callbacks: Sequence[Callback]


class Interrupt:
    """Set by Ctrl-C or SIGTERM; a second Ctrl-C ends the program at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Takes over the signals while training runs, if this is the main thread."""
        import signal
        import threading

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def handle(number: int, frame: object) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True

        for number in old:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


class Run:
    """One training run: the model, where it stands, and what watches it."""

    def __init__(
        self,
        model: Model,
        training: Data,
        testing: Data | None,
        options: Options,
        folder: Folder | None,
        report: Reporter,
    ) -> None:
        self.model, self.training, self.testing = model, training, testing
        self.options, self.folder, self.report = options, folder, report
        self.interrupt = Interrupt()
        self.progress = Progress()
        self.state: State | None = None
        self.carried = bool(model.manifest["carried"]) and bool(model.manifest["states"])
        self.names = list(model.manifest["metrics"])
        self.kept: Any = None

    def run(self, resume: bool) -> History:
        """All epochs."""
        self._open(resume)
        self.report.begin(self.options.epochs, self.progress.epoch)
        ended = "done"
        try:
            with self.interrupt.watch():
                while self.progress.epoch <= self.options.epochs and ended == "done":
                    ended = self._ended() or self._epoch()
            if ended == "interrupted":
                self._interrupted()
        finally:
            self.report.end()
        if self.options.keep == "best" and ended != "interrupted":
            self._restore_best()
        best = next((each for each in self.progress.records if each.epoch == self.progress.best), None)
        return History(self.progress.records, best, ended)

    def _open(self, resume: bool) -> None:
        if resume and (self.folder is None or not self.folder.checkpoint.exists()):
            raise ModelError("there is no run to resume: expected `out=` to name a folder with `last.ckpt`")
        if self.folder is None:
            return
        self.folder.begin(self._config(), resume)
        if resume:
            self.progress, self.state = self.folder.load(self.model)
            if self.options.keep == "best" and self.folder.best.exists():
                self._remember(self.folder.best)
            self._say(f"resuming at epoch {self.progress.epoch}, batch {self.progress.position}")

    def _config(self) -> dict[str, Any]:
        options, manifest = self.options, self.model.manifest
        return {
            "model": manifest["name"],
            "source_hash": manifest["source_hash"],
            "real": manifest["real"],
            "epochs": options.epochs,
            "batch": options.batch,
            "window": options.window,
            "warmup": options.warmup,
            "seed": options.seed,
            "patience": options.patience,
            "data": self.training.fingerprint(),
            "validation": None if self.testing is None else self.testing.fingerprint(),
        }

    def _say(self, text: str) -> None:
        self.report.note(text)
        if self.folder is not None:
            self.folder.log(text)

    def _epoch(self) -> str:
        """One epoch; says why training ends, or "done" to go on."""
        progress, begun = self.progress, time.monotonic()
        plan = self.training.plan(self.options.seed, progress.epoch)
        self.report.epoch(progress.epoch, len(plan), progress.position)
        for part in plan[progress.position :]:
            if self.interrupt.asked:
                return "interrupted"
            self._learn(part)
            progress.position += 1
        validation = self._validate()
        if self.interrupt.asked and self.testing is not None and validation is None:
            return "interrupted"
        return self._close(validation, time.monotonic() - begun)

    def _learn(self, part: Slice) -> None:
        """One update, or, in a warm-up, only the state moved on."""
        batch, progress = self.training.take(part), self.progress
        if part.begins:
            self.state = self.model.state(batch.rows) if self.carried else None
        self.state = _fewer(self.state, batch.rows)
        call = self.model.update if part.counts else self.model.evaluate
        try:
            score = call(**batch.arrays, state=self.state, seed=self.options.seed, **self._sizes(batch))
        except ModelError as error:
            if error.code != NOT_FINITE:
                raise
            raise self._not_finite(batch) from None
        if part.counts:
            values = [float(score), *score.metrics.values()]
            progress.sums = [
                a + batch.weight * b
                for a, b in zip(progress.sums or [0.0] * len(values), values, strict=True)
            ]
            progress.weight += batch.weight
        self.report.batch(progress.position + 1, float(score))

    def _sizes(self, batch: Batch) -> dict[str, int]:
        return {} if self.model.manifest["stream"] else {"steps": batch.steps}

    def _validate(self) -> tuple[float, dict[str, float]] | None:
        """Loss and metrics on the other data; None without it or when interrupted."""
        if self.testing is None:
            return None
        state: State | None = None
        sums, weight = [0.0] * (1 + len(self.names)), 0.0
        for part in self.testing.plan(self.options.seed, 0):
            if self.interrupt.asked:
                return None
            batch = self.testing.take(part)
            if part.begins:
                state = self.model.state(batch.rows) if self.carried else None
            state = _fewer(state, batch.rows)
            score = self.model.evaluate(
                **batch.arrays, state=state, seed=self.options.seed, **self._sizes(batch)
            )
            if part.counts:
                values = [float(score), *score.metrics.values()]
                sums = [a + batch.weight * b for a, b in zip(sums, values, strict=True)]
                weight += batch.weight
        return weighted(sums, weight, self.names)

    def _close(self, validation: tuple[float, dict[str, float]] | None, seconds: float) -> str:
        """Ends an epoch: record, best, checkpoint, callbacks, patience."""
        progress = self.progress
        loss, metrics = weighted(progress.sums, progress.weight, self.names)
        tested, tested_metrics = validation if validation is not None else (None, {})
        record = Record(progress.epoch, loss, metrics, tested, tested_metrics)
        before, now = progress.best_value(), value_of(record)
        progress.records.append(record)
        better = now == now and (before is None or now < before)
        if better:
            progress.best = progress.epoch
        progress.epoch, progress.position, progress.sums, progress.weight = progress.epoch + 1, 0, [], 0.0
        self.report.record(record, seconds)
        if self.folder is not None:
            self.folder.log(f"{record.line()}  ({seconds:.1f} s)")
            self.folder.metrics(progress.records)
            if better:
                self.model.save(self.folder.best)
            self.folder.save(self.model, progress, None)
        if better and self.options.keep == "best":
            self.kept = self.model.engine.arenas.plain.copy()
        if any([callback(self.model, record) is True for callback in self.options.callbacks]):
            return "callback"
        return self._ended() or "done"

    def _ended(self) -> str | None:
        """Whether patience is over."""
        progress, patience = self.progress, self.options.patience
        if patience is None or not progress.records or progress.best is None:
            return None
        if progress.records[-1].epoch - progress.best < patience:
            return None
        self._say(f"no better for {patience} epochs: stopping; the best was epoch {progress.best}")
        return "patience"

    def _interrupted(self) -> None:
        progress = self.progress
        text = f"interrupted in epoch {progress.epoch} after {progress.position} batches"
        if self.folder is not None:
            if not self.folder.best.exists():
                self.model.save(self.folder.best)
            self.folder.save(self.model, progress, self.state)
            text += f"; weights and checkpoint are in {self.folder.path}, resume to go on"
        self._say(text)

    def _remember(self, path: Path) -> None:
        """The best weights of an earlier part of this run."""
        arena = aligned(self.model.manifest["plain_bytes"])
        load_weights(path, self.model.manifest, arena)
        self.kept = arena

    def _restore_best(self) -> None:
        if self.kept is not None:
            self.model.engine.arenas.plain[...] = self.kept
            self.model._changed()

    def _not_finite(self, batch: Batch) -> ModelError:
        """The error that names what is not a number; nothing was changed, so the weights are the last good ones."""
        progress = self.progress
        text = f"epoch {progress.epoch}, step {progress.position + 1}: {self._first_bad(batch)} is not finite"
        if self.folder is not None:
            if not self.folder.best.exists():
                self.model.save(self.folder.best)
            self.folder.save(self.model, progress, self.state)
            text += f"; the weights before it are in {self.folder.checkpoint}"
            self.folder.log(text)
        return ModelError(text, NOT_FINITE)

    def _first_bad(self, batch: Batch) -> str:
        """The first tensor that holds NaN or Inf: an input, a parameter, a gradient; else the loss."""
        manifest = self.model.manifest
        for name, array in batch.arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return f"input `{name}`"
        for name, array in parameters(manifest, self.model.engine.arenas.plain).items():
            if not np.isfinite(array).all():
                return f"parameter `{name}`"
        arena = aligned(manifest["plain_bytes"])
        inputs = [batch.arrays.get(public(each["name"])) for each in manifest["inputs"]]
        state = None if self.state is None else self.state.copy().arrays
        nothing: list[None] = [None] * len(inputs)
        states: list[None] = [None] * len(manifest["states"])
        moment = (batch.steps, batch.rows, self.options.seed, self.model.updates)
        with suppress(EngineFault):  # the arena is filled all the same, as far as the engine went
            self.model.engine.gradients(inputs, arena, None, nothing, states, state, *moment, False)
        for name, array in parameters(manifest, arena).items():
            if not np.isfinite(array).all():
                return f"the gradient of `{name}`"
        return "the loss"


def _fewer(state: State | None, rows: int) -> State | None:
    """The state of the rows that go on: in a window where some sequences have ended, these are the first ones."""
    return state if state is None or state.batch == rows else state.head(rows)
