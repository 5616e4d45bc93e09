"""What spoils a call within a data set: which tensor holds NaN or Inf, and where a label is missing that is counted.

Looked for only when a call has said so. Takes a model and what it was called with, gives a name in words.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from .arguments import public
from .data import Batch, Data, Slice
from .engine import EngineFault
from .fault import COUNTED_LABEL, ModelError
from .layout import aligned
from .state import State
from .weights import parameters

if TYPE_CHECKING:
    from .model import Model


def bad_weights(model: Model) -> str | None:
    """The first parameter or optimizer state that is not finite."""
    for name, array in parameters(model.manifest, model.engine.arenas.plain).items():
        if not np.isfinite(array).all():
            return f"parameter `{name}`"
    for name, array in model.optimizer.items():
        if not np.isfinite(array).all():
            return f"optimizer state `{name}`"
    return None


def first_bad(model: Model, batch: Batch, state: State | None, seed: int) -> str:
    """The first tensor that holds NaN or Inf: an input, a parameter, the carried state, a gradient; else the loss."""
    manifest = model.manifest
    for name, array in batch.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"input `{name}`"
    bad = bad_weights(model)
    if bad is not None:
        return bad
    for name in state or ():
        if state is not None and state[name].dtype.kind == "f" and not np.isfinite(state[name]).all():
            return f"state `{name}`"
    arena = aligned(manifest["plain_bytes"])
    inputs = [batch.arrays.get(public(each["name"])) for each in manifest["inputs"]]
    carried = None if state is None or state.batch != batch.rows else state.copy().arrays
    nothing: list[None] = [None] * len(inputs)
    states: list[None] = [None] * len(manifest["states"])
    moment = (batch.steps, batch.rows, seed, model.updates)
    with suppress(EngineFault):  # the arena is filled all the same, as far as the engine went
        model.engine.gradients(inputs, arena, None, nothing, states, carried, *moment, False)
    for name, array in parameters(manifest, arena).items():
        if not np.isfinite(array).all():
            return f"the gradient of `{name}`"
    return "the loss"


def placed(error: ModelError, model: Model, data: Data, part: Slice) -> ModelError:
    """An error of one batch, said of the whole data set: a missing label that the loss counts has its place there."""
    number, step, row, value = error.where
    if error.code != COUNTED_LABEL or number < 0:
        return error
    name = model.manifest["inputs"][number]["name"]
    return ModelError(
        f"`{name}` holds {value}{data.place(part, step, row)}, which is no label, and the loss counts it; "
        f"put the label in, or reduce the loss with `where {name} >= 0`",
        error.code,
        error.where,
    )
