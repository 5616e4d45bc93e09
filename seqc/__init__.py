"""seqc: a compiler for recurrences. This page is the map; it holds no other code than the public doors.

    .seq ──parse──▶ Tree ──lower──▶ Flow ──plan──▶ Plan ──emit──▶ Text ──driver──▶ files, libraries, modules
                    what was        what it         how it         what is
                    written         means           runs           printed

    source   text, spans, diagnostics and their picture
    syntax   text → Tree, Tree → text (`seqc fmt`)
    flow     the records of Flow and Program: an axis-typed graph for one instant of one sequence
    ops      the table of operations: shape, numpy meaning, derivative; the evaluator
    lower    Tree → Flow: names, sizes, axes; cells inlined, overrides applied; every mistake of an author is found here
    passes   Flow → Flow: specialise, ragged, differentiate (BPTT), update, stream, simplify, …
    plan     Flow → Plan: scans and blocks, stacked products, fused loops, arenas
    emit     Plan → C++, headers, manifest, Python stubs
    run      Model, State, weights files, training and generation over an engine (evaluator or compiled library)
    driver   runs the rooms, the C++ compiler and the cache
    cli      the command line

    std/       the standard library, written in the language
    templates/ Jinja templates; runtime/ what generated code includes

Doors: `seqc.check(path)`, `seqc.build(path, …)`, `seqc.load(path, …) -> Model`, `seqc.windows(x, …)`,
`seqc.from_torch(kind, arrays, at)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqc.driver.build import build
    from seqc.driver.check import check
    from seqc.driver.load import load
    from seqc.run.fault import ModelError
    from seqc.run.foreign import from_torch
    from seqc.run.model import Model
    from seqc.run.windows import windows
    from seqc.source.diagnostic import SeqError

__version__ = "0.1.0"
__all__ = [
    "Model",
    "ModelError",
    "SeqError",
    "__version__",
    "build",
    "check",
    "from_torch",
    "load",
    "windows",
]

_DOORS = {
    "build": "seqc.driver.build",
    "check": "seqc.driver.check",
    "load": "seqc.driver.load",
    "Model": "seqc.run.model",
    "ModelError": "seqc.run.fault",
    "from_torch": "seqc.run.foreign",
    "windows": "seqc.run.windows",
    "SeqError": "seqc.source.diagnostic",
}


def __getattr__(name: str) -> Any:
    """Loads a door when it is first used, so that the command line starts fast."""
    module = _DOORS.get(name)
    if module is None:
        raise AttributeError(f"module 'seqc' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)
