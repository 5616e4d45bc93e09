"""Our side: the model of the row, built, with its own initial weights, which the others take."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speed.models import data, text
from speed.peers import Peer, Runner, Skip
from speed.work import Work

BLOCK = 64
"""Samples of one block call."""

SAMPLES = 1563 * BLOCK  # a hundred thousand and some
"""Samples after which a stream is compared with float64."""


def load(work: Work) -> Any:
    """A compiled model with initial weights drawn from seed 0."""
    from seqc.driver import fault
    from seqc.driver.build import prepare
    from seqc.driver.options import Options
    from seqc.run.library import LibraryEngine
    from seqc.run.model import Model
    from seqc.source.diagnostic import SeqError

    folder = Path(tempfile.gettempdir()) / f"seqc-grid-{_user()}"
    folder.mkdir(exist_ok=True)
    source = text(work)
    path = folder / f"grid_{_digest(source)}.seq"
    path.write_text(source, encoding="utf-8")
    low = work.precision != "f32" and work.kind != "training"
    options = Options(deploy="low") if low else Options()
    try:
        built = prepare(path, options, ("shared",))
    except SeqError as error:
        raise Skip(f"seqc: {error.diagnostics[0].title}") from None
    except fault.Fault as error:
        raise Skip(f"seqc: {error.diagnostic.title}: {' '.join(error.diagnostic.notes)}") from None
    manifest = json.loads((built.folder / f"{built.name}.json").read_text(encoding="utf-8"))
    library = built.folder / manifest["library"]
    return Model(LibraryEngine(manifest, library), 0), library


def _digest(source: str) -> str:
    import hashlib

    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _user() -> str:
    import os

    return str(os.getuid()) if hasattr(os, "getuid") else "all"


def make(work: Work, weights: dict[str, np.ndarray] | None, peer: Peer) -> Runner:
    """A worker; `weights` are those of another worker of ours, where this one is a partner of itself."""
    if work.kind == "ragged" and weights is not None:
        work = replace(work, kind="training")  # the partner runs the same batch, padded
    model, library = load(work)
    if work.threads > 1:
        model.threads = work.threads
    given = data(work)
    start = {name: np.array(value) for name, value in model.params.items()}
    if work.kind in ("samples", "block"):
        return _stream(work, model, library, start)
    if work.kind == "step":
        return _step(model, given, start)
    if work.kind == "sequence":
        out = model.infer(given["x"])

        def infer() -> float:
            model.infer(given["x"], out=out)
            return float(out[-1, 0, 0])

        return Runner(infer, lambda: np.array(model.infer(given["x"])), start)

    extra = {"steps": work.steps} if work.kind == "pendulum" else {}  # its inputs have no axis of time

    def update() -> float:
        return float(model.update(**given, **extra))

    def losses() -> np.ndarray:
        found = [update() for _ in range(3)]
        model.initialise(0)
        return np.array(found)

    return Runner(update, losses, start)


def _step(model: Any, given: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> Runner:
    """One step from Python, written into the caller's array, from a state for one sequence."""
    state = model.state()
    x = np.ascontiguousarray(given["x"][0, 0])
    out = np.zeros(1, np.float32)
    step = model.stepper(state)

    def run() -> float:
        step(x, out=out)
        return float(out[0])

    def outcome() -> np.ndarray:
        fresh = model.state()
        return np.array([np.array(model.step(row[0], state=fresh)) for row in given["x"]])

    return Runner(run, outcome, start)


def _stream(work: Work, model: Any, library: Path, start: dict[str, np.ndarray]) -> Runner:
    from speed.peers.native import Stream

    block = BLOCK if work.kind == "block" else 1
    random = np.random.default_rng(3)
    x = random.normal(0, 1, SAMPLES).astype(np.float32)
    y = np.zeros(SAMPLES, np.float32)
    stream = Stream(library, model.manifest, model.engine.arenas.plain, block)
    count = 1024

    def run() -> float:
        stream.run(x, y, count)
        return float(y[count - 1])

    def outcome() -> np.ndarray:
        fresh = Stream(library, model.manifest, model.engine.arenas.plain, block)
        fresh.run(x, y, SAMPLES)
        return np.stack([x, y], 1)

    return Runner(run, outcome, start, count)
