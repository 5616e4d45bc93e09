"""`model.fit`: checks what the user asks for, makes the data sets and starts the run.

Takes a model, data and options, gives a History. The run itself is in `training.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import count_of, public, seed_of
from .data import Data, Sequences, Streams
from .fault import ModelError, unknown
from .folder import Folder
from .gather import Material, Source, gather, opened, split
from .lists import Lists
from .report import History, Plain, Quiet, Reporter
from .scale import Scales, fill_scales, scales_of
from .table import Columns
from .texts import alphabet, alphabet_kept
from .training import Callback, Options, Run

if TYPE_CHECKING:
    from .model import Model

STREAM_WINDOW = 64


def fit(
    model: Model,
    *args: Any,
    validation: float | Source | None = None,
    epochs: int = 10,
    batch: int = 32,
    window: int | None = None,
    warmup: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    patience: int | None = None,
    shuffle: bool = True,
    bucket: int = 16,
    columns: Columns | None = None,
    scale: Scales | None = None,
    keep: str = "last",
    checkpoint: float = 30.0,
    out: str | Path | Folder | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    report: Reporter | None = None,
    quiet: bool = False,
    **named: Any,
) -> History:
    """Trains on a text, one long recording ([N, dims]: `batch` parallel streams), or sequences.

    Sequences are arrays [T, N, dims], or lists of arrays [T, dims] that may differ in length; `bucket` batches of these
    are sorted by length together, and the model's `length` input is fed by itself. Data comes by position, by name, as
    one mapping, as the path of a file, or as a frame, of which `columns` says what is what. `validation` is a share of
    the data or data of its own. `keep` "best" ends with the weights of the best epoch.
    `scale` says which `Standardise` layer takes mean and deviation from which input of the training data.
    `out` is the folder of the run, in which a checkpoint is written after each epoch and every `checkpoint` seconds; `resume` goes on where the run in it stopped.
    """
    model._need("update")
    options = make_options(
        model,
        epochs=epochs,
        batch=batch,
        window=window,
        warmup=warmup,
        seed=seed,
        patience=patience,
        keep=keep,
        checkpoint=checkpoint,
        callbacks=callbacks,
        shuffle=shuffle,
        bucket=bucket,
        scale=scale,
        steps=steps,
    )
    _names(model, named)
    if named and args:
        raise ModelError("give the data by position or by name, not both")
    source: Source = named if named else args
    going_on = _flag("resume", resume)
    with alphabet_kept(model):
        if going_on and out is not None:
            model.symbols = _folder(out, going_on).symbols() or model.symbols
        material, other = make_material(model, source, columns, validation)
        training, testing = make_data(model, material, other, options)
        if report is not None and not isinstance(report, Reporter):
            raise ModelError(f"`report`: expected a reporter, found {report!r}; `quiet=True` shows nothing")
        watcher = report if report is not None else (Quiet() if _flag("quiet", quiet) else Plain())
        folder = None if out is None else _folder(out, going_on)

        def begin() -> None:
            fill_scales(model, material, options.scale)

        return Run(model, training, testing, options, folder, watcher, begin).run(going_on)


def rehearse(
    model: Model, source: Source, validation: float | Source | None, options: Options
) -> tuple[Material, Material | None]:
    """All that `fit` would refuse, refused before anything is trained; gives the data as `fit` takes it."""
    model._need("update")
    material, other = make_material(model, source, None, validation)
    make_data(model, material, other, options)
    fill_scales(model, material, options.scale)
    return material, other


def _folder(out: str | Path | Folder, resume: bool) -> Folder:
    """The folder of a run; one that is gone on with is there, and is not made."""
    if isinstance(out, Folder):
        return out
    if resume and isinstance(out, str | Path) and "\0" not in str(out) and not Path(out).exists():
        raise ModelError(f"there is no run to resume: there is no folder {out}")
    return Folder(out)


def make_options(
    model: Model,
    *,
    epochs: int = 1,
    batch: int = 32,
    window: int | None = None,
    warmup: int | None = None,
    seed: int | None = None,
    patience: int | None = None,
    keep: str = "last",
    checkpoint: float = 30.0,
    callbacks: Sequence[Callback] = (),
    shuffle: bool = True,
    bucket: int = 16,
    scale: Scales | None = None,
    steps: int | None = None,
) -> Options:
    """Checked options; what is left out comes from the `train` record of the source."""
    record = model.manifest.get("train") or {}
    if keep not in ("last", "best"):
        raise ModelError(f'`keep`: expected "last" or "best", found {keep!r}')
    chosen = record.get("window") if window is None else window
    before: Any = int(record.get("warmup") or 0) if warmup is None else warmup
    if isinstance(before, bool) or not isinstance(before, int | np.integer) or before < 0:
        raise ModelError(f"`warmup`: expected a whole number from 0, found {before!r}")
    called: Any = (callbacks,) if callable(callbacks) else callbacks
    if not isinstance(called, Sequence) or not all(callable(each) for each in called):
        raise ModelError(
            f"`callbacks`: expected functions of the model and an epoch's record, found {callbacks!r}"
        )
    return Options(
        epochs=count_of(epochs, "epochs"),
        batch=count_of(batch, "batch"),
        window=None if chosen is None else count_of(chosen, "window"),
        warmup=int(before),
        seed=seed_of(record.get("seed") or 0 if seed is None else seed),
        patience=None if patience is None else count_of(patience, "patience"),
        keep=keep,
        checkpoint=_seconds(checkpoint),
        shuffle=_flag("shuffle", shuffle),
        bucket=count_of(bucket, "bucket"),
        scale=scales_of(scale),
        steps=None if steps is None else count_of(steps, "steps"),
        callbacks=tuple(called),
    )


def _names(model: Model, named: Mapping[str, Any]) -> None:
    """What is no option must be an input."""
    inputs = [public(each["name"]) for each in model.manifest["inputs"]]
    options = list(inspect.signature(fit).parameters)[2:-1]
    for name in named:
        if name not in inputs:
            raise unknown("option or input", name, [*inputs, *options])


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ModelError(f"`{name}`: expected True or False, found {value!r}")
    return bool(value)


NUMBERS = int | float | np.integer | np.floating


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, NUMBERS) or not value >= 0:
        raise ModelError(f"`checkpoint`: expected the seconds between two checkpoints, found {value!r}")
    return float(value)


def make_material(
    model: Model, source: Source, columns: Columns | None, validation: float | Source | None
) -> tuple[Material, Material | None]:
    """What to train on and what to validate with; texts of both give their characters to a model that has none."""
    source = opened(source)
    if validation is not None and not isinstance(validation, NUMBERS):
        validation = opened(validation)
    if isinstance(source, str):
        model.symbols = alphabet(model, source + (validation if isinstance(validation, str) else ""))
    material = gather(model, source, columns)
    if isinstance(validation, NUMBERS):
        return split(model, material, float(validation))
    if validation is None:
        return material, None
    with _validating():
        other = gather(model, validation, columns)
    if other.single != material.single:
        raise ModelError("training and validation data must both have a batch axis, or both none")
    return material, other


def make_data(
    model: Model,
    material: Material,
    other: Material | None,
    options: Options,
) -> tuple[Data, Data | None]:
    """The data sets of training and validation."""
    if material.single and not any("time" in each["axes"] for each in model.manifest["inputs"]):
        raise ModelError("one sequence without steps is not a data set; expected arrays with a batch axis")
    timed = next((each for each in model.manifest["inputs"] if "time" in each["axes"]), None)
    if options.steps is not None and timed is not None:
        raise ModelError(
            f"`steps` is for models without an input by steps; `{timed['name']}` says how many there are"
        )
    carried = bool(model.manifest["carried"])
    window = options.window if carried else None
    if not carried and (options.warmup or (options.window is not None and not material.single)):
        raise ModelError(
            f"`{'warmup' if options.warmup else 'window'}`: {model.name} turns time round, so no state goes on from "
            "window to window; leave it out"
        )

    def make(part: Material, last: bool) -> Data:
        if part.single:
            length = (window or STREAM_WINDOW) if carried else options.window
            return Streams(model, part.arrays, options.batch, length, options.warmup, whole=last)
        if part.lengths is not None:
            return Lists(
                model,
                part.arrays,
                part.lengths,
                options.batch,
                window,
                options.warmup,
                None if last else options.bucket,
                options.shuffle and not last,
            )
        return Sequences(
            model,
            part.arrays,
            options.batch,
            window,
            options.warmup,
            options.steps,
            options.shuffle and not last,
        )

    training = make(material, False)
    if other is None:
        return training, None
    with _validating():
        return training, make(other, True)


@contextmanager
def _validating() -> Iterator[None]:
    """Says of a mistake that it is in the data of validation."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"validation data: {error}", error.code) from None
