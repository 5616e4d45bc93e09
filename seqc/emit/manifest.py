"""The manifest of a model, `<name>.json`: what the host, the package and tools read instead of the source.

Its schema is `manifest.schema.json` beside this file. Takes a `Model`; gives the record as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seqc.emit.model import Model, only_sizes
from seqc.flow.carried import is_carried
from seqc.flow.types import Axis, Kind, Type
from seqc.lower.program import Hyper, Input

SCHEMA = 1


def manifest_text(model: Model) -> str:
    """JSON, indented by two, in the order in which the schema lists the keys."""
    return json.dumps(manifest(model), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def manifest(model: Model) -> Mapping[str, Any]:
    """The record."""
    program, options = model.program, model.options
    train = program.train
    return {
        "schema": SCHEMA,
        "name": program.name,
        "symbol": model.symbol,
        "seqc": options.version,
        "source_hash": options.source_hash,
        "real": options.real,
        "doc": program.doc,
        "entries": list(model.entries),
        "causal": program.causal,
        "carried": is_carried(program.flow, "gradients"),
        "stream": any(Axis.TIME in each.type.axes and not each.target for each in program.inputs),
        "until": "until" in program.flow.roots,
        "inputs": [_input(each) for each in program.inputs],
        "outputs": [
            {"name": each.name, **_kind(each.type), "axes": _axes(each.type), "bound": each.type.bound}
            for each in model.outputs
        ],
        "metrics": list(model.metrics),
        "hypers": [_hyper(each) for each in program.hypers],
        "parameters": [
            {
                "name": placed.name,
                "dims": list(placed.type.dims),
                "offset": placed.offset,
                "init": _nested(parameter.init),
                "trained": placed.name in model.trained,
                "doc": parameter.doc,
            }
            for placed, parameter in zip(model.parameters, program.parameters, strict=True)
        ],
        "states": [
            {"name": each.name, **_kind(each.type), "bound": each.type.bound} for each in model.states
        ],
        "optimizer": [
            {
                "name": each.name,
                "parameter": each.name.rsplit(".", 1)[0],
                "dims": list(each.type.dims),
                "offset": each.offset,
            }
            for each in model.optimizer
        ],
        "plain_bytes": model.plain_bytes,
        "packed_bytes": model.packed_bytes,
        "optimizer_bytes": model.optimizer_bytes,
        "train": None
        if train is None
        else {
            "clip": None if train.clip is None else train.clip.how,
            "window": train.window,
            "warmup": train.warmup,
            "seed": train.seed,
            "memory": train.memory,
        },
        "library": options.library,
        "target": {
            "name": model.target.name,
            "vector_bytes": model.target.vector_bytes,
            "rates": model.target.speed.origin(),
        },
        "only": dict(zip(("steps", "batch"), only_sizes(model, "infer"), strict=True)),
        "symbols": None if options.symbols is None else list(options.symbols),
    }


def _kind(kind: Type) -> dict[str, Any]:
    return {"kind": kind.kind.value, "dims": list(kind.dims)}


def _axes(kind: Type) -> list[str]:
    return [axis.value for axis in Axis if axis in kind.axes]


def _input(each: Input) -> dict[str, Any]:
    return {
        "name": each.name,
        **_kind(each.type),
        "axes": _axes(each.type),
        "bound": each.type.bound,
        "target": each.target,
        "length": each.length,
        "default": each.default,
        "doc": each.doc,
    }


def _hyper(each: Hyper) -> dict[str, Any]:
    value: float | int = each.value if each.type.kind.is_real else int(each.value)
    if each.type.kind is Kind.BOOL:
        value = int(bool(each.value))
    return {
        "name": each.name,
        "kind": each.type.kind.value,
        "value": value,
        "low": each.low,
        "high": each.high,
        "bound": each.type.bound,
    }


def _nested(init: object) -> object:
    """Tuples as lists, as JSON knows them."""
    return [_nested(part) for part in init] if isinstance(init, tuple) else init
