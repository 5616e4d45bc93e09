"""What weights of fewer bits cost: outputs of the built model beside those of the same weights in single precision.

Takes the path and options of a build; gives one sentence for its report. Both sides see the same drawn sequences.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from seqc.driver.build import prepare
from seqc.driver.load import interpreted
from seqc.driver.options import Options
from seqc.run.library import LibraryEngine
from seqc.run.model import Model

STEPS, ROWS, MOST = 64, 4, 2048
"""Steps and rows that are drawn, and the most steps for which anybody would wait."""
Note = Callable[[str], None]


def report(path: Path, options: Options, note: Note) -> None:
    """Says by how much real outputs differ, relative to their range, over drawn sequences."""
    manifest, library = _built(path, options, note)
    error = _error(path, options, manifest, library)
    if error is not None:
        steps, rows = sizes_of(manifest)
        count = "a drawn sequence" if rows == 1 else f"{rows} drawn sequences"
        note(
            f"weights of fewer bits move the outputs by {100 * error:.2g} % of their range "
            f"({count} of {steps} step{'s' * (steps != 1)}, beside single precision)"
        )


def rounding_error(path: Path, options: Options, note: Note = lambda _: None) -> float | None:
    """The largest difference of any real output, relative to its range; None where a model has no real output, or takes so
    many steps that the interpreter would be long about them."""
    return _error(path, options, *_built(path, options, note))


def _built(path: Path, options: Options, note: Note) -> tuple[Mapping[str, Any], Path]:
    built = prepare(path, options, ("shared",), note)
    manifest = json.loads((built.folder / f"{built.name}.json").read_text(encoding="utf-8"))
    return manifest, built.folder / manifest["library"]


def _error(path: Path, options: Options, manifest: Mapping[str, Any], library: Path) -> float | None:
    if sizes_of(manifest)[0] > MOST:
        return None
    fast = Model(LibraryEngine(manifest, library), None)
    exact = interpreted(path, replace(options, deploy=None, embed=None), 0)
    if options.embed is None:
        fast.initialise(0)
    else:
        for model in (fast, exact):
            model.load(options.embed)
    values = drawn(manifest)
    found = [_outputs(model, manifest, values) for model in (fast, exact)]
    real = [number for number, each in enumerate(manifest["outputs"]) if each["kind"] == "real"]
    return max((_difference(found[0][number], found[1][number]) for number in real), default=None)


def _steps_only(manifest: Mapping[str, Any]) -> bool:
    return "infer" not in manifest["entries"]


def _difference(ours: np.ndarray[Any, Any], exact: np.ndarray[Any, Any]) -> float:
    span = float(np.ptp(exact))
    return float(np.abs(ours - exact).max()) / (span if span > 0 else 1.0)


def sizes_of(manifest: Mapping[str, Any]) -> tuple[int, int]:
    """Steps and rows of what is drawn: those of the profile where the library takes no others."""
    only = manifest["only"]
    return only["steps"] or STEPS, only["batch"] or (1 if _steps_only(manifest) else ROWS)


def drawn(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs by name: normal reals, even indices, whole lengths; rows that are stepped have no length."""
    draw = np.random.default_rng(0)
    steps, rows = sizes_of(manifest)
    values: dict[str, Any] = {}
    for each in manifest["inputs"]:
        if each["target"] or (each["length"] and _steps_only(manifest)):
            continue
        stream = "time" in each["axes"]
        shape = ((steps,) if stream else ()) + (rows, *each["dims"])
        if each["length"]:
            values[each["name"]] = np.full(shape, steps, np.int32)
        elif each["kind"] == "real":
            values[each["name"]] = draw.normal(size=shape).astype(np.float32)
        else:
            values[each["name"]] = draw.integers(0, each["bound"] or 2, shape, np.int32)
    return values


def _outputs(model: Model, manifest: Mapping[str, Any], values: Mapping[str, Any]) -> list[Any]:
    """All outputs, of whole sequences or step by step."""
    streams = {each["name"] for each in manifest["inputs"] if "time" in each["axes"]}
    steps, rows = sizes_of(manifest)
    if not _steps_only(manifest):
        return _listed(model.infer(**values, steps=None if streams & set(values) else steps))
    state = model.state(rows)
    found = []
    for t in range(steps):
        now = {name: value[t] if name in streams else value for name, value in values.items()}
        found.append([np.array(each) for each in _listed(model.step(**now, state=state))])
    return [np.stack(each) for each in zip(*found, strict=True)]


def _listed(found: Any) -> list[Any]:
    if isinstance(found, tuple):
        return list(found)
    return list(found.values()) if isinstance(found, dict) else [found]
