"""Words of generated functions: no name of a user is one of them, whatever the model calls its outputs, states and weights."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from seqc.emit.entry import LOCALS
from seqc.emit.names import RESERVED, Namer
from tests.compiled.client import FLAGS, RUNTIME, STRICT
from tests.compiled.compare import text_of
from tests.numeric.hand_models import MODELS
from tests.numeric.programs import EXAMPLES, example, lower_text

NUMBERED = re.compile(r"(x|v|u|d|r|fold|line|p)\d+")
"""Values within a kernel, and uniforms."""
OUTSIDE = re.compile(r"SEQC_\w+|\w+_nodes|__\w+")
"""Macros, the functions themselves, and what belongs to the compiler."""


@pytest.mark.parametrize("name", [*sorted(MODELS), *EXAMPLES])
@pytest.mark.parametrize("tiles", [False, True])
def test_names_that_are_not_handed_out_never_will_be(
    name: str, tiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, usual = set[str](), Namer.name

    def noted(self: Namer, wanted: str) -> str:
        found = usual(self, wanted)
        given.add(found)
        return found

    monkeypatch.setattr(Namer, "name", noted)
    program = MODELS[name]() if name in MODELS else example(name)
    text = text_of(program, "f32", "model", vector_bytes=64 if tiles else 32, tiles=tiles)["model.cpp"]
    functions = text.partition("namespace kernels {")[2].partition("// ---- tables of the model")[0]
    code = re.sub(r"//.*", "", functions)
    words = set(re.findall(r"(?<![\w.:])(?<!->)[A-Za-z_]\w*", code)) - given
    free = {each for each in words if each.lower() not in RESERVED | {word.lower() for word in LOCALS}}
    assert not {each for each in free if not (NUMBERED.fullmatch(each) or OUTSIDE.fullmatch(each))}


def test_structures_of_the_header_have_their_full_names() -> None:
    """`own.seq` has an `own_state`, `check.seq` has `check_inputs`, and so has the runtime."""
    text = text_of(MODELS["trainable"](), "f32", "own")["own.cpp"]
    found = re.findall(r"(\S*)own_(?:state|inputs|outputs|grads|weights)\b", text)
    assert found and set(found) == {"::"}


STATES = ("alive", "slot", "Sum", "int64_t", "u1", "Run", "d1", "unit")
LASTS = ("end", "now", "after", "Pair", "living", "gates", "rows", "Range")
WEIGHTS = ("rights", "Half", "Lot", "kernels", "settle", "outer", "inside", "v1")


@pytest.mark.parametrize("length", ["", "  input n: length\n"])
def test_a_model_may_call_its_values_so(length: str, tmp_path: Path) -> None:
    fed = (
        ""
        if length
        else " = prev said\n  state said: index(4) = 0\n  said = argmax(sum(end) * [1.0, 2, 3, 4])\n  output said"
    )
    lines = [
        f"  state {name}: real[3] = 0\n  {name} = tanh(prev {name} + x)\n  output {name}" for name in STATES
    ]
    lines += [f"  output {name} = last(tanh(x) * {k}.5 over time)" for k, name in enumerate(LASTS)]
    lines += [f"  param {name}: real[3, 3] = glorot\n  output {name}_x = {name} @ x" for name in WEIGHTS]
    terms = [f"mean(sum({name} ^ 2) over time, batch)" for name in STATES]
    terms += [f"mean(sum({name} ^ 2) over batch)" for name in LASTS] + [
        f"rate * sum({name} ^ 2)" for name in WEIGHTS
    ]
    text = "\n".join(
        ["model M {", "  hyper rate = 0.1", "  input x: real[3]", f"{length}  input k: index(4){fed}", *lines]
    )
    text = f"use std.optim: SGD\n{text}\n  loss = {' + '.join(terms)}\n}}\ntrain M {{ update = SGD() }}\n"
    for file, content in text_of(lower_text(text), "f32", "model").items():
        (tmp_path / file).write_text(content)
    command = [
        "g++",
        *FLAGS,
        *STRICT,
        "-march=native",
        "-fsyntax-only",
        "-I",
        str(RUNTIME),
        str(tmp_path / "model.cpp"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
