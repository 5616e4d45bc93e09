"""The derivative of every operation against central differences, whatever its operands broadcast over."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.ops.build import Builder, sum_to
from seqc.ops.evaluate import evaluate
from seqc.ops.table import TABLE
from tests.numeric.flows import ALL_AXES, TIME_ONLY
from tests.numeric.op_cases import (
    CASES,
    B,
    Case,
    T,
    array_for,
    axes_of,
    builder_type,
    dims_of,
    leaf,
    results_of,
)


def scalar_loss(builder: Builder, value: int) -> tuple[int, int]:
    """sum(value · weight) over everything, and its gradient with respect to value: the weight."""
    type = builder.type(value)
    weight = builder.add("input", type=type, name="weight")
    return builder.reduce("sum", builder.mul(value, weight), axes=NO_AXES), weight


def check_gradient(builder: Builder, value: int, domain: tuple[float, float], seed: int = 0) -> None:
    """Compare the row's derivative with central differences along random directions in each real operand."""
    random = np.random.default_rng(seed)
    loss, gradient = scalar_loss(builder, value)
    args = builder.args(value)
    parts = TABLE[builder.value(value).op].derivative(builder, value, gradient)  # type: ignore[misc]
    assert len(parts) == len(args)
    roots = {"loss": loss}
    for place, (arg, part) in enumerate(zip(args, parts, strict=True)):
        type = builder.type(arg)
        if part is not None:
            roots[f"grad{place}"] = builder.broadcast(sum_to(builder, part, type), type)
    flow = builder.finish(roots)
    leaves = {
        ("input", str(each.attr("name"))): array_for(each.type, domain, random)
        for each in flow.values
        if each.op == "input"
    }
    exact = evaluate(flow, leaves, T, B)
    for place, part in enumerate(parts):
        if part is None:
            continue
        key = ("input", str(builder.value(args[place]).attr("name")))
        assert exact[f"grad{place}"].shape == np.shape(leaves[key])
        direction = random.normal(size=np.shape(leaves[key]))
        step = 1e-6
        ends = [
            evaluate(flow, {**leaves, key: leaves[key] + sign * step * direction}, T, B, roots=["loss"])[
                "loss"
            ]
            for sign in (1, -1)
        ]
        numeric = (ends[0] - ends[1]) / (2 * step)
        derived = np.sum(exact[f"grad{place}"] * direction)
        assert abs(numeric - derived) <= 1e-6 * max(1.0, abs(numeric)), (place, numeric, derived)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_derivative_agrees_with_differences(case: Case) -> None:
    for dims in dims_of(case):
        for axes in axes_of(case):
            for result in results_of(case, NO_AXES.union(*axes)):
                builder = Builder()
                args = tuple(
                    leaf(builder, case, place, each, own)
                    for place, (each, own) in enumerate(zip(dims, axes, strict=True))
                )
                given = None
                if case.result is not None:
                    given = Type(Kind.REAL, case.result, result)
                value = builder.put(case.op, args, case.attrs, given)
                if case.keeps:
                    builder.values.pop()
                    type = builder_type(case, builder, args, result)
                    value = builder.put(case.op, args, case.attrs, type)
                check_gradient(builder, value, case.domain)


def test_select_broadcast_cast_and_reverse_with_lengths_have_right_derivatives() -> None:
    for axes in itertools.product(ALL_AXES, repeat=2):
        builder = Builder()
        a = builder.add("input", type=Type(Kind.REAL, (2,), axes[0]), name="a")
        b = builder.add("input", type=Type(Kind.REAL, (), axes[1]), name="b")
        chosen = builder.gt(b, builder.const(0.3))
        check_gradient(builder, builder.select(chosen, a, b), (-1, 1))
    for axes_ in ALL_AXES:
        builder = Builder()
        a = builder.add("input", type=Type(Kind.REAL, (), axes_), name="a")
        check_gradient(builder, builder.broadcast(a, Type(Kind.REAL, (3,), STREAM)), (-1, 1))
        builder = Builder()
        a = builder.add("input", type=Type(Kind.F64, (2,), axes_), name="a")
        b = builder.cast(a, Kind.REAL)
        check_gradient(builder, b, (-1, 1))
        for length_axes in (NO_AXES, ONCE):
            builder = Builder()
            a = builder.add("input", type=Type(Kind.REAL, (2,), axes_ | TIME_ONLY), name="a")
            n = builder.cast(
                builder.add("input", type=Type(Kind.INDEX, (), length_axes, T + 1), name="n"), Kind.INT
            )
            value = builder.reverse(a, n)
            check_reversed(builder, value)


def check_reversed(builder: Builder, value: int) -> None:
    """Each row is turned round within its length; turning twice gives the operand."""
    flow = builder.finish({"once": value, "twice": builder.reverse(value, builder.args(value)[1])})
    random = np.random.default_rng(3)
    leaves = {
        ("input", str(each.attr("name"))): array_for(each.type, (-1, 1), random)
        for each in flow.values
        if each.op == "input"
    }
    result = evaluate(flow, leaves, T, B)
    source = wide(leaves["input", "a"], flow.values[0].type)
    once, twice = (wide(result[name], flow.values[flow.roots[name]].type) for name in ("once", "twice"))
    lengths = np.broadcast_to(leaves["input", "n"], (B,))
    assert np.array_equal(twice, source)
    for row, length in enumerate(lengths):
        expected = np.concatenate([source[:length, row][::-1], source[length:, row]])
        assert np.array_equal(once[:, row], expected)


def wide(array: Any, type: Type) -> Any:
    """The array with both axes in full."""
    index = tuple(slice(None) if axis in type.axes else None for axis in Axis)
    return np.broadcast_to(array[index], (T, B, *type.dims))


def gradient_at(op: str, *points: float, constants: tuple[float, ...] = ()) -> list[float]:
    """The derivative of an operation at a point, by its row."""
    builder = Builder()
    args = [builder.add("input", type=Type(Kind.REAL), name=f"x{place}") for place in range(len(points))]
    value = builder.add(op, *args, *(builder.const(each) for each in constants))
    parts = TABLE[op].derivative(builder, value, builder.const(1.0))  # type: ignore[misc]
    flow = builder.finish({f"g{place}": part for place, part in enumerate(parts) if part is not None})
    leaves = {("input", f"x{place}"): point for place, point in enumerate(points)}
    return [float(each) for each in evaluate(flow, leaves).values()]


def test_derivatives_at_corners_are_finite() -> None:
    assert gradient_at("root", 0.0) == [0.0]
    assert gradient_at("pow", 0.0, constants=(2.0,)) == [0.0]
    assert gradient_at("pow", -3.0, constants=(2.0,)) == [-6.0]
    assert gradient_at("pow", -2.0, constants=(3.0,)) == [12.0]
    assert gradient_at("pow", -2.0, constants=(1.0,)) == [1.0]
    assert gradient_at("pow", 5.0, constants=(0.0,)) == []
    assert gradient_at("pow", 0.0, 0.0) == [0.0, 0.0]
    assert gradient_at("pow", -2.0, 2.0) == [-4.0, 0.0]
    assert gradient_at("maximum", 0.0, constants=(0.0,))[0] == 0.0
    assert gradient_at("abs", 0.0) == [0.0]
    assert gradient_at("clipped", 7.0, constants=(0.25,)) == [0.25]
