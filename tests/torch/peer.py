"""Our model and a PyTorch module side by side: `open_model` builds one from text, `close` compares arrays.

Everything is float64; `SETTINGS` names the two engines that the tests go through.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqc.driver.load import load
from seqc.run.model import Model

STEPS, ROWS, SEEN = 5, 3, 4
TOLERANCE = 1e-9


def open_model(text: str, folder: Path, engine: str = "evaluator") -> Model:
    """The only model of a source, in float64."""
    path = folder / "model.seq"
    path.write_text(text, encoding="utf-8")
    return load(path, real="f64", engine=engine)


def close(found: Any, expected: Any, what: str = "") -> None:
    """Equal to 1e-9 in parts of the largest element; PyTorch's arrays may want gradients."""
    wanted = expected.detach().numpy() if hasattr(expected, "detach") else np.asarray(expected)
    scale = max(float(np.max(np.abs(wanted), initial=0.0)), 1e-3)
    assert np.shape(found) == wanted.shape, f"{what}: {np.shape(found)} against {wanted.shape}"
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=what)


def set_weights(model: Model, weights: Mapping[str, Any]) -> None:
    """Copies weights; every parameter that is no initial state must get one."""
    for name, array in weights.items():
        model.params[name] = np.asarray(array)
    left = {name for name in model.params if name not in weights}
    assert all(name.rpartition(".")[2] in ("h0", "c0") for name in left), left


def noise(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)
