"""The standalone program: numbers in, numbers out, the same as the library gives; what it says to wrong use."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from seqc.run.tensors import write_tensors
from tests.compiled.client import FLAGS, RUNTIME, STRICT
from tests.compiled.compare import Pair, make
from tests.numeric.hand_models import MODELS


@dataclass(frozen=True)
class Program:
    """An executable beside the client of the same model."""

    pair: Pair
    path: Path
    weights: Path

    def run(
        self, text: str | bytes, *options: str, weights: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        data = text.encode() if isinstance(text, str) else text
        given = ["--weights", str(self.weights)] if weights else []
        return subprocess.run(
            [str(self.path), *given, *options], input=data, capture_output=True, check=False
        )


def build(name: str, folder: Path) -> Program:
    pair = make(MODELS[name](), "f32", folder)
    sources = ["model.cpp", "model_main.cpp"]
    command = [
        "g++",
        *FLAGS,
        *STRICT,
        "-O1",
        "-march=native",
        "-I",
        str(RUNTIME),
        *sources,
        "-lm",
        "-o",
        "program",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    save_file(
        {name_: array.copy() for name_, array in pair.client.parameters().items()},
        str(folder / "w.safetensors"),
    )
    return Program(pair, folder / "program", folder / "w.safetensors")


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return build("gru", tmp_path_factory.mktemp("gru"))


def outputs_of(pair: Pair, x: Any) -> Any:
    outputs = pair.client.outputs(len(x), 1)
    assert (
        pair.client.forward(
            "infer", [x[:, None].copy(), *[None] * (len(pair.program.inputs) - 1)], outputs, None, len(x), 1
        )
        == 0
    )
    return outputs[0][:, 0]


def test_lines_of_numbers_stream_through(gru: Program) -> None:
    x = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)
    lines = "a,b,c\n" + "".join(",".join(f"{number:.9g}" for number in row) + "\n" for row in x)
    done = gru.run(lines)
    assert done.returncode == 0, done.stderr
    found = np.array([[float(word) for word in line.split(",")] for line in done.stdout.decode().split()])
    assert np.max(np.abs(found - outputs_of(gru.pair, x))) <= 1e-6
    raw = gru.run(x.tobytes(), "--raw")
    assert np.array_equal(
        np.frombuffer(raw.stdout, np.float32).reshape(found.shape), found.astype(np.float32)
    )


def test_a_model_that_cannot_stream_reads_everything_first(tmp_path: Path) -> None:
    program = build("both_ways", tmp_path)
    x = np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32)
    done = program.run("".join(",".join(f"{number:.9g}" for number in row) + "\n" for row in x))
    assert done.returncode == 0, done.stderr
    found = np.array([[float(word) for word in line.split(",")] for line in done.stdout.decode().split()])
    assert np.max(np.abs(found - outputs_of(program.pair, x))) <= 1e-6


def test_bytes_are_answered_step_by_step(gru: Program) -> None:
    """Who waits for each step's results gets them; half a step is not lost in silence."""
    x = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    whole = gru.run(x.tobytes(), "--raw").stdout
    command = [str(gru.path), "--weights", str(gru.weights), "--raw"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for step, row in enumerate(x):
            process.stdin.write(row.tobytes())
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 20)[0]
            assert process.stdout.read(8) == whole[8 * step : 8 * step + 8]
    done = gru.run(x.tobytes()[:-2], "--raw")
    assert done.returncode == 1 and "step 2" in done.stderr.decode() and done.stdout == whole[:16]


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        ("1,2\n", (), 1, "step 0"),
        ("1,2,3\n1,2,3\0\n4,5,6\n", (), 1, "step 1"),
        ("\0a,b,c\n1,2,3\n", (), 1, "step 0"),
        ("1,2,3\n1,x,3\n", (), 1, "step 1"),
        ("1,2,3,4\n", (), 1, "step 0"),
        ("", ("--nonsense", "1"), 1, "--nonsense"),
        ("", ("--set", "nothing=1"), 1, "nothing"),
        ("", ("--weights", "/nowhere"), 2, "cannot be opened"),
        ("1,2,3\n", ("--steps", "2"), 1, "the input says how many steps there are"),
    ],
)
def test_wrong_use_is_named(gru: Program, text: str, options: tuple[str, ...], code: int, said: str) -> None:
    done = gru.run(text, *options)
    assert done.returncode == code
    assert said in done.stderr.decode() and done.stderr.count(b"\n") == 1


def test_help_names_inputs_and_outputs(gru: Program) -> None:
    done = gru.run("", "--help", weights=False)
    assert done.returncode == 0 and "x[3]" in done.stdout.decode() and "y[2]" in done.stdout.decode()
    assert gru.run("1,2,3\n", weights=False).returncode == 2


def test_a_mark_of_utf8_and_a_heading_are_stepped_over(gru: Program) -> None:
    plain, marked = gru.run("1,2,3\n"), gru.run(b"\xef\xbb\xbf1,2,3\n")
    assert (
        plain.stdout == marked.stdout != b"" and gru.run(b"\xef\xbb\xbfa,b,c\n1,2,3\n").stdout == plain.stdout
    )


def with_header(good: bytes, change: Callable[[Any], None]) -> bytes:
    """A file of weights with another header."""
    size = int.from_bytes(good[:8], "little")
    found = json.loads(good[8 : 8 + size])
    change(found)
    text = json.dumps(found).encode()
    return len(text).to_bytes(8, "little") + text + good[8 + size :]


def test_a_number_that_was_damaged_is_refused(gru: Program, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {name: array.copy() for name, array in gru.pair.client.parameters().items()}
    write_tensors(path, tensors, {"symbols": json.dumps(["é", '"', "\\"])})
    command = [str(gru.path), "--weights", str(path)]
    done = subprocess.run(command, input=b"1,2,3\n", capture_output=True, check=False)
    assert done.stdout == gru.run("1,2,3\n").stdout != b""
    good = path.read_bytes()
    for place in (-1, -40, -4 * sum(array.size for array in tensors.values())):
        data = bytearray(good)
        data[place] ^= 1
        path.write_bytes(data)
        done = subprocess.run(command, input=b"1,2,3\n", capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (2, b"") and b"checksum" in done.stderr, place


def test_broken_weights_are_refused(gru: Program, tmp_path: Path) -> None:
    good = gru.weights.read_bytes()
    size = int.from_bytes(good[:8], "little")
    at_end = [len(good) - 8 - size, len(good) - size]
    broken = {
        "empty": b"",
        "cut": good[:-4],
        "more": good + b"more",
        "header": good[: size // 2],
        "length": (2**63).to_bytes(8, "little") + good[8:],
        "name": good.replace(b'"out.W"', b'"out.V"'),
        "type": good.replace(b'"F32"', b'"F16"'),
        "offsets": good.replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1),
        "behind": (size + 1).to_bytes(8, "little") + good[8 : 8 + size] + b"x" + good[8 + size :],
        "overlap": with_header(good, lambda found: found["out.b"].update(data_offsets=[8, 16])),
        "hole": with_header(good + bytes(8), lambda found: found["out.b"].update(data_offsets=at_end)),
        "nesting": (4).to_bytes(8, "little") + b"[[[[" + good[8 + size :],
    }
    for name, data in broken.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        done = subprocess.run(
            [str(gru.path), "--weights", str(path)], input=b"1,2,3\n", capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, b""), name
        assert done.stderr.count(b"\n") == 1, name
        assert b"tensor `out.b`: its data is cut off" in done.stderr or name != "cut", done.stderr
