"""Passes on models made by hand: what a Flow means before and after each, gradients, entry points, structure."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from seqc.flow.order import order
from seqc.flow.types import Axis, Flow, Kind, Type, Way
from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.ops.verify import verify
from seqc.passes import Wanted, flow_for
from seqc.passes.differentiate import differentiate
from seqc.passes.update import apply_flow, initial_optimizer
from tests.numeric.gradient_check import STEPS, check_gradients, check_passes, leaves_for, started
from tests.numeric.hand_models import MODELS, Maker, gru, sgd_rule, stacked, trainable

NAMES = sorted(MODELS)
STREAMING = ("closed_loop", "feedback", "gru", "mixed", "ragged", "stacked")
WHOLE = ("infer", "evaluate", "gradients", "update")


@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_differences(name: str) -> None:
    assert check_gradients(MODELS[name](), seed=3) > 0


def options(rows: int = 3) -> dict[str, object]:
    return {"T": STEPS, "B": rows, "seed": 7, "call": 1, "started": started(rows)}


@pytest.mark.parametrize("entry", WHOLE)
@pytest.mark.parametrize("name", NAMES)
def test_passes_keep_the_meaning(name: str, entry: str) -> None:
    check_passes(MODELS[name](), entry)


@pytest.mark.parametrize("name", STREAMING)
def test_steps_give_what_the_sequence_gives(name: str) -> None:
    """A causal model, step by step with carried states, against `infer`."""
    program = MODELS[name]()
    leaves = {key: value for key, value in leaves_for(program).items() if key != ("input", "n")}
    leaves["input", "n"] = np.full(3, STEPS)
    whole = evaluate(flow_for(program, "infer"), leaves, **options())
    flow = flow_for(program, "step")
    assert all(Axis.TIME not in value.type.axes for value in flow.values) and not flow.states
    now = dict(leaves)
    found = {}
    for step in range(STEPS):
        for each in program.inputs:
            if Axis.TIME in each.type.axes:
                now["input", each.name] = leaves["input", each.name][step]
        found = evaluate(flow, now, T=1, B=3, seed=7, call=1, started=started() + step)
        for root, array in found.items():
            if root.startswith("state."):
                now["carried", root.removeprefix("state.")] = array
                now["fresh", root.removeprefix("state.")] = np.zeros(3, bool)
            else:
                np.testing.assert_allclose(array, whole[root][step], rtol=1e-12)
    for root in found:
        np.testing.assert_allclose(found[root], whole[root] if root.startswith("state.") else whole[root][-1])


@pytest.mark.parametrize("name", ["ragged", "both_ways"])
def test_a_ragged_row_gives_what_it_gives_alone(name: str) -> None:
    """Output, states and gradients of rows of a batch, with NaN in the padding."""
    program = MODELS[name]()
    leaves = leaves_for(program)
    lengths = leaves["input", "n"]
    for row, length in enumerate(lengths):
        leaves["input", "x"][length:, row] = np.nan
        leaves["input", "tag"][length:, row] = -99
    together = evaluate(flow_for(program, "infer"), leaves, **options())
    for row, length in enumerate(lengths):
        alone = {
            key: value[:, row : row + 1][:length] if key[0] == "input" and np.ndim(value) > 1 else value
            for key, value in leaves.items()
        }
        for key in leaves:
            if key[0] in ("carried", "fresh") or key in (("input", "n"), ("input", "first")):
                alone[key] = leaves[key][row : row + 1]
        single = evaluate(
            flow_for(program, "infer"),
            alone,
            T=int(length),
            B=1,
            seed=7,
            call=1,
            started=started()[row : row + 1],
        )
        for root, array in single.items():
            if root.startswith("output."):
                np.testing.assert_allclose(together[root][:length, row], array[:, 0], rtol=1e-12)
                assert not np.any(together[root][length:, row])
            else:
                np.testing.assert_allclose(together[root][row], array[0], rtol=1e-12)
    found = evaluate(flow_for(program, "gradients"), leaves, **options())
    assert all(np.all(np.isfinite(array)) for array in found.values())


def test_a_row_of_length_zero_adds_nothing() -> None:
    program = MODELS["ragged"]()
    leaves = leaves_for(program)
    leaves["input", "n"] = np.array([STEPS, 0, 0])
    found = evaluate(flow_for(program, "gradients"), leaves, **options())
    assert not np.any(found["grad.input.x"][:, 1:])
    assert np.all(np.isfinite(found["loss"]))
    leaves["input", "n"] = np.zeros(3, int)
    found = evaluate(flow_for(program, "evaluate"), leaves, **options())
    assert found["loss"] == 0 and found["metric.top"] == 0 and found["metric.low"] == 0


def parameter_gradients(program: Program) -> Flow:
    """What `update` would run if all parameters had rules."""
    parameters = {each.name: each.type for each in program.parameters}
    return flow_for(program, "gradients", gradients_of=Wanted(parameters, {}, {}, {}))


def products(flow: Flow) -> tuple[list[tuple[Way | None, int, int]], int]:
    """For each scan its way, products and states; and how many products without axes lie outside."""
    scans, outside = [], 0
    for block in order(flow):
        ops = [flow.values[index] for index in block.values if flow.values[index].op == "contract"]
        if block.cyclic:
            scans.append((block.way, len(ops), len(block.states)))
        else:
            outside += sum(1 for value in ops if not value.type.axes and value.type.dims)
    return scans, outside


def test_two_stacked_lstms_have_four_scans_of_four_products() -> None:
    """Input projections lie before the loops, all 17 weight gradients after them; those with the table, 4 each way,
    are products with all its rows."""
    flow = parameter_gradients(stacked())
    scans, outside = products(flow)
    assert [(way, count) for way, count, _ in scans] == [(Way.FORWARD, 4)] * 2 + [(Way.BACKWARD, 4)] * 2
    weights = sum(1 for each in stacked().parameters if len(each.type.dims) == 2 and each.name != "table")
    assert (outside, weights) == (17 + 4 + 4, 17)
    adds = Counter(flow.values[index].op for block in order(flow) if block.cyclic for index in block.values)
    assert adds["add"] == 2 * (4 + 1) + 2 * (3 + 2), adds


def test_the_closed_loop_is_one_cycle() -> None:
    flow = parameter_gradients(MODELS["closed_loop"]())
    scans, outside = products(flow)
    assert [(way, count) for way, count, _ in scans] == [(Way.FORWARD, 9), (Way.BACKWARD, 9)]
    assert outside == 9


def test_generate_holds_rows_that_have_stopped_and_feeds_back() -> None:
    program = MODELS["feedback"]()
    flow = flow_for(program, "generate")
    verify(flow)
    assert list(flow.roots)[:2] == ["output.said", "until"]
    leaves = leaves_for(program)
    carried = {key: value for key, value in leaves.items() if key[0] == "carried"}
    one_step = {**leaves, ("input", "text"): leaves["input", "text"][0]}
    one_step.update({("fresh", key[1]): np.zeros(3, bool) for key in carried})
    one_step["active", ""] = np.array([True, False, True])
    found = evaluate(flow, one_step, B=3)
    for (_, name), array in carried.items():
        np.testing.assert_array_equal(found[f"state.{name}"][1], array[1])
        if name != "said":
            assert np.all(found[f"state.{name}"][0] != array[0])
    fed = evaluate(flow, {**one_step, ("given", "text"): False}, B=3)
    given = {**one_step, ("input", "text"): leaves["carried", "said"]}
    np.testing.assert_array_equal(fed["state.one.h"], evaluate(flow, given, B=3)["state.one.h"])


def applied(program: Program, gradients: dict[str, np.ndarray], clip: float) -> dict[str, np.ndarray]:
    """One application of the rules to weights of one and optimizer states of two."""
    flow = flow_for(program, "apply")
    verify(flow)
    leaves: dict[tuple[str, str], object] = {
        ("hyper", "SGD.lr"): 0.1,
        ("hyper", "clip"): clip,
        ("step", ""): 3,
    }
    for name, gradient in gradients.items():
        leaves["input", f"g.{name}"] = gradient
        leaves["input", f"w.{name}"] = np.ones_like(gradient)
        leaves["input", f"o.{name}.m"] = 2 * np.ones_like(gradient)
    return evaluate(flow, leaves)


@pytest.mark.parametrize("how", [None, "norm", "norm_each", "value"])
def test_the_update_clips_and_applies_the_rule(how: str | None) -> None:
    program = trainable(how)
    rng = np.random.default_rng(0)
    names = [each for each in program.parameters if each.name != "g.bU"]
    gradients = {each.name: rng.normal(size=each.type.dims) for each in names}
    found = applied(program, gradients, 0.5)
    assert next(iter(found)) == "finite" and found["finite"]
    assert "w.g.bU" not in found
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients.values()))
    for name, gradient in gradients.items():
        own = np.sqrt(np.sum(gradient**2))
        clipped = {
            None: gradient,
            "norm": gradient * min(1, 0.5 / (norm + 1e-6)),
            "norm_each": gradient * min(1, 0.5 / (own + 1e-6)),
            "value": np.clip(gradient, -0.5, 0.5),
        }[how]
        momentum = 0.9 * 2 + clipped
        np.testing.assert_allclose(found[f"o.{name}.m"], momentum, rtol=1e-12)
        np.testing.assert_allclose(found[f"w.{name}"], 1 - 0.1 / 4 * momentum, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_noticed(bad: float) -> None:
    program = trainable()
    gradients = {each.name: np.zeros(each.type.dims) for each in program.parameters}
    gradients["out.W"][1, 2] = bad
    assert not applied(program, gradients, 1.0)["finite"]


def test_optimizer_states_start_as_their_rule_says() -> None:
    flow = initial_optimizer(trainable())
    found = evaluate(flow, {})
    assert "o.out.W.m" in found and not np.any(found["o.out.W.m"])
    assert [f"w.{name[2:-2]}" for name in found] == list(apply_flow(trainable()).roots)[1::2]


def test_training_lowers_the_loss() -> None:
    program = trainable()
    leaves = leaves_for(program)
    flow, apply = flow_for(program, "update"), flow_for(program, "apply")
    optimizer = evaluate(initial_optimizer(program), {})
    losses = []
    for update in range(60):
        found = evaluate(flow, leaves, **options())
        losses.append(float(found["loss"]))
        state = {("input", root): array for root, array in optimizer.items()}
        state |= {
            ("input", f"g.{root[5:]}"): array for root, array in found.items() if root.startswith("grad.")
        }
        state |= {("input", f"w.{key[1]}"): array for key, array in leaves.items() if key[0] == "param"}
        state |= {key: value for key, value in leaves.items() if key[0] == "hyper"}
        after = evaluate(apply, {**state, ("step", ""): update, ("hyper", "SGD.lr"): 0.3 * (update + 1)})
        for root, array in after.items():
            if root.startswith("w."):
                leaves["param", root[2:]] = array
            elif root.startswith("o."):
                optimizer[root] = array
    assert losses[-1] < 0.5 * losses[0]


def test_what_no_gradient_reaches_gets_zeros() -> None:
    program = gru()
    flow = flow_for(program, "gradients", after="specialise")
    found = differentiate(flow, {"nowhere": Type(Kind.REAL, (2,))}, {}, {}, {})
    leaves = leaves_for(program)
    np.testing.assert_array_equal(evaluate(found, leaves, **options())["grad.nowhere"], np.zeros(2))


def test_stop_and_clipped_change_the_gradient_alone() -> None:
    m = Maker()
    x, w = m.input("x", 2), m.param("w", 2)
    y = m.b.mul(x, w)
    bound = m.b.const(0.01)
    m.roots["loss"] = m.b.reduce(
        "sum", m.b.plus(m.b.mul(m.b.add("stop", y), y), m.b.add("clipped", y, bound)), axes=frozenset()
    )
    program = m.program()
    leaves = leaves_for(program)
    found = evaluate(flow_for(program, "gradients"), leaves, **options())
    values = leaves["input", "x"]
    expected = np.sum(values * (values * leaves["param", "w"] + 0.01), axis=(0, 1))
    np.testing.assert_allclose(found["grad.w"], expected, rtol=1e-12)


def test_large_graphs_pass_in_time() -> None:
    """A chain of thousands of values, without recursion."""
    m = Maker()
    x = m.input("x", 2)
    w = m.param("w", 2)
    for _ in range(3000):
        x = m.b.plus(m.b.mul(x, w), 0.5)
    m.squared_loss(x)
    verify(flow_for(m.program(), "update"))


def test_rules_exist_for_single_parameters() -> None:
    verify(sgd_rule(Type(Kind.REAL, (2,))).flow)
