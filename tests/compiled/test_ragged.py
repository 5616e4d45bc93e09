"""Rows of different lengths in compiled code: sorted rows against the interpreter, against padding, alone and in teams.

Each model runs with rows of all kinds of lengths, none and all steps among them, on sizes that fill no tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.driver import pipeline
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.emit import EmitOptions, emit
from seqc.lower.program import Program
from seqc.passes import flow_for
from seqc.plan import PlanOptions, plan
from seqc.plan.target import Target
from tests.compiled import test_threads
from tests.compiled.client import STRICT, Client, build, native
from tests.compiled.compare import (
    Pair,
    check_evaluate,
    check_gradients,
    check_infer,
    check_update,
    close,
    engine_of,
    flows_of,
    inputs_of,
    make,
)
from tests.numeric.hand_models import MODELS

HEAD = """
use std.cells: Both, Dense, Dropout, Embedding, GRU, HeldDropout, LayerNorm, LayerNormLSTM, LSTM, minGRU, PeepholeLSTM, Residual
use std.cells: ZoneoutLSTM
use std.losses: cross_entropy
use std.optim: Adam, SGD
"""

SOURCES = {
    "language": """
model Language {
  input  x: index(7)
  input  n: length
  target t: index(5)
  z = x |> Embedding(6) |> LSTM(19) |> LSTM(16) |> Dense(5)
  output z
  loss = mean(cross_entropy(z, t) over time, batch where t > 0)
  metric most = max(max(z) over time, batch)
}
train Language { update = SGD(lr = 0.1)  clip = norm(1.0) }
""",
    "noisy": """
model Noisy {
  hyper drop = 0.3
  input  x: real[3]
  input  n: length
  input  gain: real once
  target t: real[2]
  h = gain * x |> Dropout(drop) |> Residual(Both(GRU(3)) ) |> HeldDropout(drop) |> LayerNorm()
  y = h |> ZoneoutLSTM(5) |> Dense(2)
  output y
  output h
  output held = reverse(gain)           # nothing to turn round
  output fixed = reverse([drop, 1])
  loss = mean(mean((y - t) ^ 2) over time, batch) + 0.1 * mean(real(step) * y[0] over time, batch)
}
train Noisy { update = Adam(lr = 0.01) }
""".replace("Residual(Both(GRU(3)) )", "Both(GRU(3)) |> Dense(3)"),
    "normed": """
model Normed {
  input  x: index(7)
  input  n: length
  target t: index(5)
  z = x |> Embedding(6) |> LayerNormLSTM(9) |> minGRU(17) |> PeepholeLSTM(5) |> Dense(5)
  output z
  loss = mean(cross_entropy(z, t) over time, batch)
}
train Normed { update = SGD(lr = 0.1) }
""",
    "pooled": """
cell Sum()(x: real[D]) -> y: real[D] {
  state y: real[D] = 0
  y = prev y + x / (1 + prev y * prev y)
}
model Pooled {
  input  x: real[4]
  input  n: length
  target kind: index(3) once
  h = x |> GRU(9)
  s = h |> Sum()
  mid = mean(h over time) + 0.5 * max(h over time) + min(s over time) / (1 + real(steps))
  end = last(s over time)
  z = concat(mid, end) |> Dense(3)
  near = h * mid
  loudest = sum(sum(near) over batch)
  output z
  output near
  output end
  loss = mean(cross_entropy(z, kind) over batch) + 0.01 * mean(sum(loudest ^ 2 over time) over batch)
  metric long = mean(real(steps) over batch)
}
train Pooled { update = SGD(lr = 0.1) }
""",
}

LENGTHS = {
    "mixed": [5, 0, 11, 1, 11, 7, 2, 3, 10, 5, 4, 6, 6, 8, 9, 1, 0],
    "ones": [1, 1, 1, 1, 1],
    "equal": [6, 6, 6],
    "full": [11, 11, 11, 11],
    "none": [0, 0],
    "rising": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "alone": [4],
}
STEPS = 11


def program_of(name: str, folder: Path) -> Program:
    """A model made by hand, or one of the sources above."""
    if name in MODELS:
        return MODELS[name]()
    (folder / f"{name}.seq").write_text(HEAD + SOURCES[name])
    return pipeline.program(Reader(folder / f"{name}.seq"), Options())


CASES = [
    ("ragged", "f64"),
    ("both_ways", "f32"),
    ("language", "f32"),
    ("noisy", "f64"),
    ("normed", "f64"),
    ("pooled", "f64"),
]


@pytest.fixture(scope="module", params=CASES, ids=[name for name, _ in CASES])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    name, real = request.param
    folder = tmp_path_factory.mktemp(name)
    return make(program_of(name, folder), real, folder, options=PlanOptions(stretch=9))


def with_lengths(pair: Pair, lengths: list[int], steps: int = STEPS) -> list[Any]:
    """Random inputs for rows of these lengths."""
    return inputs_of(pair, steps, len(lengths), lengths=lengths)


def test_all_entries_sort_their_rows(pair: Pair) -> None:
    for entry in ("infer", "evaluate", "gradients", "update"):
        if entry in pair.manifest["entries"]:
            found = plan(flow_for(pair.program, entry), pair.program, entry, Target())
            assert found.length == "n"
            assert not any(buffer.slots and not buffer.ring for buffer in found.buffers)


@pytest.mark.parametrize("kind", LENGTHS)
def test_lengths_of_all_kinds(pair: Pair, kind: str) -> None:
    inputs, batch = with_lengths(pair, LENGTHS[kind]), len(LENGTHS[kind])
    check_infer(pair, inputs, STEPS, batch, carry=True)
    check_infer(pair, inputs, STEPS, batch, carry=False)
    check_evaluate(pair, inputs, STEPS, batch)
    check_gradients(pair, inputs, STEPS, batch)
    if "update" in pair.manifest["entries"] and not pair.client.updates[0]:
        check_update(pair, inputs, STEPS, batch)


def forward(pair: Pair, inputs: list[Any], steps: int, batch: int, first_row: int = 0) -> list[Any]:
    """Outputs and the state behind them."""
    outputs, state = pair.client.outputs(steps, batch), pair.client.state(batch)
    hidden = [None if each.target else array for each, array in zip(pair.program.inputs, inputs, strict=True)]
    for each in outputs:
        each.view(np.uint8)[...] = 0xA5
    code = pair.client.forward("infer", hidden, outputs, state, steps, batch, seed=3, first_row=first_row)
    assert code == 0
    return [*outputs, *state]


def test_a_row_of_a_batch_gives_what_it_gives_alone(pair: Pair) -> None:
    lengths = LENGTHS["mixed"]
    inputs = with_lengths(pair, lengths)
    together = forward(pair, inputs, STEPS, len(lengths))
    count = len(pair.manifest["outputs"])
    for row, length in enumerate(lengths):
        steps = max(1, length)
        timed = [len(each.type.axes) == 2 for each in pair.program.inputs]
        alone = [
            array[:steps, row : row + 1].copy() if long else array[row : row + 1].copy()
            for array, long in zip(inputs, timed, strict=True)
        ]
        found = forward(pair, alone, steps, 1, first_row=row)
        for port, one, all_rows in zip(pair.manifest["outputs"], found, together, strict=False):
            if "batch" not in port["axes"]:
                continue
            if "time" not in port["axes"]:
                close(one[0], all_rows[row], pair.real, port["name"])
                continue
            assert np.array_equal(one[:length, 0], all_rows[:length, row]), port["name"]
            assert not all_rows[length:, row].any()
        for one, all_rows in zip(found[count:], together[count:], strict=True):
            assert np.array_equal(one[0], all_rows[row], equal_nan=True)


def test_padding_is_never_read(pair: Pair) -> None:
    lengths = LENGTHS["mixed"]
    inputs = with_lengths(pair, lengths)
    code, clean = pair.client.evaluate(inputs, None, STEPS, len(lengths))
    assert code == 0
    outputs = forward(pair, inputs, STEPS, len(lengths))
    for each, array in zip(pair.program.inputs, inputs, strict=True):
        if len(each.type.axes) == 2:
            for row, length in enumerate(lengths):
                array[length:, row] = np.nan if each.type.kind.is_real else 10_000
    code, dirty = pair.client.evaluate(inputs, None, STEPS, len(lengths))
    assert code == 0
    assert np.array_equal(clean, dirty)
    for one, other in zip(outputs, forward(pair, inputs, STEPS, len(lengths)), strict=True):
        assert np.array_equal(one, other)


@pytest.fixture(scope="module", params=(2, 3))
def team(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-pedantic")
    shim = test_threads.build_shim(tmp_path_factory.mktemp("team"), *flags)
    made = shim.create(request.param)
    yield made
    shim.destroy(made)


@pytest.mark.parametrize("kind", ["mixed", "none", "rising", "alone"])
def test_teams_give_the_same_bits(pair: Pair, team: int, kind: str) -> None:
    inputs, batch = with_lengths(pair, LENGTHS[kind]), len(LENGTHS[kind])

    def everything() -> list[Any]:
        found = forward(pair, inputs, STEPS, batch)
        found += [*pair.client.evaluate(inputs, None, STEPS, batch, seed=3)]
        grads = test_threads.empty_grads(pair, inputs, batch)
        found += [*pair.client.gradients(inputs, grads, None, STEPS, batch, seed=3)]
        found += [each for each in grads if each is not None]
        if "update" in pair.manifest["entries"]:
            found += test_threads.updates(pair, inputs, STEPS, batch)
        return found

    pair.client.team = None
    expected = everything()
    pair.client.team = team
    try:
        for _ in range(3):
            test_threads.same(everything(), expected)
    finally:
        pair.client.team = None


def test_sorted_and_padded_rows_agree(tmp_path: Path) -> None:
    """The same model without sorting: equal outputs, gradients equal but for the order of their sums."""
    program = program_of("language", tmp_path)
    fast = make(program, "f64", tmp_path, "fast")
    slow = make(program, "f64", tmp_path, "slow", options=PlanOptions(ragged=False))
    slow.client.plain[:] = fast.client.plain
    slow.client.pack()
    fast.client.pack()
    lengths = LENGTHS["mixed"]
    inputs = with_lengths(fast, lengths)
    found = [forward(each, inputs, STEPS, len(lengths)) for each in (fast, slow)]
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    grads = []
    for each in (fast, slow):
        arrays = test_threads.empty_grads(each, inputs, len(lengths))
        code, _ = each.client.gradients(inputs, arrays, None, STEPS, len(lengths))
        assert code == 0
        grads.append(each.client.parameters(arrays[0]))
    for name, array in grads[0].items():
        close(array, grads[1][name], "f64", name)


@pytest.mark.parametrize("batch", [1, 3])
def test_sizes_that_a_profile_fixes(batch: int, tmp_path: Path) -> None:
    program, target = program_of("pooled", tmp_path), Target(vector_bytes=32, real_bytes=8)
    plans = {entry: plan(flow, program, entry, target) for entry, flow in flows_of(program).items()}
    options = EmitOptions("fixed", "f64", library="libfixed.so", steps=(STEPS,), batch=(batch,))
    files = emit(program, plans, target, options)
    library = build(files, tmp_path, "fixed", flags=native("f64"))
    client = Client(library, files["fixed.json"])
    pair = Pair(program, "f64", client, engine_of(program, client), files, library)
    inputs = with_lengths(pair, [4, 11, 0][:batch])
    check_infer(pair, inputs, STEPS, batch, carry=True)
    check_gradients(pair, inputs, STEPS, batch)


RACES = """
import os, sys
from pathlib import Path
os.environ.pop("LD_PRELOAD", None)
from seqc.plan import PlanOptions
from tests.compiled.compare import inputs_of, make
from tests.compiled.test_ragged import LENGTHS, STEPS, program_of
from tests.compiled.test_threads import build_shim, empty_grads, updates
folder = Path(sys.argv[1])
flags = ("-O1", "-g1", "-march=native", "-fsanitize=thread")
shim = build_shim(folder, *flags)
pair = make(program_of("language", folder), "f32", folder, options=PlanOptions(stretch=9), flags=flags)
pair.client.team = shim.create(3)
lengths = LENGTHS["mixed"]
inputs = inputs_of(pair, STEPS, len(lengths), lengths=lengths)
for _ in range(2):
    grads = empty_grads(pair, inputs, len(lengths))
    assert pair.client.gradients(inputs, grads, None, STEPS, len(lengths))[0] == 0
    assert pair.client.evaluate(inputs, None, STEPS, len(lengths))[0] == 0
    updates(pair, inputs, STEPS, len(lengths))
shim.destroy(pair.client.team)
print("clean")
"""


def test_members_in_different_stretches_keep_apart(tmp_path: Path) -> None:
    test_threads.run_under_the_sanitizer(RACES, str(tmp_path))


def test_sums_of_what_only_a_stretch_knows_compile_without_a_warning(tmp_path: Path) -> None:
    text = """
use std.cells: GRU
model M {
  input n: length
  input x: real[2]
  h = x |> GRU(3)
  output h
  loss = mean(sum(h ^ 2) over time, batch)
}
"""
    (tmp_path / "m.seq").write_text(text)
    program = pipeline.program(Reader(tmp_path / "m.seq"), Options())
    flags = ("-O1", "-march=native", *STRICT)
    pair = make(program, "f64", tmp_path, options=PlanOptions(stretch=6), flags=flags)
    check_gradients(pair, with_lengths(pair, LENGTHS["mixed"]), STEPS, len(LENGTHS["mixed"]))
