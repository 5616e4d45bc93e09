"""The binary interface: what may be NULL, what is refused, rows alone and in a batch, symbols, sanitizers, other compilers."""

from __future__ import annotations

import ctypes as C
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.emit import EmitOptions, emit, model_of
from seqc.emit.workspace import workspace_bytes
from seqc.plan import plan
from seqc.plan.target import Target
from tests.compiled import compare
from tests.compiled.client import ENTRIES, FLAGS, RUNTIME, STRICT, Client, Weights, aligned, build, pointers
from tests.compiled.compare import Pair, check_all, close, flows_of, inputs_of, make, text_of
from tests.numeric.hand_models import MODELS

BAD_CALL, BAD_INDEX, BAD_LENGTH, COUNTED_LABEL, NOT_FINITE = 1, 2, 3, 4, 5


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make(MODELS["ragged"](), "f64", tmp_path_factory.mktemp("ragged"))


@pytest.fixture(scope="module")
def trainable(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make(MODELS["trainable"](), "f32", tmp_path_factory.mktemp("trainable"))


@pytest.fixture(scope="module")
def feedback(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make(MODELS["feedback"](), "f64", tmp_path_factory.mktemp("feedback"))


def test_rows_of_a_ragged_batch_give_what_they_give_alone(ragged: Pair) -> None:
    client, lengths = ragged.client, [5, 2, 4]
    inputs = inputs_of(ragged, 5, 3, lengths=lengths)
    together = client.outputs(5, 3)
    assert client.forward("infer", inputs, together, None, 5, 3) == 0
    for row, length in enumerate(lengths):
        alone = [
            array[:length, row : row + 1].copy() if array.ndim > 1 else array[row : row + 1]
            for array in inputs
        ]
        found = client.outputs(length, 1)
        assert client.forward("infer", alone, found, None, length, 1) == 0
        assert np.array_equal(found[0][:, 0], together[0][:length, row])
        assert not together[0][length:, row].any()


def test_padding_may_hold_anything(ragged: Pair) -> None:
    client = ragged.client
    inputs = inputs_of(ragged, 5, 3, lengths=[5, 2, 4])
    code, clean = client.evaluate(inputs, None, 5, 3)
    assert code == 0
    inputs[0][2:, 1] = np.nan
    inputs[2][2:, 1] = 10_000
    code, dirty = client.evaluate(inputs, None, 5, 3)
    assert code == 0
    assert np.array_equal(clean, dirty)


def test_a_length_left_out_means_all_steps(ragged: Pair) -> None:
    inputs = inputs_of(ragged, 4, 2, lengths=[4, 4])
    full, short = ragged.client.outputs(4, 2), ragged.client.outputs(4, 2)
    assert ragged.client.forward("infer", inputs, full, None, 4, 2) == 0
    inputs[1] = None
    assert ragged.client.forward("infer", inputs, short, None, 4, 2) == 0
    assert np.array_equal(full[0], short[0])


def test_lengths_and_indices_are_checked_and_named(ragged: Pair) -> None:
    client = ragged.client
    inputs = inputs_of(ragged, 4, 2, lengths=[4, 5])
    assert client.evaluate(inputs, None, 4, 2)[0] == BAD_LENGTH
    assert (client.where.input, client.where.row, client.where.value) == (1, 1, 5)
    inputs = inputs_of(ragged, 4, 2, lengths=[4, 4])
    inputs[2][3, 1] = 4
    state = client.state(2)
    assert client.evaluate(inputs, state, 4, 2)[0] == BAD_INDEX
    assert (client.where.input, client.where.step, client.where.row, client.where.value) == (2, 3, 1, 4)
    assert all(fresh.all() for fresh in state[1:-1:2]) and not state[-1].any()


def test_a_loss_that_counts_a_missing_label_says_so(trainable: Pair, feedback: Pair) -> None:
    inputs = inputs_of(feedback, 3, 2)
    inputs[1][1, 0] = -1
    code, _ = feedback.client.evaluate(inputs, None, 3, 2)
    assert code == COUNTED_LABEL
    assert (feedback.client.where.input, feedback.client.where.step, feedback.client.where.row) == (1, 1, 0)


def test_nothing_changes_when_the_loss_is_not_finite(trainable: Pair) -> None:
    client = trainable.client
    inputs = inputs_of(trainable, 3, 2)
    inputs[0][0, 0, 0] = np.nan
    before, moments, state = client.plain.copy(), client.optimizer.copy(), client.state(2)
    kept = [each.copy() for each in state]
    assert client.update(inputs, state, 3, 2)[0] == NOT_FINITE
    assert np.array_equal(before, client.plain) and np.array_equal(moments, client.optimizer)
    assert all(np.array_equal(a, b) for a, b in zip(kept, state, strict=True))
    assert client.updates[0] == 0
    grads = aligned(client.manifest["plain_bytes"])
    client.parameters(grads)["g.W"][0, 0] = np.inf
    assert client.apply(grads) == NOT_FINITE
    assert np.array_equal(before, client.plain)


def test_gradients_and_apply_are_an_update(trainable: Pair) -> None:
    client = trainable.client
    inputs = inputs_of(trainable, 3, 2)
    start, moments = client.plain.copy(), client.optimizer.copy()
    assert client.update(inputs, None, 3, 2)[0] == 0
    updated = client.plain.copy()
    client.plain[:], client.optimizer[:], client.updates[0] = start, moments, 0
    grads = aligned(client.manifest["plain_bytes"])
    wanted: list[Any] = [grads, None, *[None] * (len(inputs) + len(client.manifest["states"]))]
    assert client.gradients(inputs, wanted, None, 3, 2)[0] == 0
    assert client.apply(grads) == 0
    for name, array in client.parameters(updated).items():
        close(client.parameters()[name], array, "f32", name)
    client.plain[:], client.optimizer[:], client.updates[0] = start, moments, 0


def test_missing_pointers_and_sizes_are_refused(feedback: Pair) -> None:
    client = feedback.client
    inputs = inputs_of(feedback, 3, 2)
    outputs = client.outputs(3, 2)
    assert client.forward("infer", [None, None], outputs, None, 3, 2) == BAD_CALL
    assert client.model.workspace_bytes(0, 0, 2) == 0
    call = client.record("infer", 3, 2)
    call.size = 8
    assert client._run("infer", call, 0, 0, None, None, None) == BAD_CALL
    assert client.forward("infer", [inputs[0], None], [None], None, 3, 2) == 0
    assert client.forward("step", [None, None], [np.zeros(2, np.int32)], client.state(2), 1, 2) == 0


def test_weights_that_are_missing_are_refused(feedback: Pair, trainable: Pair) -> None:
    """Plain or packed ones, or the optimizer's states: a code, whatever way into the model."""
    client = feedback.client
    inputs, plain, packed = inputs_of(feedback, 1, 1), client.plain.ctypes.data, client.packed.ctypes.data
    for entry, first, second in (("step", None, packed), ("step", plain, None), ("infer", plain, None)):
        weights, state, outputs = Weights(first, second), client.state(1), client.outputs(1, 1)
        rest = (pointers(state), pointers(inputs), pointers(outputs))
        call = client.record(entry, 1, 1)
        assert client._run(entry, call, C.addressof(weights), client._hyper(), *rest) == BAD_CALL, entry
    client, trainer = trainable.client, trainable.client.trainer()
    trainer.optimizer = None
    call = client.record("apply", 1, 1)
    grads = aligned(len(client.plain))
    assert client._run("apply", call, C.addressof(trainer), grads.ctypes.data) == BAD_CALL


def test_a_step_does_not_look_at_the_number_of_steps(feedback: Pair) -> None:
    client, found = feedback.client, []
    weights = Weights(client.plain.ctypes.data, client.packed.ctypes.data)
    for steps in (1, 0):
        inputs, outputs, state = inputs_of(feedback, 1, 1), client.outputs(1, 1), client.state(1)
        call = client.record("step", 1, 1)
        call.steps = steps
        rest = (pointers(state), pointers(inputs), pointers(outputs))
        assert client._run("step", call, C.addressof(weights), client._hyper(), *rest) == 0
        found.append(outputs[0].tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["ragged", "trainable", "feedback"])
def test_the_workspace_is_as_large_as_the_header_says(name: str, request: pytest.FixtureRequest) -> None:
    pair: Pair = request.getfixturevalue(name)
    target = Target(vector_bytes=compare.LANES, real_bytes=8 if pair.real == "f64" else 4)
    plans = {entry: plan(flow, pair.program, entry, target) for entry, flow in flows_of(pair.program).items()}
    model = model_of(pair.program, plans, target, EmitOptions("model", pair.real))
    for entry in pair.manifest["entries"]:
        for steps, batch in ((1, 1), (7, 3)):
            found = pair.client.model.workspace_bytes(ENTRIES.index(entry), steps, batch)
            assert workspace_bytes(model, plans, entry, steps, batch) == found, entry


def test_only_what_a_model_shows_is_exported(feedback: Pair) -> None:
    listed = subprocess.run(
        ["nm", "-D", str(feedback.library)], capture_output=True, text=True, check=True
    ).stdout
    defined = [line.split()[2] for line in listed.splitlines() if " T " in line]
    assert defined and all(name.startswith("model_") for name in defined)
    wanted = [line.split()[-1] for line in listed.splitlines() if " U " in line]
    for name in wanted:
        assert not name.startswith("_Z"), f"a C++ symbol: {name}"
        assert name.split("@")[0] not in {"malloc", "calloc", "free", "printf", "abort"}, name


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang++ is not installed")
@pytest.mark.parametrize("name", ["feedback", "mixed"])
def test_clang_compiles_it_without_a_warning(name: str, tmp_path: Path) -> None:
    check_all(
        make(MODELS[name](), "f32", tmp_path, flags=("-O1", "-march=native", *STRICT), compiler="clang++")
    )


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_narrower_vectors_give_the_same(
    vector_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.compiled.compare.LANES", vector_bytes)
    check_all(make(MODELS["mixed"](), "f64", tmp_path, flags=("-O1",)))


SANITIZED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.compiled import compare
from tests.numeric.hand_models import MODELS
pair = compare.make(MODELS[{name!r}](), "f32", Path({folder!r}), flags=({flags}))
compare.check_all(pair)
print("clean")
"""


@pytest.mark.parametrize("name", ["feedback", "both_ways", "trainable"])
def test_sanitizers_find_nothing(name: str, tmp_path: Path) -> None:
    flags = ", ".join(repr(each) for each in SANITIZE)
    under_sanitizers(SANITIZED.format(root=ROOT, name=name, folder=str(tmp_path), flags=flags))


ROOT = str(Path(__file__).resolve().parents[2])
SANITIZE = (
    "-O0",
    "-g1",
    "-march=native",
    "-fsanitize=address,undefined",
    "-fno-sanitize=null,object-size",  # the address sanitizer finds these, too
    "-fno-sanitize-recover=all",
    "--param",
    "asan-instrumentation-with-call-threshold=100",  # checks are calls: slower, but compiled much sooner
)


def under_sanitizers(script: str) -> None:
    """Runs a Python program that prints "clean" in the end, with the address sanitizer before everything else."""
    found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = found.stdout.strip()
    if not Path(library).is_file():
        pytest.skip("the address sanitizer is not installed")
    environment = {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ROOT,
    }
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert "clean" in done.stdout, done.stderr[-3000:]


C_PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

static _Alignas(64) unsigned char workspace[MODEL_STEP_WORKSPACE_BYTES];
static model_weights plain;
static _Alignas(64) unsigned char packed[MODEL_PACKED_BYTES];

int main(void) {
  seqc_call call = {0};
  seqc_weights weights = {0};
  model_state state = {0};
  model_inputs inputs = {0};
  model_outputs outputs = {0};
  int32_t text = 3, said = -1, value = 0;
  uint8_t fresh[3] = {1, 1, 1};
  float h[4] = {0}, c[4] = {0};
  int64_t started = 0;
  int step;
  plain.out_b[1] = 1.0f;
  if (model_pack(&plain, packed) != SEQC_OK)
    return 2;
  call.size = sizeof call;
  call.steps = 1;
  call.batch = 1;
  call.workspace = workspace;
  weights.plain = &plain;
  weights.packed = packed;
  state.said = &value;
  state.said_fresh = &fresh[0];
  state.one_h = h;
  state.one_h_fresh = &fresh[1];
  state.one_c = c;
  state.one_c_fresh = &fresh[2];
  state.started = &started;
  inputs.text = &text;
  outputs.said = &said;
  for (step = 0; step < 3; ++step)
    if (model_step(&call, &weights, NULL, &state, &inputs, &outputs) != SEQC_OK)
      return 1;
  printf("%d %d\\n", (int)said, (int)started);
  return 0;
}
"""


def test_a_c_program_needs_the_header_and_the_archive_alone(tmp_path: Path) -> None:
    files: Mapping[str, str] = text_of(MODELS["feedback"](), "f32", "model")
    build(files, tmp_path, "model")
    (tmp_path / "use.c").write_text(C_PROGRAM)
    for command in (
        ["g++", *FLAGS, "-O1", "-march=native", "-I", str(RUNTIME), "-c", "model.cpp", "-o", "model.o"],
        [
            "gcc",
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-I",
            str(RUNTIME),
            "use.c",
            "model.o",
            "-lm",
            "-o",
            "use",
        ],
        [
            "gcc",
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-I",
            str(RUNTIME),
            "-fsyntax-only",
            "-x",
            "c",
            "model.h",
        ],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    done = subprocess.run([str(tmp_path / "use")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1 3\n")


def test_sizes_of_a_profile_are_constants(tmp_path: Path) -> None:
    program = MODELS["feedback"]()
    target = Target(vector_bytes=compare.LANES)
    plans = {entry: plan(flow, program, entry, target) for entry, flow in flows_of(program).items()}
    options = EmitOptions("model", batch=(2,), steps=(5,))
    files = emit(program, plans, target, options)
    assert (
        "const int64_t batch = 2;" in files["model.cpp"] and "const int64_t steps = 5;" in files["model.cpp"]
    )
    client = Client(
        build(files, tmp_path, "model", flags=("-O1", "-march=native", *STRICT)), files["model.json"]
    )
    x = np.zeros((5, 2), np.int32)
    assert client.forward("infer", [x, None], client.outputs(5, 2), None, 5, 2) == 0
    assert client.forward("infer", [x, None], client.outputs(5, 2), None, 5, 1) == BAD_CALL
    assert client.forward("infer", [x, None], client.outputs(5, 2), None, 4, 2) == BAD_CALL
    assert client.forward("step", [x[0], None], client.outputs(1, 2), client.state(2), 1, 2) == 0
    one = [x[0, :1].copy(), None]
    assert client.forward("step", one, client.outputs(1, 1), client.state(1), 1, 1) == BAD_CALL
    assert client.forward("generate", [x, None], [None, None], None, 3, 2, given=2) == 0
    assert client.forward("generate", [x, None], [None, None], None, 3, 3, given=2) == BAD_CALL
    assert (client.workspace == 0xA5).all()  # which may be one of two rows
    assert "call->steps must be 5 and call->batch must be 2." in files["model.h"]
    assert client.manifest["only"] == {"steps": 5, "batch": 2}
