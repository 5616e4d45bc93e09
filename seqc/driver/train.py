"""`seqc train`: a program and data become a folder with weights, figures and a picture of the curve.

The run itself is `run.fit`; here the data is found, the alphabet of a text sets the size of the model, and the folder
learns how the model was built, so that `seqc generate` builds the same one. Data, numbers and weights meet the border of
the model before it is compiled: what does not fit is said at once, and leaves nothing behind.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqc.driver import corpus
from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.driver.runs import remember, remembered
from seqc.driver.sources import Reader

if TYPE_CHECKING:
    from seqc.run.model import Model
    from seqc.run.read import Found
    from seqc.run.report import History, Reporter

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to train; None leaves a choice to the `train` record, or to `fit`.

    `validation` is a share or a file. `hypers` may also name an input that the data leaves out. `inputs`, `targets` and
    `group` name columns of a table.
    """

    epochs: int = 10
    batch: int = 32
    window: int | None = None
    warmup: int | None = None
    steps: int | None = None
    seed: int | None = None
    validation: str | None = None
    patience: int | None = None
    resume: bool = False
    weights: Path | None = None
    hypers: tuple[tuple[str, float], ...] = ()
    scale: tuple[tuple[str, tuple[str, ...]], ...] = ()
    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    group: str | None = None
    bucket: int = 16
    checkpoint: float = 30.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run ended with. `sample` is a text that the model wrote, None if it cannot."""

    model: Model
    history: History
    folder: Path
    sample: str | None


def train(
    path: Path,
    data: Sequence[Path],
    out: Path,
    options: Options,
    wishes: Wishes,
    reporter: Reporter,
    note: Note,
) -> Trained:
    """Trains and writes the folder `out`."""
    reader = Reader(path)
    _room_for_run(out, wishes.resume)
    begun = wishes.resume and (out / "last.ckpt").exists()
    if wishes.resume:
        options = remembered(out, options)
    from seqc.syntax.parse import parse

    text_model = corpus.text_model(parse(reader.first()), options.model)
    source = _source(path, data, text_model is not None, note)
    validation = _validation(wishes, isinstance(source, str))
    if isinstance(source, str) and text_model is not None:
        other = validation if isinstance(validation, str) else ""
        known = symbols_in(wishes.weights) if wishes.weights is not None and not begun else None
        options = fit_alphabet(options, text_model.dim, reader, source + other, known, note)
    from seqc.run.fit import make_options, rehearse
    from seqc.run.folder import Folder

    weights = None if begun else wishes.weights
    chosen: dict[str, Any] = {
        "epochs": wishes.epochs,
        "batch": wishes.batch,
        "window": wishes.window,
        "warmup": wishes.warmup,
        "steps": wishes.steps,
        "bucket": wishes.bucket,
        "seed": wishes.seed,
        "patience": wishes.patience,
        "scale": dict(wishes.scale),
        "keep": "last" if validation is None else "best",
        "checkpoint": wishes.checkpoint,
    }
    with told(note):
        border = opened_border(path, options)
        given = set_numbers(border, wishes.hypers)
        if weights is not None:
            border.load(weights)
        if begun:
            border.symbols = Folder(out).symbols()
        against = validation if isinstance(validation, float) else arranged(border, validation, wishes, given)
        arrays = arranged(border, source, wishes, given)
        material, tested = rehearse(border, arrays, against, make_options(border, **chosen))
        model = open_model(path, options, wishes.seed or 0, note)
        model.threads, model.symbols = wishes.threads, border.symbols
        note(repr(model).strip("<>"))
        set_numbers(model, wishes.hypers)
        if weights is not None:
            model.load(weights)
        folder = Folder(out)
        with folder.held():
            if not wishes.resume:
                remember(out, options)
            history = model.fit(
                material, validation=tested, **chosen, out=folder, resume=wishes.resume, report=reporter
            )
    return Trained(model, history, out, None if history.ended == "interrupted" else _sample(model))


@contextmanager
def told(note: Note) -> Iterator[None]:
    """Says warnings as notes: a line of code is nothing to whoever sits at a command line."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: note(str(message))
        yield


def set_numbers(model: Model, numbers: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sets hypers; numbers for inputs that are the same for all sequences are given back."""
    once = {
        each["name"]: each["kind"]
        for each in model.manifest["inputs"]
        if "time" not in each["axes"] and not each["dims"] and not each["length"]
    }
    given: dict[str, float] = {}
    for name, value in numbers:
        if name in once and name not in model.hyper:
            whole = once[name] not in ("real", "f32", "f64")
            if whole and not (abs(value) < 2**31 and value == int(value)):
                raise UserFault(
                    "S0906",
                    f"`--set {name}={value:g}` is not a whole number",
                    f"`{name}` is an input of kind {once[name]}",
                )
            given[name] = int(value) if whole else value
        else:
            model.hyper[name] = value
    return given


def arranged(model: Model, source: Found | None, wishes: Wishes, given: dict[str, float]) -> Any:
    """What was read, as `fit` takes it: columns chosen, missing numbers added, files without a name of ours in order."""
    from seqc.run.read import Files
    from seqc.run.table import Table

    if isinstance(source, Table):
        return replace(
            source,
            inputs=wishes.inputs,
            targets=wishes.targets,
            group=wishes.group or source.group,
            given=given,
        )
    if not isinstance(source, dict):
        return source
    if wishes.inputs or wishes.targets or wishes.group:
        raise UserFault(
            "S0906",
            "`--inputs`, `--targets` and `--group` name columns of a `.csv` file",
            "the data is made of arrays, which are named like the inputs of the model",
        )
    names = [
        each["name"] for each in model.manifest["inputs"] if not each["length"] and each["name"] not in given
    ]
    if isinstance(source, Files) and not any(name in source for name in names):
        if len(source) != len(names):
            raise UserFault(
                "S0906",
                f"{len(names)} inputs and {len(source)} {'file' if len(source) == 1 else 'files'} that are not called like them",
                f"{model.name} takes {', '.join(f'`{name}`' for name in names)}",
                "name a file for each, in this order",
            )
        source = dict(zip(names, source.values(), strict=True))
    return {**source, **_for_all(model, source, given)}


def _for_all(model: Model, source: dict[str, Any], given: dict[str, float]) -> dict[str, Any]:
    """Given numbers as the data has them: one for each sequence where its arrays have a batch axis."""
    import numpy as np

    from seqc.run.layout import dtype_of

    kinds = {each["name"]: dtype_of(each["kind"], model.manifest) for each in model.manifest["inputs"]}
    for each in model.manifest["inputs"]:
        array, axes = source.get(each["name"]), 1 + ("time" in each["axes"])
        if isinstance(array, np.ndarray) and array.ndim == axes + len(each["dims"]):
            rows = array.shape[axes - 1]
            return {name: np.full(rows, value, kinds[name]) for name, value in given.items()}
    return dict(given)


def opened_border(path: Path, options: Options) -> Model:
    """The model of a program as data, numbers and weights meet it. Nothing is compiled, and it computes nothing."""
    from seqc.driver import pipeline
    from seqc.driver.naming import name_of
    from seqc.driver.translate import border_of
    from seqc.run.evaluator import EvaluatorEngine
    from seqc.run.model import Model

    reader = Reader(path)
    program = pipeline.program(reader, options)
    manifest = border_of(program, options, name_of(program.name, options.name, path), reader)
    return Model(EvaluatorEngine(manifest, {}), None)


def open_model(path: Path, options: Options, seed: int, note: Note) -> Model:
    """The model of a program under the options of a command line."""
    from seqc.driver.load import load

    dims = dict(options.dims)
    return load(
        path, real=options.real, dims=dims, model=options.model, march=options.march, seed=seed, note=note
    )


def _room_for_run(out: Path, resume: bool) -> None:
    """Says early what the run would say after building."""
    if not resume and (out / "last.ckpt").exists():
        raise UserFault(
            "S0911",
            f"`{out}` holds an earlier run",
            "it was not changed",
            "go on with it by `--resume`, or choose another folder with `--out`",
        )
    if out.exists() and not out.is_dir():
        raise UserFault("S0911", f"`{out}` is not a folder", remedy="choose another name with `--out`")


def _source(path: Path, data: Sequence[Path], is_text: bool, note: Note) -> Found:
    if data:
        return corpus.read(data)
    if not is_text:
        raise UserFault(
            "S0906",
            "there is no data to train on",
            f"{path.name} is not a model of text, so it needs arrays named like its inputs",
            "save them with `numpy.savez` and write `seqc train MODEL.seq data.npz`; `.csv`, `.npy` and `.wav` do as well",
        )
    note("no data was named: training on the sources of Python's standard library")
    return corpus.standard_library()


def _validation(wishes: Wishes, is_text: bool) -> float | Found | None:
    """A share of the data, or data of its own; a tenth of a text where nothing was said."""
    if wishes.validation is None:
        return 0.1 if is_text else None
    try:
        share = float(wishes.validation)
    except ValueError:
        return corpus.read([Path(wishes.validation)])
    if not 0 <= share < 1:
        raise UserFault(
            "S0906",
            f"`--val {wishes.validation}` is not a share of the data",
            "expected a number from 0 up to 1, or the name of a file",
        )
    return share if share else None


def fit_alphabet(
    options: Options, dim: str | None, reader: Reader, text: str, known: Sequence[str] | None, note: Note
) -> Options:
    """Options with the `dim` of the alphabet raised to the symbols that the text has, or that weights know already.

    An explicit `--dim` stays.
    """
    count = len(set(text))
    note(f"{len(text)} characters, {count} different ones")
    if dim is None or dim in dict(options.dims):
        return options
    return raised(options, dim, count if known is None else len(known), reader)


def symbols_in(file: Path) -> list[str] | None:
    """The symbol table of a file of weights, if it has one."""
    from seqc.run.tensors import read_tensors
    from seqc.run.weights import read_symbols

    return read_symbols(read_tensors(file)[1], file.name)


def raised(options: Options, dim: str, count: int, reader: Reader) -> Options:
    """Options in which `dim` is at least `count`."""
    from seqc.driver import pipeline

    own = dict(pipeline.program(reader, options).dims).get(dim, count)
    return replace(options, dims=tuple(sorted({**dict(options.dims), dim: max(own, count)}.items())))


def _sample(model: Model) -> str | None:
    if model.symbols is None or "generate" not in model.manifest["entries"]:
        return None
    from seqc.run.fault import ModelError
    from seqc.run.generate import generate_text

    try:
        return generate_text(model, count=400)
    except ModelError:  # it generates, but not text
        return None
