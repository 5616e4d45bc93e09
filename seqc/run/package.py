"""Opens a folder that `seqc build` wrote: manifest, library, weights.

`open_package` gives a model; `model_class` gives the class that a written package shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .engine import Manifest
from .fault import ModelError
from .library import LibraryEngine
from .model import Model

SCHEMA = 1
RUN_FILES = (
    "__init__.py",
    "arguments.py",
    "arrays.py",
    "data.py",
    "engine.py",
    "fault.py",
    "fit.py",
    "folder.py",
    "foreign.py",
    "gather.py",
    "generate.py",
    "guard.py",
    "initial.py",
    "interrupt.py",
    "labels.py",
    "layout.py",
    "library.py",
    "lists.py",
    "measure.py",
    "model.py",
    "package.py",
    "pickled.py",
    "read.py",
    "report.py",
    "results.py",
    "scale.py",
    "segments.py",
    "short.py",
    "spoilt.py",
    "state.py",
    "table.py",
    "tensors.py",
    "texts.py",
    "training.py",
    "views.py",
    "wav.py",
    "weights.py",
    "windows.py",
)
"""What a written package carries of this room, beside `_host`."""


def read_manifest(path: Path) -> Manifest:
    """The parsed `model.json`."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a manifest: {error}") from None
    found = manifest.get("schema") if isinstance(manifest, dict) else None
    if found != SCHEMA:
        raise ModelError(f"{path}: expected a manifest of schema {SCHEMA}, found {found!r}")
    return manifest  # type: ignore[no-any-return]


def prepare(model: Model, folder: Path, weights: str | Path | None) -> None:
    """Loads the weights that are asked for, else those beside the library, if there are any."""
    beside = [folder / f"{stem}.safetensors" for stem in (folder.name, model.name)]
    found = weights if weights is not None else next((path for path in beside if path.exists()), None)
    if found is not None:
        model.load(found)


def open_package(folder: str | Path, *, weights: str | Path | None = None, seed: int = 0) -> Model:
    """The model of a written package: with weights from a file, from beside the library, built in, or drawn from `seed`."""
    model: Model = model_class(folder)(weights, seed=seed)
    return model


def model_class(folder: str | Path) -> type[Any]:
    """The class of a written package: `CharLM()` is a model with its weights, `CharLM(weights=…, seed=…)` another."""
    place = Path(folder)
    manifest = read_manifest(place / "model.json")

    def __init__(self: Model, weights: str | Path | None = None, *, seed: int = 0) -> None:
        Model.__init__(self, LibraryEngine(manifest, place / str(manifest["library"])), seed)
        self.origin = (open_package, (str(place.absolute()),))
        prepare(self, place, weights)

    fields: dict[str, Any] = {"__init__": __init__, "__doc__": manifest.get("doc") or None}
    return type(str(manifest["name"]), (Model,), fields)
