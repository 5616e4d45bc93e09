"""Functions applied along sizes in front of what their ports declare: as if they were called element by element."""

from __future__ import annotations

import re

import numpy as np
import pytest

from seqc.ops.evaluate import evaluate
from seqc.passes import flow_for
from seqc.source.diagnostic import SeqError
from tests.helpers import program
from tests.numeric.gradient_check import check_gradients, check_passes

T, B = 4, 2
INPUTS = {
    "X": "real[3, 4]",
    "Y": "real[3, 4]",
    "S": "real[3, 4, 5]",
    "R": "real[2, 3, 4]",
    "c": "real[3]",
    "x": "real[4]",
    "s": "real",
    "k": "index(4)",
}

CALLS = {
    "softmax": ("", "softmax(X*)"),
    "logsumexp": ("", "logsumexp(X*)"),
    "log_softmax": ("", "log_softmax(X*)"),
    "sum": ("fn f(v: real[K]) = sum(v)", "f(X*)"),
    "mean": ("fn f(v: real[K]) = mean(v)", "f(X*)"),
    "norm": ("fn f(v: real[K]) = v / (1 + norm(v))", "f(X*)"),
    "shared": ("fn f(v: real[K], w: real[K]) = v * w - w", "f(X*, x)"),
    "shared in front": ("fn f(w: real[K], v: real[K]) = outer(w, v)", "f(x, X*)"),
    "scalars": ("fn f(v: real[K], b: real) = b * v + b", "f(X*, c*)"),
    "one scalar": ("fn f(v: real[K], b: real) = b * v + b", "f(X*, s)"),
    "product": ("fn f(A: real[N, K], v: real[N]) = v @ A", "f(S*, X*)"),
    "both products": ("fn f(A: real[N, K], v: real[N]) = A @ (v @ A)", "f(S*, X*)"),
    "weights": ("fn f(A: real[N, K], v: real[K]) = A @ v", "f(W, X*)"),
    "outer": ("fn f(v: real[K], w: real[K]) = outer(v, w) + outer(w, w)", "f(X*, Y*)"),
    "transpose": ("fn f(A: real[N, K]) = transpose(A) + 0.5", "f(S*)"),
    "rank": ("fn f(A: real[N, K]) = [A[0], A[2], A[1]]", "f(S*)"),
    "picks": ("fn f(v: real[K]) = [v[1], v[0] * v[3], 2.0, sum(v)]", "f(X*)"),
    "slices": ("fn f(v: real[K]) = concat(v[1:4], [v[0]], [7.0, 8.0])", "f(X*)"),
    "joined": ("fn f(A: real[N, K]) = concat(A)", "f(S*)"),
    "chosen": ("fn f(v: real[K]) = if v > mean(v) then v else max(v)", "f(X*)"),
    "chosen by one": ("fn f(v: real[K]) = if sum(v) > 0 then v else -v", "f(X*)"),
    "by a shared question": ("fn f(v: real[K], w: real[K]) = if w > 0 then v else 0", "f(X*, x)"),
    "counted": ("fn f(v: real[K]) = v * real(int(floor(sum(v))))", "f(X*)"),
    "looked up": ("fn f(v: real[K], k: index(K)) = v[k]", "f(X*, k)"),
    "turned round": ("fn f(v: real[K]) = reverse(v) * v", "f(X*)"),
    "over time": ("fn f(v: real[K]) = v - mean(v over time)", "f(X*)"),
    "nothing read": ("fn f(v: real[K]) -> y: real[2] { y = [1.0, 2.0] }", "f(X*)"),
    "twice": ("fn g(v: real[K]) = v / sum(v ^ 2)\nfn f(A: real[N, K]) = sum(g(A)) * A", "f(S*)"),
    "two sizes in front": ("fn f(v: real[K], w: real[K]) = softmax(v) * w", "f(R*, x)"),
}
"""Functions, and a call of the last one; a star follows what it is applied along."""


def model(functions: str, call: str) -> str:
    """A model with the call beside the call of each element."""
    names = re.findall(r"\b[A-Za-z]\b", call.split("(")[1])
    count = 2 if "R*" in call else 3
    rows = ", ".join(call.replace("*", f"[{place}]") for place in range(count))
    inputs = "\n".join(f"  input {name}: {INPUTS[name]}" for name in names if name in INPUTS)
    weights = "  param W: real[6, 4] = normal(1.0)\n" if "W" in names else ""
    return f"""{functions}
model M {{
{inputs}
{weights}  y = {call.replace("*", "")}
  rows = [{rows}]
  output y
  output rows
  loss = mean(sum(sin(y)) over time, batch)
}}
"""


@pytest.mark.parametrize("name", list(CALLS))
def test_a_function_is_applied_to_each(name: str) -> None:
    tested = program(model(*CALLS[name]))
    rng = np.random.default_rng(3)
    leaves = {}
    for each in tested.inputs:
        shape = (T, B, *each.type.dims)
        real = each.type.kind.is_real
        leaves["input", each.name] = rng.normal(size=shape) if real else rng.integers(0, 4, shape)
    for weight in tested.parameters:
        leaves["param", weight.name] = rng.normal(size=weight.type.dims)
    found = evaluate(flow_for(tested, "infer"), leaves, T, B)
    np.testing.assert_allclose(found["output.y"], found["output.rows"], rtol=1e-13, atol=1e-13)
    check_passes(tested, "gradients")
    if name not in ("nothing read", "counted"):
        assert check_gradients(tested, seed=3, elements=1, steps=3) > 0


REFUSED = {
    "argmax": ("fn f(v: real[K]) = v[argmax(v)]", "f(X)", "S0313"),
    "looked up for each": ("fn f(v: real[K], k: index(4)) = v[k]", "f(X, [k, k, k])", "S0313"),
    "last": ("fn f(v: real[K]) = last(v over time)", "f(X)", "S0313"),
    "unequal": ("fn f(v: real[K], w: real[K]) = v + w", "f(X, R)", "S0304"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_sees_one_vector_alone_is_refused(name: str) -> None:
    functions, call, code = REFUSED[name]
    inputs = "\n".join(f"  input {each}: {type}" for each, type in INPUTS.items())
    with pytest.raises(SeqError) as caught:
        program(f"{functions}\nmodel M {{\n{inputs}\n  y = {call}\n  output y\n}}\n")
    assert [each.code for each in caught.value.diagnostics] == [code]


def test_what_is_drawn_is_drawn_for_each() -> None:
    tested = program(
        "fn noisy(v: real[K]) = v + normal(1.0, [K])\n"
        "model M {\n  input X: real[3, 4]\n  output y = noisy(X)\n}\n"
    )
    found = evaluate(flow_for(tested, "infer"), {("input", "X"): np.zeros((T, B, 3, 4))}, T, B)
    assert np.unique(found["output.y"]).size == T * B * 12
