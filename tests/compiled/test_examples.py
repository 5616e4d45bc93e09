"""The examples, with small sizes: compiled code against the interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.driver import pipeline
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.lower.program import Program
from tests.compiled.compare import check_all, make

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = {
    "charlm": (("V", 7), ("H", 5)),
    "sentences": (("V", 9), ("H", 5)),
    "tagger": (("V", 9), ("K", 4)),
}


def program_of(name: str, real: str) -> Program:
    """A lowered example."""
    return pipeline.program(Reader(EXAMPLES / f"{name}.seq"), Options(real=real, dims=SMALL.get(name, ())))


@pytest.mark.parametrize("real", ["f64", "f32"])
@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.seq")))
def test_compiled_equals_interpreted(name: str, real: str, tmp_path: Path) -> None:
    check_all(make(program_of(name, real), real, tmp_path), steps=4, batch=3)
