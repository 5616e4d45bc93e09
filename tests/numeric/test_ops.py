"""Walks the table of operations: every one has a row, a numpy meaning that agrees with a formula written here, float32
results in float32, and a derivative that agrees with central differences whatever its operands broadcast over.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.ops import table
from seqc.ops.build import Builder, sum_to
from seqc.ops.evaluate import evaluate
from seqc.ops.op import Call
from seqc.ops.rule import result_type
from seqc.ops.table import ELEMENTWISE_NAMES, LEAF_NAMES, TABLE
from tests.numeric.flows import ALL_AXES, TIME_ONLY, shape_of

T, B = 3, 2
Attrs = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An operation with the dims and domains of its operands. `whole` names operands that are indices below a bound;
    `keeps`: the result may lack axes of its operands."""

    op: str
    dims: tuple[tuple[int, ...], ...]
    attrs: Attrs
    domain: tuple[float, float] = (-2.0, 2.0)
    whole: tuple[int | None, ...] = ()
    result: tuple[int, ...] | None = None
    keeps: bool = False

    def __str__(self) -> str:
        return "-".join([self.op, *(str(each) for each in self.attrs.values())])


POSITIVE = {"log", "sqrt", "root", "div", "pow"}
ABOVE_ONE = {"log1p"}


def elementwise_cases() -> Iterator[Case]:
    for name in sorted(ELEMENTWISE_NAMES - {"broadcast", "cast", "select", "clipped"}):
        row = TABLE[name]
        if row.derivative is not None:
            domain = (0.5, 2.0) if name in POSITIVE | ABOVE_ONE else (-1.2, 1.2)
            yield Case(name, ((2,),) * row.fewest, {}, domain)


CASES = (
    *elementwise_cases(),
    Case("contract", ((3, 2), (2,)), {"spec": "hd,d->h"}, keeps=True),
    Case("contract", ((3,), (2,)), {"spec": "h,d->hd"}, keeps=True),
    Case("contract", ((2, 3), (3, 2)), {"spec": "ab,bc->ca"}, keeps=True),
    Case("contract", ((2, 3), (2, 3)), {"spec": "ab,ab->a"}, keeps=True),
    Case("contract", ((2, 3), (2, 3)), {"spec": "ab,ab->ab"}, keeps=True),
    Case("contract", ((2, 3), (2, 3, 2)), {"spec": "nd,ndk->nk"}, keeps=True),
    Case("contract", ((2, 3), (2,)), {"spec": "ab,c->ac"}, keeps=True),
    Case("contract", ((2,), (3,)), {"spec": "a,b->"}, keeps=True),
    Case("contract", ((), (3,)), {"spec": ",b->b"}, keeps=True),
    Case("contract", ((2, 2, 3), (3, 2, 2)), {"spec": "abc,cbd->da"}, keeps=True),
    Case("reduce", ((3,),), {"how": "sum", "dims": (0,)}, keeps=True),
    Case("reduce", ((2, 3),), {"how": "sum", "dims": (0,)}, keeps=True),
    Case("reduce", ((2, 3),), {"how": "max", "dims": (1,)}, keeps=True),
    Case("reduce", ((2, 3),), {"how": "min", "dims": ()}, keeps=True),
    Case("gather", ((4, 2), ()), {}, whole=(None, 4)),
    Case("gather", ((4, 2, 3), ()), {}, whole=(None, 4)),
    Case("gather", ((4,), ()), {}, whole=(None, 4)),
    Case("scatter", ((), (2,)), {"size": 4}, whole=(4, None), keeps=True),
    Case("scatter", ((), ()), {"size": 3}, whole=(3, None), keeps=True),
    Case("pick", ((4,),), {"dim": 0, "indices": (1, 2), "drop": False}),
    Case("pick", ((2, 4),), {"dim": 1, "indices": (3, 0, 3), "drop": False}),
    Case("pick", ((2, 4),), {"dim": 0, "indices": (1,), "drop": True}),
    Case("place", ((2,),), {"dim": 0, "indices": (1, 2), "size": 4, "drop": False}),
    Case("place", ((2, 3),), {"dim": 1, "indices": (0, 2, 0), "size": 3, "drop": False}),
    Case("place", ((2,),), {"dim": 1, "indices": (2,), "size": 3, "drop": True}),
    Case("place", ((),), {"dim": 0, "indices": (1,), "size": 2, "drop": True}),
    Case("concat", ((2,), (3,)), {"dim": 0}),
    Case("concat", ((2, 2), (2, 1), (2, 2)), {"dim": 1}),
    Case("stack", ((), (), ()), {}),
    Case("reshape", ((2, 3),), {}, result=(3, 2)),
    Case("transpose", ((2, 3, 4),), {"order": (1, 2, 0)}),
    Case("reverse", ((2,),), {}),
)


def axes_of(case: Case) -> Iterator[tuple[frozenset[Axis], ...]]:
    """All axes for one or two operands; for more, a few that differ."""
    count = len(case.dims)
    if count <= 2:
        yield from itertools.product(ALL_AXES, repeat=count)
    else:
        yield from ((STREAM,) * count, (NO_AXES, STREAM, ONCE), (ONCE, TIME_ONLY, NO_AXES))


def dims_of(case: Case) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The dims as stated, and for elementwise operations a scalar in place of one operand."""
    yield case.dims
    if case.op in ELEMENTWISE_NAMES and len(case.dims) > 1:
        for place in range(len(case.dims)):
            yield tuple(() if each == place else dims for each, dims in enumerate(case.dims))


def results_of(case: Case, axes: frozenset[Axis]) -> Iterator[frozenset[Axis]]:
    """The axes that the result may have."""
    yield axes
    if case.keeps:
        yield from (each for each in ALL_AXES if each < axes)


def leaf(builder: Builder, case: Case, place: int, dims: tuple[int, ...], axes: frozenset[Axis]) -> int:
    bound = case.whole[place] if case.whole else None
    kind = Kind.REAL if bound is None else Kind.INDEX
    return builder.add("input", type=Type(kind, dims, axes, bound), name=f"x{place}")


def array_for(value_type: Type, domain: tuple[float, float], random: np.random.Generator) -> Any:
    shape = shape_of(value_type, T, B)
    if value_type.bound is not None:
        return random.integers(0, value_type.bound, size=shape)
    return random.uniform(*domain, size=shape)


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


def builder_type(case: Case, builder: Builder, args: tuple[int, ...], axes: frozenset[Axis]) -> Type:
    """The type that the rule gives, with other axes."""
    full = result_type(case.op, tuple(builder.type(arg) for arg in args), case.attrs, None)
    return full.with_axes(axes)


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
