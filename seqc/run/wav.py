"""Sound files: RIFF WAVE with one channel of 16, 24 or 32 bit PCM, or of 32 or 64 bit float, as numbers from -1 to 1.

Takes a path, gives samples and their rate. Python's own `wave` reads no floats, so the chunks are read here.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from .engine import Array
from .fault import ModelError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def read_wav(path: Path) -> tuple[Array, int]:
    """Samples as float32 and samples per second."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        chunks = _chunks(data)
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
        if kind == EXTENSIBLE:
            kind = struct.unpack_from("<H", chunks[b"fmt "], 24)[0]
        samples = chunks[b"data"]
    except (KeyError, struct.error, ValueError):
        raise ModelError(f"{path} is not a whole WAVE file") from None
    if channels != 1:
        raise ModelError(f"{path} has {channels} channels; expected one (mono)")
    return _samples(path, kind, bits, samples), int(rate)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a RIFF file by their names."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError
    found: dict[bytes, bytes] = {}
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if place + 8 + size > len(data):
            raise ValueError
        found.setdefault(name, data[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return found


def _samples(path: Path, kind: int, bits: int, data: bytes) -> Array:
    size = bits // 8
    if not data or size == 0 or len(data) % size:
        raise ModelError(f"{path} holds no whole samples")
    if kind == FLOAT and bits in (32, 64):
        return np.frombuffer(data, f"<f{size}").astype(np.float32)
    if kind == PCM and bits in (16, 32):
        return (np.frombuffer(data, f"<i{size}") / 2.0 ** (bits - 1)).astype(np.float32)
    if kind == PCM and bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    raise ModelError(
        f"{path}: expected 16, 24 or 32 bit PCM or 32 bit float, found {bits} bits of kind {kind}"
    )
