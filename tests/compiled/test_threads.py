"""Teams of threads: the same bits for any number of members, codes instead of hanging, and no data race.

Every entry point that a team shares runs alone and with 2, 3 and 4 members on the same inputs.
"""

from __future__ import annotations

import ctypes as C
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.driver import pipeline
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.lower.program import Program
from seqc.plan import PlanOptions, share
from tests.compiled.client import RUNTIME, Client, build
from tests.compiled.compare import Pair, empty_grads, engine_of, inputs_of, make, text_of
from tests.compiled.test_random import together as joined
from tests.numeric.hand_models import MODELS
from tests.numeric.programs import lower_text
from tests.passes.random_flows import random_program

MEMBERS = (2, 3, 4)
BAD_INDEX, NOT_FINITE = 2, 5
SHIM = """
#include "seqc_team.h"
seqc_threads *create(int members) { return seqc_threads_create(members, 0); }
void destroy(seqc_threads *threads) { seqc_threads_destroy(threads); }
"""

FILES = Path(__file__).resolve().parents[1] / "models"
NORMED = """
use std.cells: Dense, Embedding, LayerNormLSTM, minGRU, PeepholeLSTM
use std.losses: cross_entropy
use std.optim: Adam
model Normed {
  input  k: index(7)
  target t: index(5)
  z = k |> Embedding(6) |> LayerNormLSTM(9) |> minGRU(17) |> PeepholeLSTM(20) |> Dense(5)
  output z
  loss = mean(cross_entropy(z, t) over time, batch)
}
train Normed { update = Adam() }
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The header of teams as a library."""
    return build_shim(tmp_path_factory.mktemp("team"), "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic")


def build_shim(folder: Path, *flags: str) -> Any:
    """Compiles `create` and `destroy`."""
    (folder / "team.c").write_text(SHIM)
    command = ["gcc", "-std=c99", *flags, "-fPIC", "-shared"]
    command += ["-I", str(RUNTIME), "-o", str(folder / "libteam.so"), str(folder / "team.c"), "-lpthread"]
    subprocess.run(command, check=True)
    library = C.CDLL(str(folder / "libteam.so"))
    library.create.restype = C.c_void_p
    library.destroy.argtypes = [C.c_void_p]
    return library


@pytest.fixture(scope="module", params=MEMBERS)
def team(request: pytest.FixtureRequest, shim: Any) -> Iterator[int]:
    """A team of some members; its record stands at its start."""
    made = shim.create(request.param)
    yield made
    shim.destroy(made)


def program_of(name: str) -> Program:
    """A model made by hand, or one of the files."""
    if name in MODELS:
        return MODELS[name]()
    if name == "normed":
        return lower_text(NORMED)
    return pipeline.program(Reader(FILES / f"{name}.seq"), Options())


CASES = [
    (name, "f64" if k % 2 else "f32")
    for k, name in enumerate([*MODELS, "charlm", "speaker", "twogate", "normed"])
]


@pytest.fixture(scope="module", params=CASES, ids=[name for name, _ in CASES])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    name, real = request.param
    stretches = PlanOptions(stretch=6)  # of the batch and of less, so that members go through it both ways
    return make(program_of(name), real, tmp_path_factory.mktemp(name), options=stretches)


def everything(pair: Pair, steps: int, batch: int) -> list[Any]:
    """The results of all entry points, copied, codes included."""
    client = pair.client
    inputs = inputs_of(pair, steps, batch)
    entries = pair.manifest["entries"]
    hidden = [None if each.target else array for each, array in zip(pair.program.inputs, inputs, strict=True)]
    found: list[Any] = []
    state = client.state(batch)
    for call in range(2):
        outputs = client.outputs(steps, batch)
        code = client.forward("infer", hidden, outputs, state, steps, batch, seed=3, call=call, first_row=5)
        found += [code, *outputs, *(each.copy() for each in state)]
    if "gradients" in entries:
        code, scores = client.evaluate(inputs, client.state(batch), steps, batch, seed=3)
        grads = empty_grads(pair, inputs, batch)
        found += [code, scores]
        for accumulate in (0, 1):
            code, scores = client.gradients(
                inputs, grads, client.state(batch), steps, batch, accumulate, seed=3, call=1
            )
            found += [code, scores, *(each.copy() for each in grads if each is not None)]
    if "update" in entries:
        found += updates(pair, inputs, steps, batch)
    return found


def updates(pair: Pair, inputs: list[Any], steps: int, batch: int) -> list[Any]:
    """Three updates from the present weights, which come back afterwards."""
    client = pair.client
    kept = [each.copy() for each in (client.plain, client.optimizer, client.updates)]
    found: list[Any] = []
    state = client.state(batch)
    for _ in range(3):
        code, scores = client.update(inputs, state, steps, batch, seed=9, call=int(client.updates[0]))
        found += [code, scores, client.plain.copy(), client.optimizer.copy(), client.packed.copy()]
    for each, before in zip((client.plain, client.optimizer, client.updates), kept, strict=True):
        each[:] = before
    return found


def same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes(), f"result {number}"


@pytest.mark.parametrize(("steps", "batch"), [(7, 19), (40, 2), (33, 1)])
def test_any_number_of_members_gives_the_same_bits(pair: Pair, team: int, steps: int, batch: int) -> None:
    pair.client.team = None
    expected = everything(pair, steps, batch)
    pair.client.team = team
    try:
        for _ in range(3):
            same(everything(pair, steps, batch), expected)
    finally:
        pair.client.team = None


TALL = """
use std.cells: Dense, Embedding, GRU, LayerNormLSTM, LSTM
use std.losses: cross_entropy
use std.optim: SGD

model Tall {
  input  text: index(6)
  target next: index(6)
  h = text |> Embedding(5) |> LSTM(20) |> GRU(18) |> LayerNormLSTM(21)
  logits = h |> Dense(17) |> Dense(6)
  output h
  loss = mean(cross_entropy(logits, next) over time, batch)
}

train Tall { update = SGD(lr = 0.1) }
"""
"""Units enough to be shared on short vectors."""


def tall(folder: Path, **more: Any) -> Pair:
    """The model above, whose members meet in every step however short it is."""
    path = folder / "tall.seq"
    path.write_text(TALL, encoding="utf-8")
    program = pipeline.program(Reader(path), Options())
    before, share.MEETING = share.MEETING, 1
    try:
        return make(program, "f32", folder, vector_bytes=16, options=PlanOptions(stretch=6), **more)
    finally:
        share.MEETING = before


def test_members_that_share_the_units_of_one_row_give_the_same_bits(shim: Any, tmp_path: Path) -> None:
    pair = tall(tmp_path)
    assert "Lot lot = share.lot(rows, batch)" in pair.files["model.cpp"]
    for steps, batch in ((33, 1), (1, 1), (9, 3)):
        pair.client.team = None
        expected = everything(pair, steps, batch)
        for members in MEMBERS:
            pair.client.team = made = shim.create(members)
            for _ in range(3):
                same(everything(pair, steps, batch), expected)
            shim.destroy(made)


BOOK = """
use std.cells: Dense, Embedding, LSTM
use std.losses: cross_entropy
use std.optim: SGD

model Book {
  input  text: index(37)
  target next: index(37)
  logits = text |> Embedding(8) |> LSTM(9) |> Dense(37)
  output logits
  loss = mean(cross_entropy(logits, next) over time, batch)
}

train Book { update = SGD(lr = 0.1) }
"""
"""A table of more rows than one member shall multiply, however short they are."""


def test_members_that_share_the_rows_of_a_table_give_the_same_bits(
    shim: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "book.seq"
    path.write_text(BOOK, encoding="utf-8")
    monkeypatch.setattr(share, "LARGE", 1)
    pair = make(pipeline.program(Reader(path), Options()), "f32", tmp_path)
    assert "share.of(37, 16)" in pair.files["model.cpp"]
    for steps, batch in ((33, 5), (2, 1)):
        pair.client.team = None
        expected = everything(pair, steps, batch)
        for members in MEMBERS:
            pair.client.team = made = shim.create(members)
            same(everything(pair, steps, batch), expected)
            shim.destroy(made)


def test_mistakes_are_found_and_change_nothing(shim: Any, tmp_path: Path) -> None:
    """A wrong index, weights that make the loss infinite, gradients that are not finite, at which the guard of the rules stands:
    every member leaves, with the code of one alone."""
    pair = make(program_of("charlm"), "f32", tmp_path)
    made = shim.create(3)
    pair.client.team = made
    inputs = inputs_of(pair, 8, 6)
    wrong = [inputs[0].copy(), inputs[1]]
    wrong[0][3, 2] = 99
    code, _ = pair.client.evaluate(wrong, None, 8, 6)
    assert (code, pair.client.where.step, pair.client.where.row) == (BAD_INDEX, 3, 2)
    pair.client.parameters()["logits.dense.W"][0, 0] = np.inf
    before = pair.client.plain.copy()
    code, _ = pair.client.update(inputs, None, 8, 6)
    assert code == NOT_FINITE and np.array_equal(pair.client.plain, before)
    shim.destroy(made)
    client = pair.client
    grads, before = np.zeros_like(client.plain), client.plain.copy()
    client.parameters(grads)["logits.dense.W"][0, 0] = np.nan
    made = shim.create(4)
    client.team = made
    for _ in range(20):
        assert client.apply(grads) == NOT_FINITE
    assert np.array_equal(client.plain, before)
    shim.destroy(made)


RACES = """
import ctypes, os, sys
from pathlib import Path
os.environ.pop("LD_PRELOAD", None)
from tests.compiled.compare import make
from tests.compiled.test_threads import build_shim, everything, program_of, tall
folder = Path(sys.argv[1])
flags = ("-O1", "-g1", "-march=native", "-fsanitize=thread")
shim = build_shim(folder, *flags)
team = shim.create(3)
for pair in (make(program_of(sys.argv[2]), "f32", folder, flags=flags), tall(folder, name="tall", flags=flags)):
    pair.client.team = team
    for batch in (17, 1):
        everything(pair, 9, batch)
shim.destroy(team)
print("clean")
"""


def test_the_thread_sanitizer_finds_no_race(tmp_path: Path) -> None:
    run_under_the_sanitizer(RACES, str(tmp_path), "trainable")


def run_under_the_sanitizer(program: str, *arguments: str) -> None:
    """Runs a Python program that prints "clean" in the end, with the thread sanitizer before everything else."""
    found = subprocess.run(["g++", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True)
    library, setarch = found.stdout.strip(), shutil.which("setarch")
    if not Path(library).is_file() or setarch is None:
        pytest.skip("the thread sanitizer is not installed")
    environment = {**os.environ, "LD_PRELOAD": library, "PYTHONPATH": str(FILES.parents[1])}
    environment["TSAN_OPTIONS"] = "exitcode=66 report_signal_unsafe=0"
    command = [setarch, "-R", sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not run on this system")
    assert done.returncode == 0 and "clean" in done.stdout, done.stderr[-4000:]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Random graphs, compiled together."""
    programs = {f"m{k}": random_program(21_000 + k) for k in range(12)}
    models = {name: text_of(program, "f32", name) for name, program in programs.items()}
    flags = ("-O0", "-w", "-march=native", "-fvisibility=default")
    library = build(joined(models), tmp_path_factory.mktemp("graphs"), "all", flags=flags)
    pairs = []
    for name, program in programs.items():
        client = Client(library, models[name][f"{name}.json"])
        pairs.append(Pair(program, "f32", client, engine_of(program, client), models[name], library))
    return pairs


def test_random_graphs_give_the_same_bits(graphs: list[Pair], team: int) -> None:
    for pair in graphs:
        with np.errstate(all="ignore"):
            pair.client.team = None
            expected = everything(pair, 5, 7)
            pair.client.team = team
            for _ in range(4):
                same(everything(pair, 5, 7), expected)
