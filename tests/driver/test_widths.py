"""How wide a vector a model is built for."""

from __future__ import annotations

import pytest

from seqc.driver.pipeline import target_of
from seqc.driver.toolchain import Toolchain
from tests.numeric.programs import lower_text

MODEL = """
use std.cells: LSTM
model M {{
  input x: real[3]
  output y = x |> LSTM({hidden})
}}
"""
WIDE = ("__AVX512F__",)
SPLIT = (*WIDE, "__znver4__")
OLDER = (*WIDE, "__znver3__")


@pytest.mark.parametrize(
    ("features", "hidden", "bytes"),
    [
        (WIDE, 8, 32),
        (WIDE, 9, 64),
        (WIDE, 20, 64),
        (SPLIT, 8, 32),
        (SPLIT, 16, 64),
        (SPLIT, 20, 32),
        (OLDER, 20, 32),
        (SPLIT, 24, 32),
        (SPLIT, 32, 64),
        (SPLIT, 72, 64),
        (("__AVX2__", "__AVX__", "__znver3__"), 20, 32),
        ((), 20, 16),
    ],
)
def test_models_run_on_vectors_that_they_fill(features: tuple[str, ...], hidden: int, bytes: int) -> None:
    """Halves where everything fits one, or, on cores that multiply halves, where whole ones stay empty for a quarter."""
    tools = Toolchain("g++", "12", "native", features)
    program = lower_text(MODEL.format(hidden=hidden))
    assert target_of(tools, "f32", model=program).vector_bytes == bytes
