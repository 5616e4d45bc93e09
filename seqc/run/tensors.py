"""Reads and writes safetensors files: 8 bytes of length, a JSON header, then the arrays one after another.

Reading is strict (sizes, holes, overlaps, duplicates, checksum) and never runs what it reads; writing is atomic: the
old file or the new one, whole, whatever happens.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .engine import Array
from .fault import DiskError, ModelError

LONGEST_HEADER = 16 * 1024 * 1024  # the format allows 100 MB; that much JSON would take too long to refuse
_DTYPES: dict[str, Any] = {
    "F32": np.float32,
    "F64": np.float64,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


def write_tensors(
    path: str | Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays in the order given. The metadata gains a checksum over header and arrays, and one
    over the arrays alone for readers without JSON."""
    header: dict[str, Any] = {"__metadata__": dict(metadata or {})}
    arrays, first = [], 0
    # Larger elements first, as the format's own writer does, so that every array lies at a multiple of its element.
    for name, value in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        array = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(value.shape)
        end = first + array.nbytes
        header[name] = {
            "dtype": _NAMES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [first, end],
        }
        arrays.append(array)
        first = end
    header["__metadata__"]["data_crc32"] = f"{_crc32(arrays):08x}"
    header["__metadata__"]["crc32"] = f"{_checksum(header, arrays):08x}"
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            file.write(array.tobytes())


def _checksum(header: Mapping[str, Any], arrays: list[Any]) -> int:
    metadata = {key: value for key, value in header["__metadata__"].items() if key != "crc32"}
    plain = json.dumps({**header, "__metadata__": metadata}, sort_keys=True, separators=(",", ":"))
    return _crc32(arrays, zlib.crc32(plain.encode()))


def _crc32(arrays: list[Any], value: int = 0) -> int:
    for array in arrays:
        value = zlib.crc32(array.tobytes() if isinstance(array, np.ndarray) else array, value)
    return value


def read_tensors(
    path: str | Path, wanted: Mapping[str, tuple[int, ...]] | None = None
) -> tuple[dict[str, Array], dict[str, str]]:
    """All arrays and the metadata of a file; with `wanted`, its weights, names and shapes checked before the data is read."""
    if not isinstance(path, str | Path):
        raise ModelError(f"expected the path of a file of weights, found a {type(path).__name__}")
    if "\0" in str(path):
        raise ModelError(f"expected the path of a file of weights, found {str(path)!r}")
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            header, begin = _header(file, size, path.name)
            metadata = _metadata(header, path.name)
            entries = _entries(header, size - begin, path.name)
            if wanted is not None:
                entries = _weights(entries, metadata)
                _compare(entries, wanted, path.name)
            data = file.read(size - begin)
    except IsADirectoryError:
        raise ModelError(f"cannot read {path}: it is a folder; expected a file of weights") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) != size - begin:
        raise _bad(path.name, "the file became shorter while it was read")
    _verify(header, data, path.name)
    return {name: _array(data, entry, path.name, name) for name, entry in entries.items()}, metadata


def _bad(file: str, reason: str) -> ModelError:
    return ModelError(f"{file} is not a whole safetensors file: {reason}")


def _header(file: BinaryIO, size: int, name: str) -> tuple[dict[str, Any], int]:
    prefix = file.read(8)
    if len(prefix) < 8:
        raise _bad(name, f"expected 8 bytes of length, found {len(prefix)}")
    length = int.from_bytes(prefix, "little")
    if length > LONGEST_HEADER or length > size - 8:
        raise _bad(name, f"its header should have {length} bytes, the file has {size}")
    text = file.read(length)
    if not text.startswith(b"{"):
        raise _bad(name, "its header does not begin with `{`")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise _bad(name, f"its header cannot be read ({error})") from None
    return header, 8 + length


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _metadata(header: dict[str, Any], file: str) -> dict[str, str]:
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _bad(file, "its metadata is not made of texts")
    return metadata


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _entries(header: dict[str, Any], available: int, file: str) -> dict[str, Any]:
    """The entries, once every array is known to lie inside the data, with neither hole nor overlap."""
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or sorted(entry) != ["data_offsets", "dtype", "shape"]:
            raise _bad(file, f"`{name}` should have dtype, shape and data_offsets")
        shape, offsets = entry["shape"], entry["data_offsets"]
        lists = (
            isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2 and len(shape) <= 32
        )
        if not lists or not all(map(_is_size, [*shape, *offsets])):
            raise _bad(file, f"`{name}` has a shape or offsets that are not sizes")
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
            raise ModelError(
                f"{file}: `{name}` has dtype {entry['dtype']!r}; expected one of {', '.join(_DTYPES)}"
            )
        needed = np.dtype(_DTYPES[entry["dtype"]]).itemsize
        for dim in shape:
            needed *= dim
        if needed != offsets[1] - offsets[0]:
            raise _bad(file, f"`{name}` needs {needed} bytes, its offsets give {offsets[1] - offsets[0]}")
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["data_offsets"][0] != position:
            raise _bad(file, f"`{name}` begins at {entry['data_offsets'][0]}, expected {position}")
        position = entry["data_offsets"][1]
    if position != available:
        raise _bad(file, f"its arrays need {position} bytes, it holds {available}")
    return entries


def _weights(entries: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """The weights among the arrays of a file: a checkpoint of a run has them beside all else."""
    if metadata.get("kind") != "checkpoint":
        return entries
    begin = "weights."
    return {name.removeprefix(begin): each for name, each in entries.items() if name.startswith(begin)}


def _compare(entries: dict[str, Any], wanted: Mapping[str, tuple[int, ...]], file: str) -> None:
    """Names and shapes against those of a model, all differences in one message."""
    problems = [f"`{name}` is missing" for name in wanted if name not in entries]
    problems += [f"`{name}` is not in the model" for name in entries if name not in wanted]
    for name, shape in wanted.items():
        if name in entries and tuple(entries[name]["shape"]) != tuple(shape):
            problems.append(f"`{name}`: expected {list(shape)}, found {entries[name]['shape']}")
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelError(f"{file} does not fit the model: {'; '.join(problems[:8])}{more}")


def _verify(header: dict[str, Any], data: bytes, file: str) -> None:
    """Files of other programs have no checksum and are taken as they are."""
    told = header.get("__metadata__", {}).get("crc32")
    if told is not None and told != f"{_checksum(header, [data]):08x}":
        raise _bad(file, "its checksum does not fit, so it was damaged")


def _array(data: bytes, entry: dict[str, Any], file: str, name: str) -> Array:
    dtype = np.dtype(_DTYPES[entry["dtype"]]).newbyteorder("<")
    first, end = entry["data_offsets"]
    if entry["dtype"] == "BOOL" and not set(data[first:end]) <= {0, 1}:
        raise _bad(file, f"`{name}` holds a byte that is neither true nor false")
    array = np.frombuffer(data, dtype, (end - first) // dtype.itemsize, first).reshape(entry["shape"])
    return array.astype(dtype.newbyteorder("="))


@contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """A new file beside `path` that takes its place once it is whole and on the disk."""
    if not isinstance(path, str | Path) or "\0" in str(path) or not Path(path).name:
        raise ModelError(f"expected the path of a file to write, found {path!r}")
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with suppress(OSError):  # what somebody else left there may have to stay
            _sweep(path)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # a disk that nobody may write refuses this, too
            part.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Removes what writers that were killed left behind."""
    begin = f".{path.name}."
    names = os.listdir(path.parent) if path.parent.is_dir() else []
    for name in names:
        process = (
            name[len(begin) :].split("-")[0] if name.startswith(begin) and name.endswith(".part") else ""
        )
        if process.isdigit() and not _alive(int(process)):
            path.with_name(name).unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
