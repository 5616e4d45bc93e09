"""The golden files of the original, and models built to replay them.

`Golden` reads one file. `Lab` gives models by name of text, precision and engine; each text is compiled once a session.
Layers are called `l0`, `l1`, … in the texts, so that `param.0.in_gate.W` of a file is `l0.in_gate.W` of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import seqc
from seqc.run.model import Model

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT.parent / "shared" / "fixtures" / "theano_lstm"
REASON = "the golden files of theano_lstm are not beside this checkout (../shared/fixtures/theano_lstm)"
PRECISION = {"f64": 1e-9, "f32": 1e-4}
PARTS = {
    "Embedding": {"E": "table"},
    "GRU": {
        "reset": "reset_layer",
        "update": "memory_interpolation_layer",
        "candidate": "memory_to_memory_layer",
    },
}
"""Parts that the language's library calls by the names of the original's source instead of the files'."""


class Golden(Mapping[str, Any]):
    """One file: its arrays by name, and `meta`."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            self.arrays = {key: file[key] for key in file.files}
        self.name = name
        self.meta: dict[str, Any] = json.loads(str(self.arrays.pop("meta")))

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def ours(self, name: str) -> str:
        """`0.reset.W` of the file as `l0.reset_layer.W` of the model."""
        number, part, *rest = name.split(".")
        layers = self.meta.get("layers")
        kind = layers[int(number)]["kind"] if layers else "Embedding"
        return ".".join((f"l{number}", PARTS.get(kind, {}).get(part, part), *rest))

    def under(self, prefix: str) -> dict[str, Any]:
        """The arrays `prefix.<layer>.<part>` by the model's names."""
        head = prefix + "."
        found = [name.removeprefix(head) for name in self.arrays if name.startswith(head)]
        return {self.ours(name): self.arrays[head + name] for name in found if name[0].isdigit()}

    def put(self, model: Model, prefix: str = "param", layers: Mapping[str, str] | None = None) -> None:
        """Gives a model the parameters of the file; `layers` names layers of the model otherwise."""
        for name, array in self.under(prefix).items():
            layer, _, part = name.partition(".")
            full = f"{(layers or {}).get(layer, layer)}.{part}"
            if full in model.params:
                model.params[full] = array


def close(found: Any, expected: Any, bound: float, what: str = "") -> None:
    """Equal relative to the largest entry."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, f"{what}: {found.shape} beside {expected.shape}"
    error = float(np.max(np.abs(found - expected), initial=0.0))
    scale = float(np.max(np.abs(expected), initial=0.0))
    assert error <= bound * scale, f"{what}: off by {error:.3e}, of {scale:.3e}"


def close_all(found: Mapping[str, Any], expected: Mapping[str, Any], bound: float, what: str) -> None:
    """Each named array; there must be some."""
    assert expected, f"{what}: nothing to compare"
    for name, array in expected.items():
        close(found[name], array, bound, f"{what} {name}")


class Lab:
    """Models by text, precision and engine. Each call gives a model of its own."""

    def __init__(self, folder: Path, texts: Mapping[str, str]) -> None:
        self.folder, self.texts = folder, texts

    def model(self, name: str, engine: str, real: str = "f64", **dims: int) -> Model:
        path = self.folder / f"{name}.seq"
        if not path.exists():
            path.write_text(self.texts[name], encoding="utf-8")
        return seqc.load(path, real=real, engine=engine, dims=dims or None)
