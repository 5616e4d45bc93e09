"""Gradients against differences, for any Program: `leaves_for` makes arrays, `check_gradients` compares.

Takes a Program with small sizes; raises AssertionError naming the gradient that is off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqc.flow.types import Axis, Flow, Kind
from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.ops.verify import verify
from seqc.passes import flow_for

Leaves = dict[tuple[str, str], Any]
STEPS, ROWS = 5, 3


def leaves_for(program: Program, seed: int = 0, steps: int = STEPS, rows: int = ROWS) -> Leaves:
    """Random arrays for all leaves that a Program and its entries may read."""
    rng = np.random.default_rng(seed)
    leaves: Leaves = {}
    for each in program.parameters:
        leaves["param", each.name] = rng.normal(0.0, 0.6, each.type.dims)
    for each in program.inputs:
        shape = each.type.dims
        if Axis.BATCH in each.type.axes:
            shape = (rows, *shape)
        if Axis.TIME in each.type.axes:
            shape = (steps, *shape)
        if each.length:
            leaves["input", each.name] = np.array([steps, 2, 1, 3, 4][:rows])
        elif each.type.kind.is_real:
            leaves["input", each.name] = rng.normal(0.0, 0.8, shape)
        elif each.type.kind is Kind.BOOL:
            leaves["input", each.name] = rng.random(shape) < 0.5
        else:
            low, high = (0, each.type.bound) if each.type.bound else (1, 4)
            leaves["input", each.name] = rng.integers(low, high, shape)
    for hyper in program.hypers:
        leaves["hyper", hyper.name] = hyper.value
    for value in program.flow.values:
        if value.op == "prev":
            state = program.flow.states[value.attr("state")]
            random = rng.normal(0.0, 0.5, (rows, *state.type.dims))
            whole = rng.integers(0, state.type.bound or 2, random.shape)
            leaves["carried", state.name] = random if state.type.kind.is_real else whole
            leaves["fresh", state.name] = np.arange(rows) % 2 == 0
    return leaves


def started(rows: int = ROWS) -> Any:
    """Steps that the rows have seen before."""
    return 3 * np.arange(rows)


def observed(program: Program, entry: str) -> dict[str, Flow]:
    """The Flow after each pass of an entry, each verified."""
    flows: dict[str, Flow] = {}

    def observe(name: str, flow: Flow) -> None:
        verify(flow)
        flows[name] = flow

    flow_for(program, entry, observe=observe)
    return flows


def key_of(root: str) -> tuple[str, str]:
    """The leaf whose gradient a root is."""
    name = root.removeprefix("grad.")
    for prefix, op in (("input.", "input"), ("state.", "carried"), ("hyper.", "hyper")):
        if name.startswith(prefix):
            return op, name.removeprefix(prefix)
    return "param", name


def slope(loss: Callable[[float], float], step: float) -> float:
    """A difference of fourth order."""
    near, far = loss(step) - loss(-step), loss(2 * step) - loss(-2 * step)
    return (8 * near - far) / (12 * step)


def check_gradients(
    program: Program,
    seed: int = 0,
    elements: int = 2,
    steps: int = STEPS,
    rows: int = ROWS,
    stopped: tuple[str, ...] = (),
) -> int:
    """Compare all gradients of a Program along a random direction and at a few elements; how many were not zero.

    Where a kink lies within the first step a smaller one decides. Roots named in `stopped` have to be 0.
    """
    leaves = leaves_for(program, seed, steps, rows)
    flows = observed(program, "gradients")
    base = flows["ragged"] if "ragged" in flows else flows["specialise"]
    final = list(flows.values())[-1]
    options = {"T": steps, "B": rows, "seed": 7, "call": 1, "started": started(rows)}
    found = evaluate(final, leaves, **options)
    rng = np.random.default_rng(seed + 1)
    alive = 0
    for root in (name for name in final.roots if name.startswith("grad.")):
        key, gradient = key_of(root), found[root]
        alive += bool(np.any(gradient))
        if root in stopped:
            assert not np.any(gradient), root
            continue
        shape = np.shape(leaves[key])
        assert gradient.shape == shape, f"{root}: {gradient.shape} against {shape}"
        directions = [rng.normal(size=shape)]
        for _ in range(elements):
            unit = np.zeros(shape)
            unit[tuple(rng.integers(0, size) for size in shape)] = 1.0
            directions.append(unit)
        for direction in directions:

            def loss(distance: float, key: tuple[str, str] = key, way: Any = direction) -> float:
                moved = {**leaves, key: leaves[key] + distance * way}
                return float(evaluate(base, moved, roots=("loss",), **options)["loss"])

            actual = float(np.sum(gradient * direction))
            size = max(float(np.sqrt(np.sum(gradient**2))), 1e-4)
            slopes = []
            for step in (1e-4, 1e-5):
                slopes.append(slope(loss, step))
                if abs(slopes[-1] - actual) <= 1e-6 * size:
                    break
            else:
                raise AssertionError(f"{root}: {actual!r}, differences give {slopes}")
    return alive


def check_passes(program: Program, entry: str, steps: int = STEPS, rows: int = ROWS) -> None:
    """The evaluator gives the same after every pass of an entry."""
    leaves = leaves_for(program, 0, steps, rows)
    flows = observed(program, entry)
    names = list(flows)
    start = "ragged" if "ragged" in flows else "specialise"
    options = {"T": steps, "B": rows, "seed": 7, "call": 1, "started": started(rows)}
    before = evaluate(flows[start], leaves, **options)
    for name in names[names.index(start) + 1 :]:
        now = evaluate(flows[name], leaves, **options)
        for root, array in before.items():
            size = max(1.0, float(np.max(np.abs(array), initial=0.0)))
            np.testing.assert_allclose(
                now[root], array, rtol=1e-11, atol=1e-12 * size, err_msg=f"after {name}: {root}"
            )
        before = now
