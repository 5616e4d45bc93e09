"""Models built by hand: every entry point of compiled code against the interpreter, in both precisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiled.compare import check_all, make
from tests.numeric.hand_models import MODELS


@pytest.mark.parametrize("real", ["f64", "f32"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "odd_states"])
def test_compiled_equals_interpreted(name: str, real: str, tmp_path: Path) -> None:
    check_all(make(MODELS[name](), real, tmp_path))
