"""One training run: epochs, validation, early stopping, checkpoints, interruption and resumption.

Takes a model and data sets, changes the weights, gives a History. The same seed gives the same curve bit for bit, also
when the run was interrupted and resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .data import Batch, Data, Slice
from .engine import Manifest
from .fault import NOT_FINITE, ModelError
from .folder import Folder, Progress, value_of, weighted
from .interrupt import Interrupt
from .layout import aligned
from .measure import fewer, measure
from .report import History, Record, Reporter
from .spoilt import bad_weights, first_bad, placed
from .state import State
from .weights import load_weights

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
    checkpoint: float
    shuffle: bool
    bucket: int
    scale: dict[str, list[str]]
    steps: int | None
    callbacks: Sequence[Callback]


def _code(manifest: Manifest) -> str:
    """What computes: compiled for a machine, or the interpreter."""
    target = manifest["target"]
    if not manifest["library"]:
        return "the interpreter"
    return f"code for {target.get('name')} with vectors of {target.get('vector_bytes')} bytes"


class Run:
    """One training run: the model, where it stands, and what watches it. `begin` readies the weights of a new run."""

    def __init__(
        self,
        model: Model,
        training: Data,
        testing: Data | None,
        options: Options,
        folder: Folder | None,
        report: Reporter,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.begin = begin
        self.model, self.training, self.testing = model, training, testing
        self.options, self.folder, self.report = options, folder, report
        self.interrupt = Interrupt()
        self.progress = Progress()
        self.state: State | None = None
        self.carried = bool(model.manifest["carried"]) and bool(model.manifest["states"])
        self.names = list(model.manifest["metrics"])
        self.kept: Any = None
        self.saved = time.monotonic()

    def run(self, resume: bool) -> History:
        """All epochs."""
        with self.folder.held() if self.folder is not None else nullcontext():
            return self._run(resume)

    def _run(self, resume: bool) -> History:
        self._open(resume)
        self.report.begin(self.options.epochs, self.progress.epoch)
        ended = "done"
        try:
            with self.interrupt.watch():
                if not self.progress.called and self._call(self.progress.records[-1]):
                    ended = "callback"
                while self.progress.epoch <= self.options.epochs and ended == "done":
                    ended = self._ended() or self._epoch()
            if ended == "interrupted":
                self._interrupted()
        finally:
            self.report.end()
            self._draw()
        if self.options.keep == "best" and ended != "interrupted":
            self._restore_best()
        best = next((each for each in self.progress.records if each.epoch == self.progress.best), None)
        return History(self.progress.records, best, ended)

    def _draw(self) -> None:
        """The picture of the curve; where it cannot be made, a note says so and the run ends as it would."""
        if self.folder is None or not self.progress.records or self.model.picture is None:
            return
        path = self.folder.path / "curve.png"
        try:
            self.model.picture(self.progress.records, self.model.name, path)
        except Exception as error:  # whatever a drawing library that is missing or broken may raise
            reason = getattr(error, "strerror", None) or str(error)
            text = f"the curve could not be drawn into {path}: {reason or type(error).__name__}"
            self.report.note(text)
            with suppress(ModelError):
                self.folder.log(text)

    def _open(self, resume: bool) -> None:
        if resume and (self.folder is None or not self.folder.begun()):
            raise ModelError("there is no run to resume: expected `out=` to name a folder with `last.ckpt`")
        if self.folder is not None:
            config = self._config()
            before = self.folder.begin(config, resume).get("code", config["code"])
            if before != config["code"]:
                self._say(
                    f"the run so far was computed by {before}, now by {config['code']}: last bits will differ"
                )
            if resume and not self.folder.checkpoint.exists():
                resume = False
                self._say("the run was stopped before its first checkpoint: beginning anew")
        if not resume:
            self.begin()
        elif self.folder is not None:
            hypers = dict(self.model.hyper)
            self.progress, self.state = self.folder.load(self.model)
            for name, value in self.model.hyper.items():
                if value != hypers[name]:
                    self._say(f"`{name}` is {value:g} as in the run so far, not {hypers[name]:g}")
            if self.options.keep == "best":
                self._remember(self.folder.best)
            self._say(f"resuming at epoch {self.progress.epoch}, batch {self.progress.position}")

    def _config(self) -> dict[str, Any]:
        options, manifest = self.options, self.model.manifest
        return {
            "model": manifest["name"],
            "source_hash": manifest["source_hash"],
            "real": manifest["real"],
            "code": _code(manifest),
            "epochs": options.epochs,
            "batch": options.batch,
            "window": options.window,
            "warmup": options.warmup,
            "steps": options.steps,
            "seed": options.seed,
            "patience": options.patience,
            "shuffle": options.shuffle,
            "bucket": options.bucket,
            "scale": options.scale or None,
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
            if self.folder is not None and time.monotonic() - self.saved >= self.options.checkpoint:
                self._checkpoint(self.state)
        validation = self._validate()
        if self.interrupt.asked and self.testing is not None and validation is None:
            return "interrupted"
        return self._close(validation, time.monotonic() - begun)

    def _learn(self, part: Slice) -> None:
        """One update, or, in a warm-up, only the state moved on."""
        batch, progress = self.training.take(part), self.progress
        if part.begins:
            self.state = self.model.state(batch.rows) if self.carried else None
        self.state = fewer(self.state, batch.rows)
        call = self.model.update if part.counts else self.model.evaluate
        try:
            score = call(**batch.arrays, state=self.state, seed=self.options.seed, **self._sizes(batch))
        except ModelError as error:
            if error.code != NOT_FINITE:
                raise placed(error, self.model, self.training, part) from None
            raise self._not_finite(batch, f"step {progress.position + 1}") from None
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
        found = measure(
            self.model,
            self.testing,
            self.options.seed,
            lambda: self.interrupt.asked,
            lambda batch: self._not_finite(batch, "validation"),
        )
        return None if found is None else (float(found), found.metrics)

    def _close(self, validation: tuple[float, dict[str, float]] | None, seconds: float) -> str:
        """Ends an epoch: record, best, checkpoint, callbacks, patience."""
        progress = self.progress
        loss, metrics = weighted(progress.sums, progress.weight, self.names)
        tested, tested_metrics = validation if validation is not None else (None, {})
        record = Record(progress.epoch, loss, metrics, tested, tested_metrics)
        if not progress.records and loss == 0:
            self._something_counts()
        before, now = progress.best_value(), value_of(record)
        progress.records.append(record)
        better = now == now and (before is None or now < before)
        if better:
            progress.best = progress.epoch
        progress.epoch, progress.position, progress.sums, progress.weight = progress.epoch + 1, 0, [], 0.0
        self.report.record(record, seconds)
        if self.folder is not None:
            self.folder.log(f"{record.line()}  ({seconds:.1f} s)")
            self._finite(f"epoch {record.epoch}")
            self.folder.metrics(progress.records)
            if better:
                self.model.save(self.folder.best)
        if better and self.options.keep == "best":
            self.kept = self.model.engine.arenas.plain.copy()
        if self.folder is not None:
            progress.called = not self.options.callbacks
            self._checkpoint(None)
        return "callback" if self._call(record) else self._ended() or "done"

    def _call(self, record: Record) -> bool:
        """Calls the callbacks of an epoch, whose changes belong to the checkpoint; tells whether one of them ends the training."""
        answers = [callback(self.model, record) for callback in self.options.callbacks]
        if not self.progress.called and self.folder is not None and bad_weights(self.model) is None:
            self.progress.called = True
            self.folder.save(self.model, self.progress, None)
        return any(isinstance(each, bool | np.bool_) and each for each in answers)

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
            if self.progress.best is None:
                self.model.save(self.folder.best)
            self.folder.save(self.model, progress, self.state)
            text += f"; weights and checkpoint are in {self.folder.path}, resume to go on"
        self._say(text)

    def _remember(self, path: Path) -> None:
        """The best weights of an earlier part of this run; a note where they are gone, ModelError where they are damaged."""
        if not path.exists():
            if self.progress.best is not None:
                self._say(
                    f"{path} is missing: the weights of epoch {self.progress.best}, the best so far, are lost; "
                    "unless a later epoch is better, the run ends with the last weights"
                )
            return
        arena = aligned(self.model.manifest["plain_bytes"])
        try:
            load_weights(path, self.model.manifest, arena)
        except ModelError as error:
            raise ModelError(
                f"the best weights so far cannot be read: {error}; put {path} back, or remove it to go on without them"
            ) from None
        self.kept = arena

    def _restore_best(self) -> None:
        if self.kept is not None:
            self.model.engine.arenas.plain[...] = self.kept
            self.model._changed()

    def _checkpoint(self, state: State | None) -> None:
        """Writes what the next update depends on, unless it is spoilt."""
        assert self.folder is not None
        self._finite(f"epoch {self.progress.epoch}, after step {self.progress.position}")
        self.folder.save(self.model, self.progress, state)
        self.saved = time.monotonic()

    def _finite(self, place: str) -> None:
        """Refuses to write weights that hold NaN or Inf; the last good checkpoint stays."""
        bad = bad_weights(self.model)
        if bad is not None:
            raise self._fault(f"{place}: {bad} is not finite")

    def _fault(self, text: str) -> ModelError:
        if self.folder is not None:
            if self.folder.checkpoint.exists():
                text += f"; the last good weights are in {self.folder.checkpoint}"
            self.folder.log(text)
        return ModelError(text + "; try a smaller learning rate, or `clip`", NOT_FINITE)

    def _not_finite(self, batch: Batch, place: str) -> ModelError:
        """The error that names what is not a number; an update that meets it changes nothing."""
        bad = first_bad(self.model, batch, self.state, self.options.seed)
        if self.folder is not None and bad_weights(self.model) is None:
            if self.progress.best is None:
                self.model.save(self.folder.best)
            self.folder.save(self.model, self.progress, self.state)
        return self._fault(f"epoch {self.progress.epoch}, {place}: {bad} is not finite")

    def _something_counts(self) -> None:
        """A first epoch whose loss and gradients are exactly 0 has nothing to learn from."""
        parts = [part for part in self.training.plan(self.options.seed, 1) if part.counts]
        batch = self.training.take(parts[0])
        steps = self._sizes(batch).get("steps")
        found = self.model.gradients(**batch.arrays, seed=self.options.seed, steps=steps)
        if not any(array.any() for array in found.parameters.values()):
            raise ModelError(
                "the loss and its gradients are exactly 0 in the whole first epoch, so nothing is learned; "
                "look for a `where` or a mask that selects nothing"
            )
