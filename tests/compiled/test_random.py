"""Random graphs: compiled code against the interpreter, many models in one translation unit to compile fast."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.compiled.client import Client, build
from tests.compiled.compare import (
    Pair,
    check_evaluate,
    check_gradients,
    check_infer,
    engine_of,
    inputs_of,
    text_of,
)
from tests.passes.random_flows import random_program

BATCHES, SIZE = 10, 20


def together(models: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """All units as one: each in a namespace of its own, behind all headers."""
    found, heads, bodies = {}, [], []
    for name, files in models.items():
        found[f"{name}.h"] = files[f"{name}.h"]
        lines = files[f"{name}.cpp"].split("\n")
        heads += [line for line in lines if line.startswith("#")]
        body = "\n".join(line for line in lines if not line.startswith("#"))
        inner, exported = body.rsplit("} // namespace\n", 1)
        bodies.append(f'namespace in_{name} {{\n{inner}}}\nextern "C" {{\n{exported}}}\n}}\n')
    first = [line for line in dict.fromkeys(heads) if not line.startswith("#include")]
    includes = [line for line in dict.fromkeys(heads) if line.startswith("#include")]
    found["all.cpp"] = "\n".join([*first, *includes, *bodies])
    return found


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_graphs_compute_the_same(batch: int, tmp_path: Path) -> None:
    real = "f64" if batch % 3 else "f32"
    programs = {f"m{k}": random_program(7000 + batch * SIZE + k) for k in range(SIZE)}
    models = {name: text_of(program, real, name) for name, program in programs.items()}
    library = build(
        together(models), tmp_path, "all", flags=("-O0", "-w", "-march=native", "-fvisibility=default")
    )
    for name, program in programs.items():
        client = Client(library, models[name][f"{name}.json"])
        pair = Pair(program, real, client, engine_of(program, client), models[name], library)
        inputs = inputs_of(pair, 4, 2)
        with np.errstate(all="ignore"):
            check_infer(pair, inputs, 4, 2, carry=True)
            check_evaluate(pair, inputs, 4, 2)
            check_gradients(pair, inputs, 4, 2)


def test_units_are_joined_without_loss() -> None:
    text = text_of(random_program(1), "f32", "m0")
    joined = together({"m0": text})["all.cpp"]
    assert joined.count("namespace in_m0") == 1 and re.search(
        r"extern \"C\" \{\n\nconst seqc_model \*m0_get", joined
    )
