"""Walks the table of operations: every one has a row, a numpy meaning that agrees with a formula written here, and
float32 results in float32. Their derivatives are in `test_derivatives`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.ops import table
from seqc.ops.build import Builder
from seqc.ops.evaluate import evaluate
from seqc.ops.op import Call
from seqc.ops.table import LEAF_NAMES, TABLE
from tests.numeric.flows import ALL_AXES, shape_of
from tests.numeric.op_cases import (
    ABOVE_ONE,
    CASES,
    POSITIVE,
    B,
    Case,
    T,
    array_for,
    builder_type,
    leaf,
    results_of,
)

FORMULAS: dict[str, Callable[..., Any]] = {
    "neg": lambda x: -x,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sqrt": math.sqrt,
    "root": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "atan": math.atan,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "erf": math.erf,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "floor": math.floor,
    "stop": lambda x: x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "minimum": min,
    "maximum": max,
    "clipped": lambda x, c: x,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
}
WHOLE_FORMULAS: dict[str, Callable[..., Any]] = {"idiv": lambda x, y: x // y, "mod": lambda x, y: x % y}
BOOL_FORMULAS: dict[str, Callable[..., Any]] = {
    "and": lambda x, y: x and y,
    "or": lambda x, y: x or y,
    "not": lambda x: not x,
}


@pytest.mark.parametrize("name", sorted({**FORMULAS, **WHOLE_FORMULAS, **BOOL_FORMULAS}))
def test_elementwise_meaning_agrees_with_its_formula(name: str) -> None:
    random = np.random.default_rng(1)
    row = TABLE[name]
    kind = Kind.BOOL if name in BOOL_FORMULAS else Kind.INT if name in WHOLE_FORMULAS else Kind.REAL
    formula = {**FORMULAS, **WHOLE_FORMULAS, **BOOL_FORMULAS}[name]
    size = 40
    arrays = []
    for place in range(row.fewest):
        if kind is Kind.BOOL:
            arrays.append(random.integers(0, 2, size).astype(bool))
        elif kind is Kind.INT:
            arrays.append(
                random.integers(-9, 10, size) if place == 0 else random.choice([-3, -2, 2, 5], size)
            )
        else:
            low = 0.1 if name in POSITIVE | ABOVE_ONE else -3
            arrays.append(random.uniform(low, 3, size))
            arrays[-1][:4] = [1.0, 2.0, 1.0, 2.5]
    for real, tolerance in ((np.float64, 4e-15), (np.float32, 2e-6)):
        typed = [a.astype(real) if kind is Kind.REAL else a for a in arrays]
        type = Type(kind, (size,))
        function = row.meaning(Call(type, (type,) * row.fewest, {}, 1, 1, np.dtype(real)))  # type: ignore[misc]
        found = function(*typed)
        expected = [formula(*(each.item() for each in column)) for column in zip(*typed, strict=True)]
        np.testing.assert_allclose(
            np.asarray(found, dtype=float), np.asarray(expected, dtype=float), tolerance, tolerance
        )
        if found.dtype.kind == "f":
            assert found.dtype == real


@pytest.mark.parametrize("case", CASES, ids=str)
def test_single_precision_stays_single(case: Case) -> None:
    builder = Builder()
    args = tuple(leaf(builder, case, place, dims, STREAM) for place, dims in enumerate(case.dims))
    given = None if case.result is None else Type(Kind.REAL, case.result, STREAM)
    value = builder.value(builder.put(case.op, args, case.attrs, given))
    types = tuple(builder.type(arg) for arg in args)
    function = TABLE[case.op].meaning(Call(value.type, types, case.attrs, T, B, np.dtype(np.float32)))  # type: ignore[misc]
    random = np.random.default_rng(0)
    arrays = [array_for(type, case.domain, random) for type in types]
    found = function(*(a.astype(np.float32) if a.dtype == float else a for a in arrays))
    assert found.dtype == np.float32
    assert found.shape == shape_of(value.type, T, B)


def test_sharp_functions_stay_finite_and_exact_far_out() -> None:
    builder = Builder()
    x = builder.add("input", type=Type(Kind.REAL, (6,)), name="x")
    roots = {name: builder.add(name, x) for name in ("sigmoid", "softplus", "tanh")}
    array = np.array([-1e4, -40.0, -1e-30, 0.0, 40.0, np.inf])
    result = evaluate(builder.finish(roots), {("input", "x"): array})
    assert result["sigmoid"][0] == 0 and result["sigmoid"][-1] == 1 and result["sigmoid"][3] == 0.5
    assert result["sigmoid"][1] == pytest.approx(math.exp(-40), rel=1e-12)
    assert result["softplus"][1] == pytest.approx(math.exp(-40), rel=1e-12)
    assert result["softplus"][4] == 40.0 and result["softplus"][-1] == np.inf
    assert result["tanh"][2] == -1e-30
    nothing = evaluate(builder.finish(roots), {("input", "x"): np.full(6, np.nan)})
    assert all(np.isnan(each).all() for each in nothing.values())


def test_select_shields_from_the_other_side() -> None:
    builder = Builder()
    x = builder.add("input", type=Type(Kind.REAL, (2,)), name="x")
    chosen = builder.gt(x, 0.0)
    flow = builder.finish({"y": builder.select(chosen, builder.log(x), 0.0)})
    assert evaluate(flow, {("input", "x"): np.array([-1.0, 1.0])})["y"].tolist() == [0.0, 0.0]


def test_gather_outside_gives_nan_and_scatter_adds_nothing_there() -> None:
    builder = Builder()
    x = builder.add("input", type=Type(Kind.REAL, (3,)), name="x")
    wide_x = builder.add("input", type=Type(Kind.REAL, (3, 2), STREAM), name="w")
    k = builder.add("input", type=Type(Kind.INT, (), STREAM), name="k")
    roots = {
        "plain": builder.gather(x, k),
        "streamed": builder.gather(wide_x, k),
        "added": builder.scatter(k, builder.const(1.0), 3, axes=NO_AXES),
        "by_row": builder.scatter(k, builder.const(1.0), 3, axes=ONCE),
    }
    ks = np.array([[0, -1], [2, 2], [-9, 0]])
    w = np.arange(18.0).reshape(3, 2, 3, 1) + np.array([0, 0.5])
    result = evaluate(
        builder.finish(roots), {("input", "x"): [5, 6, 7], ("input", "k"): ks, ("input", "w"): w}, 3, 2
    )
    np.testing.assert_array_equal(result["plain"], [[5, np.nan], [7, 7], [np.nan, 5]])
    for t, row in itertools.product(range(3), range(2)):
        expected = w[t, row, ks[t, row]] if ks[t, row] >= 0 else [np.nan, np.nan]
        np.testing.assert_array_equal(result["streamed"][t, row], expected)
    assert result["added"].tolist() == [2, 0, 2]
    assert result["by_row"].tolist() == [[1, 0, 1], [1, 0, 1]]


def test_categorical_draws_with_its_probabilities_and_takes_the_best_when_cold() -> None:
    builder = Builder()
    z = builder.add("input", type=Type(Kind.REAL, (3,)), name="z")
    u = builder.add("input", type=Type(Kind.REAL, (), ONCE), name="u")
    temperature = builder.add("hyper", type=Type(Kind.REAL), name="t")
    flow = builder.finish(
        {"k": builder.add("categorical", z, temperature, u), "best": builder.add("argmax", z)}
    )
    logits = np.log([0.2, 0.5, 0.3])
    us = (np.arange(1000) + 0.5) / 1000
    leaves = {("input", "z"): logits, ("input", "u"): us}
    for warmth, counts in ((1.0, [200, 500, 300]), (0.0, [0, 1000, 0])):
        result = evaluate(flow, {**leaves, ("hyper", "t"): warmth}, 1, 1000)
        assert np.bincount(result["k"], minlength=3).tolist() == counts
        assert result["best"] == 1


@pytest.mark.parametrize("case", [case for case in CASES if case.op == "contract"], ids=str)
def test_contract_agrees_with_einsum(case: Case) -> None:
    random = np.random.default_rng(5)
    for axes in itertools.product(ALL_AXES, repeat=2):
        for result in results_of(case, axes[0] | axes[1]):
            builder = Builder()
            args = tuple(leaf(builder, case, place, case.dims[place], axes[place]) for place in range(2))
            value = builder.put("contract", args, case.attrs, builder_type(case, builder, args, result))
            arrays = [array_for(builder.type(arg), (-1, 1), random) for arg in args]
            letters = re.split(",|->", case.attrs["spec"])
            full = [lettered(own, text) for own, text in zip((*axes, result), letters, strict=True)]
            expected = np.einsum(f"{full[0]},{full[1]}->{full[2]}", *arrays)
            leaves = {("input", f"x{place}"): array for place, array in enumerate(arrays)}
            found = evaluate(builder.finish({"y": value}), leaves, T, B)["y"]
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def lettered(axes: frozenset[Axis], letters: str) -> str:
    return "".join(letter for letter, axis in (("T", Axis.TIME), ("B", Axis.BATCH)) if axis in axes) + letters


def test_reduce_agrees_with_numpy_over_every_axis() -> None:
    x = np.random.default_rng(0).normal(size=(T, B, 2, 3))
    for how in ("sum", "max", "min"):
        for axes in ALL_AXES:
            builder = Builder()
            value = builder.add("input", type=Type(Kind.REAL, (2, 3), STREAM), name="x")
            flow = builder.finish({"y": builder.reduce(how, value, (1,), axes)})
            gone = tuple(place for place, axis in enumerate(Axis) if axis not in axes)
            expected = getattr(np, how)(x, axis=(*gone, 3))
            np.testing.assert_allclose(evaluate(flow, {("input", "x"): x}, T, B)["y"], expected)


VOCABULARY = """
const input param hyper prev carried fresh instant started steps rows step training given active draw
add sub mul div neg pow exp log log1p expm1 sqrt root sin cos tan atan tanh sigmoid softplus erf abs sign floor
minimum maximum select eq ne lt le gt ge and or not idiv mod cast stop clipped broadcast
contract reduce argmax gather scatter pick place concat stack reshape transpose reverse categorical final
"""


def test_every_operation_of_the_vocabulary_has_a_row_and_a_test() -> None:
    assert sorted(TABLE) == sorted(VOCABULARY.split())
    described = set(re.findall(r"[a-z0-9]+", table.__doc__ or ""))
    assert set(TABLE) <= described
    for name, row in TABLE.items():
        assert row.meaning is not None or name in LEAF_NAMES | {"final"}
        tested = {case.op for case in CASES} | {"select", "broadcast", "cast", "clipped"}
        assert row.derivative is None or name in tested
