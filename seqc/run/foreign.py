"""Weights of PyTorch's recurrent modules under the names of `std.cells`: `from_torch` splits gates and joins biases.

Takes arrays as `state_dict()` names them (numpy, or anything that numpy can read) and gives {our name: array}.
PyTorch itself is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .engine import Array
from .fault import ModelError

GATES: Mapping[str, str] = {"LSTM": "ifgo", "GRU": "rzn", "RNN": "g"}
"""In which order each module stacks its gates (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN), by our names."""


def from_torch(
    kind: str, arrays: Mapping[str, Any], at: str, layer: int = 0, reverse: bool = False
) -> dict[str, Array]:
    """One layer of a `torch.nn.LSTM`, `GRU` or `RNN` (`kind`) as parameters of our cell at the dotted path `at`.

    `arrays` is the module's `state_dict()`: `weight_ih_l0` [gates * H, D], `weight_hh_l0` [gates * H, H or P], biases
    [gates * H] or none, and `weight_hr_l0` [P, H] for a `ProjectedLSTM`. `layer` and `reverse` choose among the layers
    and directions of one module. Both biases become their sum, except in the GRU's candidate, which needs them apart.
    Initial states keep the value they have; PyTorch's are zero. Raises ModelError for an unknown kind, missing arrays
    and sizes that do not fit each other.
    """
    if kind not in GATES:
        raise ModelError(f"`kind`: expected one of {', '.join(GATES)}, found {kind!r}")
    if not isinstance(arrays, Mapping):
        raise ModelError(
            f"`arrays`: expected what `state_dict()` gives, arrays by name, found a {type(arrays).__name__}"
        )
    suffix = f"l{layer}{'_reverse' if reverse else ''}"
    seen, past = _array(arrays, f"weight_ih_{suffix}"), _array(arrays, f"weight_hh_{suffix}")
    count = len(GATES[kind])
    back = _array(arrays, f"weight_hr_{suffix}") if f"weight_hr_{suffix}" in arrays else None
    wide = past.shape[-1:] if back is None else back.shape[1:]
    matrices = all(each.ndim == 2 for each in (seen, past, back) if each is not None)
    if (
        not matrices
        or not len(seen) == len(past) == count * wide[0]
        or (back is not None and len(back) != past.shape[1])
    ):
        raise ModelError(
            f"`weight_ih_{suffix}` {list(seen.shape)} and `weight_hh_{suffix}` {list(past.shape)} are not "
            f"{count} gate(s) of a {kind}"
        )
    biases = [_bias(arrays, f"bias_{each}_{suffix}", len(seen)) for each in ("ih", "hh")]
    found: dict[str, Array] = {}
    gates = (np.split(each, count) for each in (seen, past, *biases))
    for gate, W, U, b, bU in zip(GATES[kind], *gates, strict=True):
        if gate == "n":
            found |= {f"{at}.W": W, f"{at}.U": U, f"{at}.b": b, f"{at}.bU": bU}
        else:
            found |= {f"{at}.{gate}.W": W, f"{at}.{gate}.U": U, f"{at}.{gate}.b": b + bU}
    return found if back is None else {**found, f"{at}.R": back}


def _array(arrays: Mapping[str, Any], name: str) -> Array:
    if name not in arrays:
        inside = next((each.removesuffix(name) for each in arrays if each.endswith(f".{name}")), None)
        if inside is not None:
            raise ModelError(
                f"no array `{name}`, but `{inside}{name}`; give the arrays of this one module, "
                f"`module.{inside}state_dict()`, or their names without `{inside}`"
            )
        raise ModelError(
            f"no array `{name}`; expected those of `state_dict()`, found {', '.join(arrays) or 'none'}"
        )
    return np.asarray(arrays[name])


def _bias(arrays: Mapping[str, Any], name: str, size: int) -> Array:
    """Modules made with `bias=False` have none, which is a bias of zeros."""
    found = _array(arrays, name) if name in arrays else np.zeros(size)
    if found.shape != (size,):
        raise ModelError(f"`{name}`: expected {size} numbers, found {list(found.shape)}")
    return found
