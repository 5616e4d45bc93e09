"""Functions applied along sizes in front of what their ports declare: compiled code against the interpreter, all in one unit."""

from __future__ import annotations

from pathlib import Path

from tests.compiled.client import Client, build
from tests.compiled.compare import Pair, check_gradients, check_infer, engine_of, inputs_of, text_of
from tests.compiled.test_random import together
from tests.helpers import program
from tests.unit.lower.test_each import CALLS, model


def test_functions_are_applied_to_each(tmp_path: Path) -> None:
    """In double precision: sizes of four are whole vectors on many machines, and are spread."""
    programs = {f"m{place}": program(model(*call)) for place, call in enumerate(CALLS.values())}
    models = {name: text_of(each, "f64", name) for name, each in programs.items()}
    flags = ("-O0", "-w", "-march=native", "-fvisibility=default")
    library = build(together(models), tmp_path, "all", flags=flags)
    for name, each in programs.items():
        client = Client(library, models[name][f"{name}.json"])
        pair = Pair(each, "f64", client, engine_of(each, client), models[name], library)
        inputs = inputs_of(pair, 3, 2)
        check_infer(pair, inputs, 3, 2, carry=True)
        check_gradients(pair, inputs, 3, 2)
