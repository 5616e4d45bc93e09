"""Whole data sets through a trained model: loss and metrics of all of it, and the outputs of every sequence.

Takes data as `fit` takes it, in batches and with nothing changed in the model; gives a Score, or outputs in the order
of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import public, seed_of
from .data import Batch, Data
from .fault import ModelError
from .gather import Material, Source, gather
from .lists import Lists
from .spoilt import placed
from .state import State
from .table import Columns
from .views import Score

if TYPE_CHECKING:
    from .model import Model


def measure(
    model: Model,
    data: Data,
    seed: int,
    stop: Callable[[], bool] = lambda: False,
    spoilt: Callable[[Batch], ModelError] | None = None,
) -> Score | None:
    """Loss and metrics, weighted by steps or rows; None if `stop` says so on the way.

    A loss that is not finite raises what `spoilt` makes of its batch, where that is given.
    """
    carried = bool(model.manifest["carried"]) and bool(model.manifest["states"])
    state: State | None = None
    names = list(model.manifest["metrics"])
    sums, weight = np.zeros(1 + len(names)), 0.0
    for part in data.plan(seed, 0):
        if stop():
            return None
        batch = data.take(part)
        if part.begins:
            state = model.state(batch.rows) if carried else None
        state = fewer(state, batch.rows)
        steps = None if model.manifest["stream"] else batch.steps
        try:
            score = model.evaluate(**batch.arrays, state=state, seed=seed, steps=steps)
        except ModelError as error:
            raise placed(error, model, data, part) from None
        if spoilt is not None and not np.isfinite(score):
            raise spoilt(batch)
        if part.counts:
            sums += batch.weight * np.array([float(score), *score.metrics.values()])
            weight += batch.weight
    return Score(sums / weight if weight else np.full(len(sums), np.nan), names)


def fewer(state: State | None, rows: int) -> State | None:
    """The state of the rows that go on: in a window where some sequences have ended, these are the first ones."""
    return state if state is None or state.batch == rows else state.head(rows)


def score(
    model: Model,
    *args: Any,
    batch: int = 32,
    window: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    columns: Columns | None = None,
    **named: Any,
) -> Score:
    """Loss and metrics of a whole data set, given as to `fit`; the number that `fit` reports for it as validation."""
    from .fit import make_data, make_options

    model._need("evaluate")
    options = make_options(model, batch=batch, window=window, seed=seed_of(seed), shuffle=False, steps=steps)
    material = gather(model, named if named else args, columns)
    _, data = make_data(model, material, material, options)
    assert data is not None
    found = measure(model, data, options.seed)
    assert found is not None
    return found


def predict(model: Model, *args: Any, batch: int = 32, seed: int = 0, **named: Any) -> Any:
    """Outputs for lists of sequences of different lengths: a list of arrays [T, dims], or [N, dims] for what is once.

    What is no list goes to `infer` as it is. Several outputs are a named tuple, as with `infer`.
    """
    source: Source = named if named else args
    material = gather(model, source, entry="infer")
    if material.lengths is None:
        given: dict[str, Any] = {
            public(model.manifest["inputs"][number]["name"]): each for number, each in material.arrays.items()
        }
        return model.infer(**given, seed=seed)
    return _listed(model, material, batch, seed)


def _listed(model: Model, material: Material, batch: int, seed: int) -> Any:
    """All outputs in the order of the data."""
    assert material.lengths is not None
    data = Lists(model, material.arrays, material.lengths, batch, bucket=None, shuffle=False)
    entries = model.manifest["outputs"]
    found: list[list[Any]] = [[None] * len(material.lengths) for _ in entries]
    for part in data.plan(seed, 0):
        taken = data.take(part)
        steps = None if model.manifest["stream"] else taken.steps
        made = model.infer(**taken.arrays, seed=seed, steps=steps)
        outputs = made if isinstance(made, tuple) else (made,)
        for place, row in enumerate(part.rows or ()):
            for number, (each, array) in enumerate(zip(entries, outputs, strict=True)):
                length = int(material.lengths[row])
                found[number][row] = (
                    array[:length, place].copy() if "time" in each["axes"] else array[place].copy()
                )
    shown = [
        each if "time" in entry["axes"] else np.array(each)
        for entry, each in zip(entries, found, strict=True)
    ]
    return shown[0] if len(shown) == 1 else model._results.several(*shown)
