"""The toy model of the room `run`: its manifest, and a library compiled once a session from `toy.c`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqc.run import Model

ROOT = Path(__file__).resolve().parents[2]
STREAM, ONCE = ["time", "batch"], ["batch"]


def port(name: str, kind: str, dims: list[int], axes: list[str], **more: Any) -> dict[str, Any]:
    plain = {"bound": None, "target": False, "length": False, "default": False, "doc": ""}
    return {"name": name, "kind": kind, "dims": dims, "axes": axes, **plain, **more}


def manifest() -> dict[str, Any]:
    return {
        "schema": 1,
        "name": "toy",
        "seqc": "0",
        "source_hash": "hash",
        "real": "f32",
        "doc": "A toy.",
        "entries": ["infer", "evaluate", "gradients", "apply", "update", "step"],
        "causal": True,
        "carried": True,
        "stream": True,
        "until": False,
        "inputs": [
            port("x", "real", [2], STREAM),
            port("gain", "real", [], ONCE),
            port("kind", "index", [], STREAM, bound=5),
            port("goal", "real", [2], ONCE, target=True),
        ],
        "outputs": [port("y", "real", [], STREAM)],
        "metrics": ["root"],
        "hypers": [{"name": "SGD.lr", "kind": "real", "value": 0.1, "low": 0.0, "high": None, "bound": None}],
        "parameters": [
            {
                "name": "net.W",
                "dims": [2],
                "offset": 0,
                "init": ["uniform", -0.5, 0.5],
                "trained": True,
                "doc": "",
            }
        ],
        "states": [{"name": "net.h", "kind": "real", "dims": [2], "bound": None}],
        "optimizer": [{"name": "net.W.seen", "parameter": "net.W", "dims": [2], "offset": 0}],
        "plain_bytes": 8,
        "packed_bytes": 8,
        "optimizer_bytes": 8,
        "train": {"clip": None, "window": None, "warmup": 0, "seed": 0, "memory": None},
        "library": "libtoy.so",
        "target": {},
        "symbols": None,
    }


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("seqc.run._host")
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("toy") / "libtoy.so"
    source = Path(__file__).with_name("toy.c")
    flags = ["-std=c99", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'runtime'}"]
    subprocess.run([compiler, *flags, str(source), "-o", str(path), "-lm"], check=True)
    return path


@pytest.fixture
def toy(library: Path) -> Model:
    from seqc.run.library import LibraryEngine

    return Model(LibraryEngine(manifest(), library))


def interrupted_everywhere(work: Callable[[], object]) -> int:
    """Does some work again and again, interrupted at a later place each time; how many places there are."""
    places = 0
    while True:
        left = places

        def strike(frame: object, event: str, argument: object) -> None:
            nonlocal left
            left -= event in ("call", "c_return")
            if left < 0:
                raise KeyboardInterrupt

        sys.setprofile(strike)
        try:
            work()
        except KeyboardInterrupt:
            places += 1
        else:
            return places
        finally:
            sys.setprofile(None)
