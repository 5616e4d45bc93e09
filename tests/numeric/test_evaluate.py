"""The interpreter against a slow evaluator without running order, on random graphs; and its leaves, counters, draws."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from seqc.flow.order import faults
from seqc.flow.types import NO_AXES, ONCE, STREAM, Flow, Kind, Type, Way
from seqc.ops.build import Builder
from seqc.ops.evaluate import compile_flow, evaluate
from seqc.ops.op import FlowError
from seqc.ops.verify import verify
from tests.numeric.flows import TIME_ONLY, OnDemand, shape_of

DIMS = (2,)
T, B = 4, 3


def random_flow(seed: int) -> Flow:
    """Some twenty operations over inputs and up to four states of either way; cycles may be illegal."""
    random = np.random.default_rng(seed)
    builder = Builder()
    pool = [
        builder.add("input", type=Type(Kind.REAL, dims, axes), name=f"x{place}")
        for place, (dims, axes) in enumerate(
            [(DIMS, STREAM), ((), STREAM), (DIMS, ONCE), ((), TIME_ONLY), (DIMS, NO_AXES)]
        )
    ]
    weight = builder.add("input", type=Type(Kind.REAL, (2, 2)), name="w")
    states = []
    for place in range(int(random.integers(1, 5))):
        way = Way.FORWARD if random.random() < 0.6 else Way.BACKWARD
        states.append(builder.state(f"s{place}", Type(Kind.REAL, DIMS, STREAM), way))
        pool.append(builder.prev(states[-1]))

    def pick() -> int:
        return pool[int(random.integers(len(pool)))]

    for _ in range(int(random.integers(5, 20))):
        choice = random.random()
        if choice < 0.5:
            op = random.choice(["add", "sub", "mul", "maximum"])
            value = builder.add(str(op), pick(), pick())
        elif choice < 0.7:
            value = builder.add(str(random.choice(["tanh", "sin", "sigmoid", "neg"])), pick())
        elif choice < 0.8:
            value = builder.final(states[int(random.integers(len(states)))])
        elif choice < 0.85:
            value = builder.reverse(pick())
        elif choice < 0.9:
            value = builder.reduce("sum", pick(), (), (NO_AXES, ONCE, STREAM)[int(random.integers(3))])
        else:
            source = pick()
            if not builder.type(source).dims:
                continue
            value = builder.contract("ab,b->a", weight, source)
        pool.append(value)
    wide = [v for v in pool if builder.type(v).axes <= STREAM]
    for state in states:
        starts = [v for v in wide if builder.type(v).axes <= ONCE]
        init = starts[int(random.integers(len(starts)))]
        builder.define(state, init, wide[int(random.integers(len(wide)))])
    return builder.finish({str(index): index for index in pool})


def leaves_of(flow: Flow, seed: int, steps: int = T, batch: int = B) -> dict[tuple[str, str], Any]:
    random = np.random.default_rng(seed)
    return {
        ("input", str(value.attr("name"))): random.normal(size=shape_of(value.type, steps, batch)) * 0.5
        for value in flow.values
        if value.op == "input"
    }


@pytest.mark.parametrize("first", range(0, 300, 30))
def test_running_order_agrees_with_evaluation_on_demand(first: int) -> None:
    checked = 0
    for seed in range(first, first + 30):
        try:
            flow = random_flow(seed)
        except FlowError:
            continue
        if faults(flow):
            continue
        verify(flow)
        leaves = leaves_of(flow, seed)
        found = evaluate(flow, leaves, T, B)
        slow = OnDemand(flow, leaves, T, B)
        for name, index in flow.roots.items():
            assert found[name].shape == shape_of(flow.values[index].type, T, B)
            np.testing.assert_allclose(found[name], slow.whole(index), rtol=1e-11, atol=1e-11)
        checked += 1
    assert checked >= 8


def counter_flow() -> Flow:
    builder = Builder()
    stream = Type(Kind.INT, (), STREAM)
    roots = {
        "step": builder.add("step", type=stream),
        "instant": builder.add("instant", type=Type(Kind.INT, (), TIME_ONLY)),
        "started": builder.add("started", type=Type(Kind.INT, (), ONCE)),
        "steps": builder.add("steps", type=Type(Kind.INT)),
        "rows": builder.add("rows", type=Type(Kind.INT)),
        "updates": builder.add("step", type=Type(Kind.INT)),
        "training": builder.add("training", type=Type(Kind.BOOL)),
        "fresh": builder.add("fresh", type=Type(Kind.BOOL, (), ONCE), state_name="h"),
        "carried": builder.add("carried", type=Type(Kind.REAL, (2,), ONCE), state_name="h"),
    }
    return builder.finish(roots)


def test_counters_and_leaves_left_out() -> None:
    result = evaluate(counter_flow(), {("step", ""): 7}, 2, 3, started=[0, 5, 9])
    assert result["step"].tolist() == [[0, 5, 9], [1, 6, 10]]
    assert result["instant"].tolist() == [0, 1]
    assert result["started"].tolist() == [0, 5, 9]
    assert (int(result["steps"]), int(result["rows"]), int(result["updates"])) == (2, 3, 7)
    assert not result["training"] and result["fresh"].all() and not result["carried"].any()
    assert all(isinstance(each, np.ndarray) for each in result.values())


def draws(steps: int, batch: int, **counters: Any) -> dict[str, Any]:
    """One draw of each placing: every step, every row, once for all."""
    builder = Builder()
    roots = {
        name: builder.add("draw", type=Type(Kind.REAL, dims, axes), site=site)
        for site, (name, dims, axes) in enumerate(
            (("stream", (5,), STREAM), ("row", (2,), ONCE), ("all", (), NO_AXES))
        )
    }
    return evaluate(builder.finish(roots), {}, steps, batch, **counters)


def test_draws_depend_on_seed_call_site_step_row_and_element_alone() -> None:
    whole = draws(6, 4, seed=3, call=2)
    assert ((whole["stream"] >= 0) & (whole["stream"] < 1)).all()
    assert len(np.unique(whole["stream"])) > 110
    later = draws(2, 1, seed=3, call=2, started=[4], first_row=2)
    np.testing.assert_array_equal(later["stream"], whole["stream"][4:6, 2:3])
    np.testing.assert_array_equal(draws(1, 1, seed=3, call=2, first_row=3)["row"], whole["row"][3:])
    assert draws(1, 9, seed=3, call=2)["all"] == whole["all"]
    single = draws(6, 4, seed=3, call=2, dtype=np.float32)["stream"]
    np.testing.assert_array_equal(single, whole["stream"])
    for other in ({"seed": 4, "call": 2}, {"seed": 3, "call": 1}):
        assert (draws(6, 4, **other)["stream"] != whole["stream"]).mean() > 0.99


def test_a_missing_or_misshapen_leaf_is_named() -> None:
    builder = Builder()
    flow = builder.finish({"y": builder.add("input", type=Type(Kind.REAL, (2,), STREAM), name="x")})
    with pytest.raises(FlowError, match="input x is missing"):
        evaluate(flow, {})
    with pytest.raises(FlowError, match="shape"):
        evaluate(flow, {("input", "x"): np.zeros((1, 1, 3))})


def test_numbers_of_a_call_are_double_and_arrays_single() -> None:
    builder = Builder()
    rate = builder.add("hyper", type=Type(Kind.REAL), name="beta")
    updates = builder.cast(builder.add("step", type=Type(Kind.INT)), Kind.REAL)
    correction = builder.sub(1.0, builder.pow(rate, updates))
    w = builder.add("input", type=Type(Kind.REAL, (2,)), name="w")
    flow = builder.finish({"y": builder.div(w, correction), "c": correction})
    leaves = {("hyper", "beta"): 0.9999, ("step", ""): 1, ("input", "w"): np.ones(2)}
    result = evaluate(flow, leaves, dtype=np.float32)
    exact = 1 / (1 - 0.9999)
    assert result["y"].dtype == np.float32 and result["c"].dtype == np.float32
    np.testing.assert_allclose(result["y"], np.float32(exact), rtol=1.5e-7)


def test_single_precision_runs_single_throughout_a_loop() -> None:
    builder = Builder()
    state = builder.state("h", Type(Kind.REAL, DIMS, STREAM))
    scale = builder.add("hyper", type=Type(Kind.REAL), name="scale")
    x = builder.add("input", type=Type(Kind.REAL, DIMS, STREAM), name="x")
    h = builder.tanh(builder.plus(builder.mul(builder.prev(state), scale), x))
    builder.define(state, builder.const(0.0), h)
    flow = builder.finish({"h": h})
    x32 = leaves_of(flow, 0)["input", "x"].astype(np.float32)
    found = evaluate(flow, {("input", "x"): x32, ("hyper", "scale"): 0.3}, T, B, np.float32)["h"]
    now = np.zeros((B, 2), np.float32)
    for t in range(T):
        now = np.tanh(now * np.float32(0.3) + x32[t])
        np.testing.assert_array_equal(found[t], now)
    assert found.dtype == np.float32


def test_no_warning_leaks_and_results_share_nothing() -> None:
    builder = Builder()
    x = builder.add("input", type=Type(Kind.REAL, (2,)), name="x")
    flow = builder.finish(
        {"y": builder.log(x), "x": x, "wide": builder.broadcast(x, Type(Kind.REAL, (2,), ONCE))}
    )
    array = np.array([0.0, -1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(flow, {("input", "x"): array}, B=2)
    assert result["y"][0] == -np.inf and np.isnan(result["y"][1])
    result["x"][0] = result["wide"][0, 0] = 5.0
    assert array[0] == 0.0 and result["wide"][1, 0] == 0.0


def test_only_the_roots_asked_for_are_computed() -> None:
    builder = Builder()
    flow = builder.finish(
        {
            "a": builder.const(2.0),
            "b": builder.add("input", type=Type(Kind.REAL), name="absent"),
        }
    )
    assert evaluate(flow, {}, roots=["a"]) == {"a": 2.0}
    assert compile_flow(flow) is compile_flow(flow)
