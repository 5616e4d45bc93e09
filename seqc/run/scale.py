"""Scaling by the data: fills the parameters `mean` and `deviation` of `Standardise` layers before training begins.

Takes the training part of a data set and which layer belongs to which inputs. Since the two are parameters, they are
saved with the weights, and whatever runs the model applies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .engine import Array
from .fault import ModelError, unknown
from .gather import Material
from .weights import parameters

if TYPE_CHECKING:
    from .model import Model

Scales = Mapping[str, str | Sequence[str]]
"""For a layer, the input that it scales, or the inputs that make up its vector."""


def scales_of(scales: Scales | None) -> dict[str, list[str]]:
    """The names of the inputs of each layer."""
    if scales is None:
        return {}
    if not isinstance(scales, Mapping):
        raise ModelError(
            f'`scale`: expected layers and their inputs, as in {{"layer": "x"}}, found {scales!r}'
        )
    for layer, each in scales.items():
        if not isinstance(each, str) and not (
            isinstance(each, Sequence) and each and all(isinstance(name, str) for name in each)
        ):
            raise ModelError(
                f"`scale`: `{layer}`: expected an input or a list of inputs by name, found {each!r}"
            )
    return {str(layer): [each] if isinstance(each, str) else list(each) for layer, each in scales.items()}


def fill_scales(model: Model, material: Material, scales: Mapping[str, Sequence[str]]) -> None:
    """Sets mean and standard deviation of each layer; a component that never changes keeps the deviation 1."""
    own = parameters(model.manifest, model.engine.arenas.plain)
    layers = [name[: -len(".deviation")] for name in own if name.endswith(".deviation")]
    ready: list[tuple[Array, Array]] = []
    for layer, names in scales.items():
        if layer not in layers or f"{layer}.mean" not in own:
            raise unknown("layer that scales", layer, layers)
        columns = [_values(model, material, name) for name in names]
        means = np.concatenate([each.mean(0) for each in columns])
        deviations = np.concatenate([each.std(0) for each in columns])
        size = own[f"{layer}.mean"].size
        if means.size != size:
            shown = " and ".join(f"`{name}`" for name in names)
            raise ModelError(f"`scale`: `{layer}` scales {size} numbers, and {shown} has {means.size}")
        deviations[deviations <= 1e-12 * np.maximum(1.0, np.abs(means))] = 1.0
        ready += [(own[f"{layer}.mean"], means), (own[f"{layer}.deviation"], deviations)]
    for array, values in ready:
        array[...] = values.reshape(array.shape)
    if ready:
        model._changed()


def _values(model: Model, material: Material, name: str) -> Array:
    """All values of an input as float64 [rows, components]."""
    inputs = model.manifest["inputs"]
    names = [str(each["name"]) for each in inputs]
    if name not in names:
        raise unknown("input", name, names)
    number = names.index(name)
    array = material.arrays.get(number)
    if array is None or array.dtype.kind != "f":
        raise ModelError(f"`scale`: `{name}` is not made of real numbers; expected an input that is")
    size = int(np.prod(inputs[number]["dims"], dtype=np.int64))
    return array.reshape(-1, size).astype(np.float64)
