"""Weights files: readable by others, refused when damaged, whole after a kill."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from seqc.run import Model, ModelError
from seqc.run.tensors import read_tensors, write_tensors

TENSORS = {
    "net.W": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5, -2.0]),
    "n": np.array(7, np.int64),
    "m": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
}


def write(path: Path) -> bytes:
    write_tensors(path, TENSORS, {"model": "toy"})
    return path.read_bytes()


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return sorted(left) == sorted(right) and all(
        left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name]) for name in left
    )


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    write(tmp_path / "w.safetensors")
    tensors, metadata = read_tensors(tmp_path / "w.safetensors")
    assert same(tensors, TENSORS) and metadata["model"] == "toy"
    assert [each.name for each in tmp_path.iterdir()] == ["w.safetensors"]


def test_others_read_it_and_we_read_theirs(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    write(tmp_path / "w.safetensors")
    assert same(safetensors.load_file(tmp_path / "w.safetensors"), TENSORS)
    safetensors.save_file(TENSORS, tmp_path / "theirs.safetensors", {"from": "them"})
    tensors, metadata = read_tensors(tmp_path / "theirs.safetensors")
    assert same(tensors, TENSORS) and metadata == {"from": "them"}


def test_every_cut_is_refused(tmp_path: Path) -> None:
    path, data = tmp_path / "w", write(tmp_path / "w")
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            read_tensors(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(ModelError):
        read_tensors(path)


def test_every_flip_is_refused_or_harmless(tmp_path: Path) -> None:
    path, data = tmp_path / "w", write(tmp_path / "w")
    draw = random.Random(0)
    for count in [1] * 1500 + [4] * 300:
        damaged = bytearray(data)
        for _ in range(count):
            damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            tensors, _ = read_tensors(path)
        except ModelError:
            continue
        assert count > 1 or same(tensors, TENSORS)  # several may hit the checksum's own name


def raw(header: object, data: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE = {
    "huge header": b"\xff" * 7 + b"\x0f{}",
    "a list": raw([]),
    "not utf-8": raw(b'{"\xff": 1}'),
    "deep": raw(b'{"a":' + b"[" * 100_000),
    "twice": raw(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}'),
    "overlap": raw({"a": entry(), "b": entry()}),
    "hole": raw({"a": entry(offsets=(8, 16))}, b"\0" * 16),
    "too short": raw({"a": entry(shape=(4,), offsets=(0, 16))}),
    "wrap-around": raw({"a": entry(shape=(2**62, 4), offsets=(0, 8))}),
    "negative": raw({"a": entry(shape=(-2,), offsets=(0, -8))}),
    "backwards": raw({"a": entry(offsets=(8, 0))}),
    "truth for a size": raw({"a": entry(shape=(True, 2))}),
    "float for a size": raw({"a": entry(shape=(2.0,))}),
    "text for a shape": raw({"a": entry(shape="2")}),
    "dtype": raw({"a": entry(dtype="F16", offsets=(0, 8))}),
    "dtype that is a list": raw({"a": entry(dtype=["F32"])}),
    "more fields": raw({"a": {**entry(), "x": 1}}),
    "metadata": raw({"__metadata__": {"a": 1}, "a": entry()}),
    "metadata list": raw({"__metadata__": [], "a": entry()}),
    "surrogate": raw(b'{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}'),
    "bool": raw({"a": entry("BOOL", (8,))}, b"\2" * 8),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "w").write_bytes(HOSTILE[name])
    with pytest.raises(ModelError):
        read_tensors(tmp_path / "w")


def test_load_is_all_or_nothing(toy: Model, tmp_path: Path) -> None:
    before = toy.params["net.W"].copy()
    wrong = {
        "there is `net.V`": (
            {"net.V": np.zeros(2, np.float32)},
            "`net.W` is missing; `net.V` is not in the model",
        ),
        "shape": ({"net.W": np.zeros(3, np.float32)}, "`net.W`: expected \\[2\\], found \\[3\\]"),
        "dtype": ({"net.W": np.zeros(2, np.int32)}, "`net.W` holds int32; expected real numbers"),
        "nan": ({"net.W": np.array([1, np.nan], np.float32)}, "`net.W` holds a number that is not finite"),
    }
    for tensors, text in wrong.values():
        write_tensors(tmp_path / "w", tensors)
        with pytest.raises(ModelError, match=text):
            toy.load(tmp_path / "w")
        np.testing.assert_array_equal(before, toy.params["net.W"])
    with pytest.raises(ModelError, match=r"cannot read .*[/\\]nothing: No such"):
        toy.load(tmp_path / "nothing")
    write_tensors(tmp_path / "w", {"net.W": np.array([0.5, 0.25])})  # float64 into a float32 build
    toy.load(tmp_path / "w")
    assert toy.params["net.W"].tolist() == [0.5, 0.25]


def test_save_and_load_with_symbols(toy: Model, tmp_path: Path) -> None:
    toy.symbols = ["a", "\n", "ß"]
    before = toy.params["net.W"].copy()
    toy.save(tmp_path / "w")
    toy.initialise(5)
    toy.symbols = None
    toy.load(tmp_path / "w")
    np.testing.assert_array_equal(before, toy.params["net.W"])
    assert toy.symbols == ["a", "\n", "ß"]


def test_a_folder_that_cannot_be_written(toy: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"cannot write .*missing[/\\]w: "):
        toy.save(tmp_path / "missing" / "w")

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "unlink", refuse)  # as a read-only disk does, also for what is not there
    with pytest.raises(ModelError, match=r"cannot write .*missing[/\\]w: "):
        toy.save(tmp_path / "missing" / "w")


KILLED = """
import sys, numpy as np
from seqc.run.tensors import write_tensors
n = 0
while True:
    n += 1
    write_tensors(sys.argv[1], {"a": np.full(200_000, n, np.float32), "b": np.full(1000, n, np.float64)})
    print(n, flush=True)
"""


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    draw = random.Random(1)
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, env={**os.environ}, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        tensors, _ = read_tensors(path)
        assert len(set(tensors["a"].tolist())) == 1 and tensors["b"][0] == tensors["a"][0]
    write_tensors(path, TENSORS)
    assert [each.name for each in tmp_path.iterdir()] == [
        "w.safetensors"
    ]  # what was left behind is swept away


@pytest.mark.parametrize("place", [".", "made"])
def test_a_folder_is_no_file_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "made").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        read_tensors(place)
    assert str(caught.value) == f"cannot read {place}: it is a folder; expected a file of weights"
