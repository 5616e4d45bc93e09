"""Teams of threads: the same bits for any number of members, codes instead of hanging, and no data race.

Every entry point that a team shares runs alone and with 2, 3 and 4 members on the same inputs.
"""

from __future__ import annotations

import ctypes as C
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.driver import pipeline
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.lower.program import Program
from tests.compiled.client import RUNTIME
from tests.compiled.compare import Pair, empty_grads, inputs_of, make
from tests.numeric.hand_models import MODELS

MEMBERS = (2, 3, 4)
BAD_INDEX, NOT_FINITE = 2, 5
SHIM = """
#include "seqc_team.h"
seqc_threads *create(int members) { return seqc_threads_create(members, 0); }
void destroy(seqc_threads *threads) { seqc_threads_destroy(threads); }
"""

FILES = Path(__file__).resolve().parents[1] / "models"


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The header of teams as a library."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "team.c").write_text(SHIM)
    command = ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fPIC", "-shared"]
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
    return pipeline.program(Reader(FILES / f"{name}.seq"), Options())


CASES = [
    (name, "f64" if k % 2 else "f32") for k, name in enumerate([*MODELS, "charlm", "speaker", "twogate"])
]


@pytest.fixture(scope="module", params=CASES, ids=[name for name, _ in CASES])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    name, real = request.param
    return make(program_of(name), real, tmp_path_factory.mktemp(name))


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
