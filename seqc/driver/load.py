"""`seqc.load`: a `.seq` file, or the folder of a finished package, becomes a Model that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqc.driver.fault import UserFault
from seqc.driver.naming import name_of
from seqc.driver.options import REALS, Options
from seqc.driver.reopen import origin, sources_of

if TYPE_CHECKING:
    from seqc.run.model import Model
    from seqc.run.report import Record

ENGINES = ("auto", "library", "evaluator")


def load(
    path: str | Path,
    *,
    real: str = "f32",
    dims: Mapping[str, int] | None = None,
    model: str | None = None,
    engine: str = "auto",
    seed: int = 0,
    march: str = "native",
    memory: int | None = None,
    threads: int = 1,
    tune: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Model:
    """Builds a model, or takes it from the cache, and opens it with initial weights drawn from `seed`.

    `engine` "library" runs compiled code, "evaluator" the numpy meaning (no C++ compiler needed), "auto" the first
    that works. So many `threads` share every call that is long enough, with the same result. Raises SeqError for
    mistakes in the program, UserFault and ToolFault for everything around it.

    `memory` replaces the budget of the `train` record: bytes of workspace that a call of `evaluate`, `gradients` or
    `update` may take; longer sequences are run in segments (compiled code only).

    `tune` times a few ways to run the model on this machine, once, and takes the quickest, now and in later builds.
    """
    if real not in REALS:
        raise UserFault("S0906", f"`real` is {real!r}", f"expected one of {', '.join(REALS)}")
    if engine not in ENGINES:
        raise UserFault("S0906", f"`engine` is {engine!r}", f"expected one of {', '.join(ENGINES)}")
    if memory is not None and (type(memory) is not int or memory < 1):
        raise UserFault("S0906", f"`memory` is {memory!r}", "expected a number of bytes")
    for name, size in (dims or {}).items():
        if isinstance(size, bool) or not hasattr(size, "__index__"):
            raise UserFault(
                "S0906", f"`dims`: {name} is {size!r}", "expected whole numbers by the names of `dim`s"
            )
    options = Options(
        real=real,
        dims=tuple(sorted((name, index(size)) for name, size in (dims or {}).items())),
        model=model,
        march=march,
    )
    options = replace(options, memory=memory)
    if tune and engine != "evaluator" and not Path(path).is_dir():
        options = tuned_once(Path(path), options, note)
    opened = _opened(Path(path), options, engine, seed, note)
    opened.threads = threads
    return opened


def tuned_once(path: Path, options: Options, note: Callable[[str], None]) -> Options:
    """The options with what timing found, now or before."""
    from seqc.driver.tune import tune
    from seqc.driver.tuned import with_tuned

    known = with_tuned(path, options)
    return known if known.tuned else tune(path, options, note)


def _opened(place: Path, options: Options, engine: str, seed: int, note: Callable[[str], None]) -> Model:
    if place.is_dir():
        from seqc.run.package import open_package

        return open_package(place, seed=seed)
    if engine != "evaluator":
        from seqc.driver.fault import ToolFault

        try:
            return _compiled(place, options, seed, note)
        except ToolFault as fault:
            if engine == "library" or fault.diagnostic.code != "S0901":
                raise
            note("no C++ compiler found: running the model in numpy, which is slow")
    return interpreted(place, options, seed)


def _compiled(path: Path, options: Options, seed: int, note: Callable[[str], None]) -> Model:
    from seqc.driver.build import prepare
    from seqc.run.library import LibraryEngine
    from seqc.run.model import Model

    asked, options = options, replace(options, memory=None)
    if asked.memory is not None:
        from seqc.driver.segments import check_budget

        check_budget(path, options, asked.memory)
    built = prepare(path, options, ("shared",), note)
    sources = sources_of(path, built.files)
    manifest = json.loads((built.folder / f"{built.name}.json").read_text(encoding="utf-8"))
    engine: Any = LibraryEngine(manifest, built.folder / manifest["library"])
    budget = asked.memory if asked.memory is not None else (manifest["train"] or {}).get("memory")
    if budget is not None:
        from seqc.driver.segments import check_budget, within

        if asked.memory is None:
            check_budget(path, options, budget)
        engine = within(engine, path, sources, options, budget, note)
    model = Model(engine, seed)
    model.picture, model.origin = _draw, origin(path, sources, asked, "library")
    return model


def interpreted(path: Path, options: Options, seed: int) -> Model:
    from seqc.driver import pipeline
    from seqc.driver.sources import Reader
    from seqc.driver.translate import manifest_of
    from seqc.run.evaluator import EvaluatorEngine
    from seqc.run.model import Model

    reader = Reader(path)
    program = pipeline.program(reader, options)
    flows = dict(pipeline.flows(program))
    initial = flows.pop("initial", None)
    apply = flows.pop("apply", None)
    manifest = manifest_of(program, options, name_of(program.name, options.name, path), reader)
    model = Model(EvaluatorEngine(manifest, flows, apply, initial), seed)
    model.picture, model.origin = _draw, origin(path, sources_of(path, reader.files), options, "evaluator")
    return model


def _draw(records: Sequence[Record], title: str, path: Path) -> None:
    """Draws the curve of a run; matplotlib is loaded only then."""
    from seqc.driver.curve import draw

    draw(records, title, path)
