"""A plan run by the slow interpreter against its Flow run by the evaluator, on random arrays.

Takes a Flow, its Program and entry; gives nothing and fails where a root differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqc.flow.types import Axis, Flow, Kind, Type
from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.plan import PlanOptions, plan
from seqc.plan.buffers import Home
from seqc.plan.roots import leaf_home, root_home
from seqc.plan.target import Target
from seqc.plan.types import Plan
from tests.plan.interpret import Machine

Array = Any
TARGET = Target("test", vector_bytes=32, real_bytes=8)


def shape_of(type: Type, steps: int, batch: int) -> tuple[int, ...]:
    axes = tuple(n for axis, n in ((Axis.TIME, steps), (Axis.BATCH, batch)) if axis in type.axes)
    return axes + type.dims


def random_array(rng: np.random.Generator, type: Type, steps: int, batch: int) -> Array:
    """Values of a leaf."""
    shape = shape_of(type, steps, batch)
    if type.kind is Kind.BOOL:
        return rng.random(shape) < 0.6
    if type.kind.is_integer:
        found = rng.integers(0, type.bound or 5, shape)
        return found
    return rng.normal(size=shape) * 0.7


def border(home: Home, array: Array, type: Type) -> Array:
    """The array as the caller holds it."""
    if home.role in ("score", "grad.hyper"):
        return array.astype(np.float64)
    if home.role in ("fresh", "active", "stop"):
        return array.astype(np.uint8)
    if home.role == "started":
        return array.astype(np.int64)
    if type.kind is Kind.BOOL:
        return array.astype(np.uint8)
    return array.astype(np.int32) if type.kind.is_integer else array.astype(np.float64)


def leaves_of(
    flow: Flow, program: Program, steps: int, batch: int, seed: int
) -> dict[tuple[str, str], Array]:
    """Random arrays for every leaf."""
    rng = np.random.default_rng(seed)
    lengths = {each.name for each in program.inputs if each.length}
    values = {each.name: each.value for each in program.hypers}
    found: dict[tuple[str, str], Array] = {}
    for value in flow.values:
        if value.op not in ("input", "param", "carried", "fresh", "active", "hyper", "given"):
            continue
        name = str(value.attrs[0][1]) if value.attrs else ""
        if (value.op, name) in found:
            continue
        array = random_array(rng, value.type, steps, batch)
        if value.op == "hyper":
            array = np.float64(values.get(name, 0.3))
        if value.op == "input" and name in lengths:
            array = rng.integers(0, steps + 1, batch)
        if value.op == "input" and name.startswith("o."):
            array = np.abs(array)
        found[value.op, name] = array
    found["step", ""] = 3
    return found


def compare(
    flow: Flow,
    program: Program,
    entry: str,
    steps: int = 5,
    batch: int = 3,
    seed: int = 1,
    options: PlanOptions | None = None,
) -> Plan:
    """Run both and compare every root."""
    made = plan(flow, program, entry, TARGET, options)
    leaves = leaves_of(flow, program, steps, batch, seed)
    started = np.arange(batch, dtype=np.int64) * 2
    arrays: dict[Home, Array] = {Home("started"): started.copy()}
    for value in flow.values:
        name = str(value.attrs[0][1]) if value.attrs else ""
        if (value.op, name) in leaves and value.op not in ("hyper", "given", "step"):
            home = leaf_home(value.op, name, entry)
            arrays[home] = border(home, leaves[value.op, name], value.type)
    for name, index in flow.roots.items():
        home = root_home(name, program)
        if home is not None and home not in arrays:
            type = flow.values[index].type
            arrays[home] = border(home, np.full(shape_of(type, steps, batch), -77.0), type)
    hypers = {name: float(array) for (op, name), array in leaves.items() if op == "hyper"}
    given = {name: bool(array) for (op, name), array in leaves.items() if op == "given"}
    machine = Machine(
        made, arrays, steps, batch, np.float64, hypers, seed=9, call=2, step=3, given=given, started=started
    )
    machine.run()
    wanted = evaluate(flow, leaves, steps, batch, np.float64, seed=9, call=2, started=started)
    for name in flow.roots:
        home = root_home(name, program)
        if home is None:
            continue
        found = arrays[home].astype(np.float64)
        expected = np.asarray(wanted[name], dtype=np.float64)
        np.testing.assert_allclose(
            found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-9, err_msg=f"{entry} {name}"
        )
    return made
