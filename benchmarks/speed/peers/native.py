"""A stream of samples in C: `stream.c`, compiled once, drives the compiled model one sample or one block a call."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent.parent


def _library() -> ctypes.CDLL:
    from seqc.driver import resources, toolchain

    target = Path(tempfile.mkdtemp(prefix="seqc-grid-")) / "stream.so"
    compiler = [each.replace("g++", "gcc").replace("clang++", "clang") for each in toolchain.locate()]
    source = HERE / "stream.c"
    command = [*compiler, "-std=gnu99", "-O2", "-fPIC", "-shared", f"-I{resources.runtime()}", str(source)]
    subprocess.run([*command, "-o", str(target), "-ldl"], check=True)
    found = ctypes.CDLL(str(target))
    found.stream_open.restype = ctypes.c_void_p
    found.stream_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return found


class Stream:
    """One running stream with a state of its own; `block` samples a call."""

    def __init__(self, library: Path, manifest: Any, plain: np.ndarray, block: int) -> None:
        self._library = _library()
        self._plain = plain
        sizes = [4 * int(np.prod(each["dims"])) for each in manifest["states"]]
        symbol = f"{manifest.get('symbol') or manifest['name']}_get"
        self._handle = self._library.stream_open(
            str(library).encode(),
            symbol.encode(),
            ctypes.c_void_p(plain.ctypes.data),
            len(sizes),
            (ctypes.c_int64 * len(sizes))(*sizes),
            ctypes.c_int64(block),
        )
        if not self._handle:
            raise RuntimeError(f"cannot open {library}")

    def run(self, x: np.ndarray, y: np.ndarray, count: int) -> None:
        """The first `count` samples of x become those of y."""
        code = self._library.stream_run(self._handle, x.ctypes.data, y.ctypes.data, count)
        if code:
            raise RuntimeError(f"the model answers with code {code}")
