"""What small programs mean: each is lowered and run by the interpreter, and compared with numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.passes import flow_for
from tests.helpers import program

T, B = 5, 3


def ran(model: Program, **leaves: Any) -> dict[str, Any]:
    """Outputs and metrics of a model on inputs, parameters and hypers given by name."""
    kinds = {"input": [each.name for each in model.inputs]}
    kinds["param"] = [each.name for each in model.parameters]
    kinds["hyper"] = [each.name for each in model.hypers]
    found: dict[tuple[str, str], Any] = {("hyper", each.name): each.value for each in model.hypers}
    for name, array in leaves.items():
        kind = next(kind for kind, names in kinds.items() if name in names)
        found[kind, name] = np.asarray(array)
    results: dict[str, Any] = {}
    for entry in ("infer", "evaluate"):
        flow = flow_for(model, entry)
        results |= {name.split(".", 1)[-1]: array for name, array in evaluate(flow, found, T, B).items()}
    return results


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(T, B, *shape))


def one(body: str, x: Any, **leaves: Any) -> Any:
    """The output or metric `y` of a model with the input `x`."""
    return ran(program("model M {\n  input x: real\n" + body + "\n}"), x=x, **leaves)["y"]


def test_a_state_that_adds_up_is_a_running_sum() -> None:
    x = numbers()
    found = one("state s = 0  s = prev s + x  output y = s", x)
    np.testing.assert_allclose(found, np.cumsum(x, axis=0))


def test_prev_reads_the_first_value_and_then_one_step_ago() -> None:
    x = numbers()
    found = one("state d = 7.0  d = x  output y = prev d", x)
    np.testing.assert_allclose(found, np.concatenate([np.full((1, B), 7.0), x[:-1]]))


def test_a_mask_selects_and_a_weight_weighs() -> None:
    x = numbers()
    found = one("metric y = mean(x over time, batch where x > 0.3)  output x", x)
    np.testing.assert_allclose(found, x[x > 0.3].mean())
    found = one("metric y = mean(x over time, batch where x ^ 2)  output x", x)
    np.testing.assert_allclose(found, (x * x**2).sum() / (x**2).sum())


@pytest.mark.parametrize("how", ["sum", "mean", "max", "min", "norm"])
def test_a_reducer_over_nothing_gives_zero(how: str) -> None:
    assert one(f"metric y = {how}(x over time, batch where x > 1000)  output x", numbers()) == 0


def test_means_of_means_differ_from_the_mean_of_all() -> None:
    x = numbers()
    found = one("metric y = mean(mean(x over time where x > 0) over batch)  output x", x)
    expected = np.mean([row[row > 0].mean() if (row > 0).any() else 0.0 for row in x.T])
    np.testing.assert_allclose(found, expected)


def test_last_is_the_last_step_or_the_last_selected_one() -> None:
    x = numbers()
    np.testing.assert_allclose(one("metric y = sum(last(x over time) over batch)  output x", x), x[-1].sum())
    found = one("metric y = sum(last(x over time where step < 2) over batch)  output x", x)
    np.testing.assert_allclose(found, x[1].sum())


def test_a_sum_over_an_axis_that_a_value_lacks_repeats_it() -> None:
    assert one("metric y = sum(2.0 over time, batch)  output x", numbers()) == 2.0 * T * B


def test_what_is_repeated_over_time_is_repeated_as_often_as_the_row_has_steps() -> None:
    text = "model M { input x: real  input n: length  output x  output y = sum(2.0 over time) }"
    n = np.array([5, 2, 0])
    np.testing.assert_allclose(ran(program(text), x=numbers(), n=n)["y"], 2.0 * n)


def test_step_counts_from_zero_and_steps_counts_all() -> None:
    found = one("output y = real(step) / steps", numbers())
    np.testing.assert_allclose(found[:, 0], np.arange(T) / T)


def test_functions_of_scalars_are_lifted_and_functions_of_vectors_see_the_whole() -> None:
    x = numbers(4)
    text = """
    fn cube(v: real, by: real) = by * v ^ 3
    model M { input x: real[4]  output y = cube(x, 2.0)  output z = softmax(x)  output w = x |> tanh }
    """
    found = ran(program(text), x=x)
    np.testing.assert_allclose(found["y"], 2.0 * x**3)
    np.testing.assert_allclose(found["z"], np.exp(x) / np.exp(x).sum(-1, keepdims=True))
    np.testing.assert_allclose(found["w"], np.tanh(x))


def test_vectors_are_picked_sliced_joined_and_unpacked() -> None:
    x = numbers(4)
    text = """
    model M {
      input x: real[4]
      a, b, c, d = x
      output p = [d, a]
      output q = x[[3, 0]]
      output r = concat(x[1:3], [b])
      output s = [x, 2 * x][1, 2:]
      output t = last(x) + mean(x) + norm(x)
    }
    """
    found = ran(program(text), x=x)
    np.testing.assert_allclose(found["p"], x[..., [3, 0]])
    np.testing.assert_allclose(found["q"], x[..., [3, 0]])
    np.testing.assert_allclose(found["r"], x[..., [1, 2, 1]])
    np.testing.assert_allclose(found["s"], 2 * x[..., 2:])
    np.testing.assert_allclose(found["t"], x[..., 3] + x.mean(-1) + np.sqrt((x**2).sum(-1)))


def test_several_results_are_taken_apart_by_as_many_names() -> None:
    x = numbers()
    text = """
    fn split(v: real) -> whole: real, rest: real {
      whole = floor(v)
      rest  = v - whole
    }
    model M { input x: real  a, b = split(x)  output y = 10 * a + b }
    """
    np.testing.assert_allclose(ran(program(text), x=x)["y"], 10 * np.floor(x) + (x - np.floor(x)))


def test_whole_numbers_divide_downwards() -> None:
    k = np.arange(T * B).reshape(T, B) - 7
    text = "model M { input k: int  output y = div(k, 3)  output z = mod(k, 3)  output w = k / 2 }"
    found = ran(program(text), k=k)
    np.testing.assert_array_equal(found["y"], k // 3)
    np.testing.assert_array_equal(found["z"], k % 3)
    np.testing.assert_allclose(found["w"], k / 2)


def test_delay_gives_the_input_of_n_steps_ago() -> None:
    x = numbers(2)
    text = "use std.cells: Delay\nmodel M { input x: real[2]  output y = x |> Delay(3) }"
    found = ran(program(text), x=x)["y"]
    np.testing.assert_allclose(found, np.concatenate([np.zeros((3, B, 2)), x[:-3]]))


def test_a_cell_of_the_library_computes_its_equations() -> None:
    x = numbers(2)
    model = program("use std.cells: RNN\nmodel M { input x: real[2]  output y = x |> RNN(3) }")
    rng = np.random.default_rng(1)
    weights = {each.name: rng.normal(size=each.type.dims) for each in model.parameters}
    h, expected = np.repeat(weights["y.rnn.h0"][None], B, axis=0), []
    for now in x:
        h = np.tanh(now @ weights["y.rnn.g.W"].T + h @ weights["y.rnn.g.U"].T + weights["y.rnn.g.b"])
        expected.append(h)
    np.testing.assert_allclose(ran(model, x=x, **weights)["y"], expected)


def test_untaken_padding_does_not_count() -> None:
    x, n = numbers(), np.array([5, 2, 0])
    text = "model M { input x: real  input n: length  output x  metric y = mean(x over time, batch) }"
    x[2:, 1] = np.nan
    x[:, 2] = np.nan
    found = ran(program(text), x=x, n=n)["y"]
    np.testing.assert_allclose(found, np.concatenate([x[:, 0], x[:2, 1]]).mean())
