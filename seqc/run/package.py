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


def prepare(model: Model, folder: Path, weights: str | Path | None, seed: int) -> None:
    """Weights from the file that is asked for, else from the one beside the library, else built in, else first values."""
    beside = folder / f"{folder.name}.safetensors"
    if weights is None and not beside.exists():
        beside = folder / f"{model.name}.safetensors"
    embedded = getattr(model.engine, "embedded", False)
    if weights is None and not beside.exists() and embedded:
        model._changed()
        return
    model.initialise(seed)
    if weights is not None or beside.exists():
        model.load(weights if weights is not None else beside)


def open_model(folder: str | Path, weights: str | Path | None = None, seed: int = 0) -> Model:
    """A model over the library in `folder`."""
    folder = Path(folder)
    manifest = read_manifest(folder / "model.json")
    model = Model(LibraryEngine(manifest, folder / str(manifest["library"])))
    prepare(model, folder, weights, seed)
    return model


def open_package(folder: str | Path) -> Model:
    """The model of a written package with the weights that came with it."""
    return open_model(folder)


def model_class(folder: str | Path) -> type[Model]:
    """The class of a written package: `CharLM()` is a model with its weights, `CharLM(weights=…, seed=…)` another."""
    place = Path(folder)
    manifest = read_manifest(place / "model.json")

    def __init__(self: Model, weights: str | Path | None = None, *, seed: int = 0) -> None:
        Model.__init__(self, LibraryEngine(manifest, place / str(manifest["library"])))
        prepare(self, place, weights, seed)

    fields: dict[str, Any] = {"__init__": __init__, "__doc__": manifest.get("doc") or None}
    return type(str(manifest["name"]), (Model,), fields)
