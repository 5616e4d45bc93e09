"""Labels that are missing: where a loss that is no number counted one.

Takes the manifest and the inputs of a call; raises EngineFault with the place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .engine import Array, EngineFault, Manifest
from .fault import COUNTED_LABEL


def missing_label(manifest: Manifest, inputs: Sequence[Array | None]) -> None:
    """For a loss that is no number: refuses the first label that is missing, if there is one."""
    ports = list(zip(manifest["inputs"], inputs, strict=True))
    lengths = next((array for port, array in ports if port["length"]), None)
    for number, (port, array) in enumerate(ports):
        if array is None or not port["target"] or port["kind"] != "index":
            continue
        timed = "time" in port["axes"]
        bad = (array < 0) & within(array, lengths) if timed and lengths is not None else array < 0
        if bad.any():
            found = tuple(int(each) for each in np.argwhere(bad)[0])
            step, row = found[:2] if timed else (-1, found[0])
            raise EngineFault(COUNTED_LABEL, (number, step, row, int(array[found])))


def within(array: Array, lengths: Array) -> Array:
    """Which elements of [T, B, …] lie before their row's end."""
    inside: Array = np.arange(len(array))[:, None] < lengths[None, :]
    return inside.reshape(*inside.shape, *[1] * (array.ndim - 2))
