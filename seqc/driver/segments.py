"""A model that is trained within a budget of bytes: its engine, and the parts that run a long sequence in segments.

Takes the path and options of a build; gives the engine with the budget around it. The parts are built when a call first
needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from seqc.driver import pipeline
from seqc.driver.build import prepare
from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.driver.reopen import as_loaded
from seqc.driver.sources import Reader
from seqc.passes.segment import PARTS, NotSegmented, cuts_of
from seqc.run.engine import Arenas
from seqc.run.library import LibraryEngine
from seqc.run.segments import Parts, SegmentedEngine

Note = Callable[[str], None]


def check_budget(path: Path, options: Options, budget: int) -> None:
    """UserFault S0906 or S0915 where no budget can be obeyed: the model cannot be cut into segments."""
    if budget < 1:
        raise UserFault("S0906", f"`memory` is {budget}", "expected a number of bytes")
    try:
        cuts_of(pipeline.program(Reader(path), options))
    except NotSegmented as reason:
        raise UserFault(
            "S0915",
            f"`memory` cannot be obeyed for `{path.name}`",
            f"the sequence cannot be cut into segments: {reason}",
            "leave `memory` out, or give `window` for truncated backpropagation",
        ) from None


def within(
    engine: LibraryEngine, path: Path, sources: Mapping[str, str], options: Options, budget: int, note: Note
) -> SegmentedEngine:
    """The engine, kept within `budget` bytes, which have been checked.

    `sources` are those of the engine: its parts are built from them, whatever the files hold by then.
    """

    def make(arenas: Arenas) -> Parts:
        with as_loaded(path, sources) as first:
            return Parts(*(open_part(first, replace(options, part=name), arenas, note) for name in PARTS))

    return SegmentedEngine(engine, make, budget)


def open_part(path: Path, options: Options, arenas: Arenas, note: Note) -> LibraryEngine:
    """One part, compiled or from the cache, on the arenas of the whole model."""
    built = prepare(path, options, ("shared",), note)
    manifest = json.loads((built.folder / f"{built.name}.json").read_text(encoding="utf-8"))
    return LibraryEngine(manifest, built.folder / manifest["library"], arenas)
