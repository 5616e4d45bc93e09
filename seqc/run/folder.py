"""The folder of a training run: `config.json`, `metrics.csv`, `best.safetensors`, `last.ckpt`, `log.txt`.

A checkpoint holds all that the next update depends on, so that a resumed run gives the same numbers bit for bit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .fault import DiskError, ModelError
from .report import Record
from .state import State
from .tensors import atomic, read_tensors, write_tensors
from .weights import parameters, read_symbols

if TYPE_CHECKING:
    from .model import Model

FREE = ("epochs", "patience", "code")
"""What a resumed run may change."""


@dataclass(slots=True)
class Progress:
    """Where a training run stands: `position` batches of `epoch` are done, with weighted sums of their scores."""

    epoch: int = 1
    position: int = 0
    sums: list[float] = field(default_factory=list)
    weight: float = 0.0
    records: list[Record] = field(default_factory=list)
    best: int | None = None  # number of the best epoch
    called: bool = True  # the callbacks of the last epoch have been called
    rows: int | None = None  # rows of the carried state, if one is in the checkpoint

    def best_value(self) -> float | None:
        found = next((each for each in self.records if each.epoch == self.best), None)
        return None if found is None else value_of(found)


def value_of(record: Record) -> float:
    """What decides which epoch is best."""
    return record.loss if record.validation is None else record.validation


WORDS = {
    "source_hash": "the source of the model",
    "data": "the training data",
    "validation": "the validation data",
}
"""What is compared by a fingerprint that tells nobody anything."""


class Folder:
    """One run on the disk; a missing folder is made."""

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | Path) or "\0" in str(path) or str(path) == "":
            raise ModelError(f"`out`: expected the path of a folder, found {path!r}")
        self.path, self._mine = Path(path), False
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"cannot make the folder {self.path}: {error.strerror or error}") from None

    @property
    def checkpoint(self) -> Path:
        return self.path / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    def _text(self, name: str, text: str) -> None:
        with atomic(self.path / name) as file:
            file.write(text.encode())

    def begun(self) -> bool:
        """Whether there is a run to go on with, be it that it never came to a checkpoint."""
        return self.checkpoint.exists() or (self.path / "config.json").exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other runs out of the folder; ModelError if one is going on there. The lock ends with its process.

        Who holds the folder already, by this record, may hold it again.
        """
        try:
            import fcntl
        except ImportError:  # a system without such locks
            yield
            return
        if self._mine:
            yield
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            with suppress(OSError):  # a disk without locks, but for one that is taken
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ModelError(
                        f"another run is going on in {self.path}; wait for it, or choose another folder"
                    ) from None
            self._mine = True
            yield
        finally:
            self._mine = False
            os.close(handle)

    def begin(self, config: dict[str, Any], resumed: bool) -> dict[str, Any]:
        """Writes the configuration of a run; that of the run so far, which fits, comes back."""
        old: dict[str, Any] = {}
        if resumed:
            old = self._compare(config)
        elif self.checkpoint.exists():
            raise ModelError(f"{self.path} holds an earlier run; resume it, or choose another folder")
        self._text("config.json", json.dumps(config, indent=2) + "\n")
        return old

    def _compare(self, config: dict[str, Any]) -> dict[str, Any]:
        path = self.path / "config.json"
        try:
            old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            pairs = {name: (old.get(name), value) for name, value in config.items() if name not in FREE}
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(f"cannot read {path}: {error}") from None
        differences = [
            f"{WORDS[name]} changed" if name in WORDS else f"`{name}` was {was!r}, is {now!r}"
            for name, (was, now) in pairs.items()
            if was != now
        ]
        if differences:
            raise ModelError(
                f"the run in {self.path} cannot be resumed, since it would not be the same: {'; '.join(differences)}; "
                "take back what changed, or begin a new run in another folder"
            )
        return old

    def log(self, text: str) -> None:
        try:
            with (self.path / "log.txt").open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError as error:
            raise DiskError(f"cannot write {self.path / 'log.txt'}: {error.strerror or error}") from None

    def metrics(self, records: list[Record]) -> None:
        """All epochs so far; numbers are written so that they read back equal."""
        rows = [record.row() for record in records]
        columns = list(rows[0]) if rows else []
        lines = [",".join(columns), *(",".join(repr(row.get(name, "")) for name in columns) for row in rows)]
        self._text("metrics.csv", "\n".join(lines) + "\n")

    def save(self, model: Model, progress: Progress, state: State | None) -> None:
        """Writes the checkpoint."""
        arenas = model.engine.arenas
        tensors = {
            f"weights.{name}": array for name, array in parameters(model.manifest, arenas.plain).items()
        }
        tensors |= {f"optimizer.{name}": model.optimizer[name] for name in model.optimizer}
        tensors |= {"hyper": arenas.hyper, "updates": arenas.updates}
        progress.rows = None
        if state is not None:
            progress.rows = state.batch
            tensors |= {f"state.{name}": array for name, array in state.tensors().items()}
        metadata = {"kind": "checkpoint", "progress": json.dumps(asdict(progress))}
        if model.symbols is not None:
            metadata["symbols"] = json.dumps(model.symbols)
        write_tensors(self.checkpoint, tensors, metadata)

    def symbols(self) -> list[str] | None:
        """The alphabet of the run so far, None where it has none or never came to a checkpoint."""
        return read_symbols(self._read()[1], self.checkpoint.name) if self.checkpoint.exists() else None

    def _read(self) -> tuple[dict[str, Any], dict[str, str]]:
        try:
            return read_tensors(self.checkpoint)
        except ModelError as error:
            best = "; the best weights are in best.safetensors: begin a new run with them"
            raise ModelError(f"{error}{best if self.best.exists() else ''}") from None

    def load(self, model: Model) -> tuple[Progress, State | None]:
        """Puts a checkpoint back into the model; all or nothing."""
        name = self.checkpoint.name
        tensors, metadata = self._read()
        progress = _progress(metadata, model, name)
        symbols = read_symbols(metadata, name)
        arenas = model.engine.arenas
        own = {f"weights.{key}": array for key, array in parameters(model.manifest, arenas.plain).items()}
        own |= {f"optimizer.{key}": model.optimizer[key] for key in model.optimizer}
        own |= {"hyper": arenas.hyper, "updates": arenas.updates}
        state = None
        if progress.rows is not None:
            started = tensors.get("state.started")
            if started is None or started.shape != (progress.rows,):  # before memory is taken for so many
                raise ModelError(f"{name} is not a checkpoint: it holds no state of {progress.rows} rows")
            state = model.state(progress.rows)
            own |= {f"state.{key}": array for key, array in state.tensors().items()}
        _fit(tensors, own, name)
        for key, array in own.items():
            array[...] = tensors[key]
        model.symbols = symbols if symbols is not None else model.symbols
        model._changed()
        return progress, state


def _progress(metadata: dict[str, str], model: Model, file: str) -> Progress:
    """Where a run stood, out of a checkpoint's metadata; ModelError for what `save` does not write."""
    try:
        raw = json.loads(metadata["progress"])
        raw["records"] = [Record(**record) for record in raw["records"]]
        progress = Progress(**raw)
        wrong = _wrong(progress, 1 + len(model.manifest["metrics"]))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{file} is not a checkpoint: {error}") from None
    if wrong is not None:
        raise ModelError(f"{file} is not a checkpoint: its `{wrong}` is {getattr(progress, wrong)!r}")
    return progress


def _wrong(progress: Progress, scores: int) -> str | None:
    """The first field that cannot be what a run wrote; `scores` numbers are summed up in each epoch."""
    epochs = [each.epoch for each in progress.records]
    fits = {
        "epoch": _whole(progress.epoch, 1),
        "position": _whole(progress.position, 0),
        "sums": isinstance(progress.sums, list)
        and len(progress.sums) in (0, scores)
        and all(map(_number, progress.sums)),
        "weight": _number(progress.weight) and 0 <= progress.weight < float("inf"),
        "records": all(map(_recorded, progress.records)),
        "best": progress.best is None or (_whole(progress.best, 1) and progress.best in epochs),
        "called": isinstance(progress.called, bool) and (progress.called or bool(epochs)),
        "rows": progress.rows is None or _whole(progress.rows, 1),
    }
    return next((name for name, fit in fits.items() if not fit), None)


def _recorded(record: Record) -> bool:
    numbers = [record.loss, *record.metrics.values(), *record.validation_metrics.values()]
    numbers += [] if record.validation is None else [record.validation]
    return _whole(record.epoch, 1) and all(map(_number, numbers))


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _number(value: object) -> bool:
    """A float, also one that is not finite, or a whole number that a float can hold."""
    return isinstance(value, float) or _whole(value, -(2**63))


def _fit(tensors: dict[str, Any], own: dict[str, Any], file: str) -> None:
    names = sorted(set(tensors) ^ set(own))
    if names:
        raise ModelError(f"{file} belongs to another model: `{names[0]}` is only in one of them")
    for key, array in own.items():
        if tensors[key].shape != array.shape or tensors[key].dtype != array.dtype:
            expected, found = (
                f"{array.dtype} {list(array.shape)}",
                f"{tensors[key].dtype} {list(tensors[key].shape)}",
            )
            raise ModelError(f"{file}: `{key}`: expected {expected}, found {found}")


def weighted(sums: list[float], weight: float, names: list[str]) -> tuple[float, dict[str, float]]:
    """Mean loss and metrics out of weighted sums."""
    means = [each / weight if weight else float(np.nan) for each in sums] or [float(np.nan)]
    return means[0], dict(zip(names, means[1:], strict=False))
