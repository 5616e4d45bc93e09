"""What programs are made of after lowering: names, parameters, overrides, rules and records."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.flow.types import Axis, Kind
from seqc.ops.verify import verify
from seqc.source.diagnostic import SeqError
from tests.helpers import EXAMPLES, example, program, programs

CELLS = "use std.cells: Both, Dense, Dropout, Embedding, Gate, GatedInput, GRU, HeldDropout, LSTM, Residual, RNN\n"
OPTIM = "use std.optim: Adam, SGD\n"


def starts(model_text: str) -> dict[str, object]:
    """The initialisers of a model's parameters by name."""
    return {each.name: each.init for each in program(CELLS + model_text).parameters}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.seq")), ids=lambda path: path.stem)
def test_examples_obey_the_laws_of_flow(path: Path) -> None:
    model = example(path.stem)
    verify(model.flow)
    for rule in model.rules.values():
        verify(rule.flow)
    assert set(model.rules) == {each.name for each in model.parameters}


def test_anonymous_layers_are_named_after_equation_and_cell() -> None:
    found = starts("model M { input x: real[2]  y = x |> Dense(3) |> RNN(4) |> Dense(5)  output y }")
    assert [name for name in found if name.endswith("W")] == ["y.dense1.W", "y.rnn.g.W", "y.dense2.W"]


def test_a_layer_bound_to_a_cell_value_is_that_instance() -> None:
    found = starts("model M { input x: real[2]  y = x |> Residual(Residual(Dense(2)))  output y }")
    assert list(found) == ["y.residual.inner.inner.W", "y.residual.inner.inner.b"]


def test_the_outermost_override_wins() -> None:
    text = """
    cell Mine(H)(x: real[D]) -> y: real[H] { y = x |> RNN(H, g.b = ones, h0 = 3) }
    cell Yours(H)(x: real[D]) -> y: real[H] { layer net = RNN(H, g.b = ones)  y = net(x) }
    model M { input x: real[2]  y = x |> Mine(4)  z = x |> Yours(4, net.g.b = 2)  output y  output z }
    """
    found = starts(text)
    assert found["y.mine.y.rnn.g.b"] == ("ones",)
    assert found["y.mine.y.rnn.h0"] == ("constant", 3.0)
    assert found["z.yours.net.g.b"] == ("constant", 2.0)


def test_a_cell_value_carries_its_overrides_through_other_cells() -> None:
    found = starts("model M { input x: real[2]  y = x |> Both(LSTM(3, f.b = 1.5))  output y }")
    assert found["y.both.ahead.f.b"] == found["y.both.back.f.b"] == ("constant", 1.5)


def test_an_initialiser_may_be_a_sum_and_a_product() -> None:
    found = starts(
        "model M { input x: real[2]  y = x |> Dense(3, W = 0.5 * glorot, b = -normal(0.1))  output y }"
    )
    assert found["y.dense.W"] == ("mul", ("constant", 0.5), ("glorot",))
    assert found["y.dense.b"] == ("neg", ("normal", 0.0, 0.1))


def test_a_parameter_replaced_by_a_value_does_not_exist() -> None:
    text = """
    model M {
      input k: index(7)
      input start: real[3] once
      layer emb = Embedding(3)
      h = k |> emb |> RNN(3, h0 = start)
      y = h |> Dense(7, W = emb.table, b = 0)
      output y
    }
    """
    found = starts(text)
    assert "y.dense.W" not in found and "h.rnn.h0" not in found
    assert found["y.dense.b"] == ("constant", 0.0)


def test_a_parameter_that_nothing_reads_does_not_exist() -> None:
    assert list(starts("model M { input x: real[2]  param w, v: real[2] = zeros  output y = w * x }")) == [
        "w"
    ]


def test_a_layer_used_twice_shares_its_parameters() -> None:
    found = starts("model M { input x: real[2]  layer net = Dense(2)  output y = net(net(x)) }")
    assert list(found) == ["net.W", "net.b"]


def test_parts_of_a_layer_are_read_now_and_one_step_ago() -> None:
    text = """
    model M {
      input x: real[3]
      layer top = LSTM(4)
      layer look = GatedInput()
      y = top(look(x, prev top.h))
      output y
      metric m = mean(sum(look.gate.y) + sum(top.c) over time, batch) + sum(top.f.W ^ 2)
    }
    """
    model = program(CELLS + text)
    assert [state.name for state in model.flow.states] == ["top.h", "top.c"]
    assert "look.gate.U" in [each.name for each in model.parameters]


def test_a_draw_has_the_axes_of_its_place() -> None:
    text = "model M { hyper p = 0.1  input x: real[2]  y = x |> %s(p)  output y }"
    for cell, axes in (("Dropout", {Axis.TIME, Axis.BATCH}), ("HeldDropout", {Axis.BATCH})):
        flow = program(CELLS + text % cell).flow
        assert [value.type.axes for value in flow.values if value.op == "draw"] == [axes]


def test_hypers_know_the_range_of_what_they_are_used_for() -> None:
    drop, *_ = example("charlm").hypers
    assert (drop.name, drop.low, drop.high) == ("drop", 0.0, 0.999)
    temperature, *_ = example("speaker").hypers
    assert (temperature.name, temperature.low, temperature.high) == ("temperature", 0.0, None)


def test_each_draw_has_a_site_of_its_own() -> None:
    flow = program(
        CELLS + "model M { input x: real[2]  y = x |> Dropout(0.1) |> Dropout(0.1)  output y }"
    ).flow
    sites = [value.attr("site") for value in flow.values if value.op == "draw"]
    assert len(sites) == len(set(sites)) == 2


def test_a_state_without_equation_is_one_value_per_sequence() -> None:
    flow = program("model M { input x: real  state s = 2.0  output y = s * x }").flow
    (state,) = flow.states
    assert state.type.axes == {Axis.BATCH}
    assert flow.values[state.next].op == "prev"


def test_the_type_of_a_state_may_come_from_its_equation() -> None:
    flow = program(
        "model M { input x: real[3]  state a, b = 0  b = prev a + prev b  a = x + prev b  output b }"
    ).flow
    assert [state.type.dims for state in flow.states] == [(3,), (3,)]
    flow = program("model M { input k: int  state n = 0  n = prev n + k  output n }").flow
    assert flow.states[0].type.kind is Kind.INT


def test_recursion_by_numbers_ends() -> None:
    text = """
    cell Stack(n)(x: real[D]) -> y: real[D] {
      y = if n == 1 then x |> Dense(2) else x |> Dense(2) |> Stack(n - 1)
    }
    model M { input x: real[2]  y = x |> Stack(3)  output y }
    """
    assert len(program(CELLS + text).parameters) == 6


TIMES = """
    cell Times(f: fn, n)(x: real[D]) -> y: real[D] {
      y = if n == 1 then f(x) else f(x) |> Times(f, n - 1)
    }
"""


@pytest.mark.parametrize(
    "lines",
    [
        "layer g = Dense(3)  y = x |> Times(g, 3)",
        "layer g = Dense(3)  y = x |> Times(n = 3, f = g)",
        "layer far = Times(g, 3)  layer g = Dense(3)  y = far(x)",
        "layer farther = Times(far, 2)  layer far = Times(g, 3)  layer g = Dense(3)  y = farther(x)",
    ],
)
def test_a_layer_given_as_a_function_shares_its_parameters(lines: str) -> None:
    text = f"model M {{ input x: real[3]  size = sum(g.W ^ 2)  {lines}  output y  output size }}"
    flow = program(CELLS + TIMES + text)
    assert [each.name for each in flow.parameters] == ["g.W", "g.b"]
    products = [
        value for value in flow.flow.values if value.op == "contract" and value.attr("spec") == "az,z->a"
    ]
    assert len(products) == (6 if "far, 2" in lines else 3)


def test_a_layer_with_memory_given_as_a_function_is_called_once() -> None:
    text = TIMES + "model M { input x: real[3]  layer g = Delay(2)  y = x |> Times(g, %d)  output y }"
    assert len(program("use std.cells: Delay" + text % 1).flow.states) == 1
    with pytest.raises(SeqError, match="S0401"):
        program("use std.cells: Delay" + text % 2)


def test_thousands_of_equations_in_a_row() -> None:
    lines = "\n".join(f"a{i} = a{i + 1} + 1" for i in range(5000))
    model = program(f"model M {{ input x: real\n{lines}\na5000 = x\noutput a0 }}")
    assert len(model.flow.values) == 10001


def test_dims_are_overridden_by_name() -> None:
    assert dict(example("charlm", H=8).dims) == {"V": 65, "H": 8}
    with pytest.raises(SeqError, match="S0806"):
        example("charlm", K=8)


def test_roots_stand_in_their_order() -> None:
    assert list(example("speaker").flow.roots) == ["output.said", "loss", "until", "default.text"]


def test_several_models_of_one_file() -> None:
    found = programs("model A { input x: real  output y = x }\nmodel B { input x: real  output z = 2 * x }")
    assert [each.name for each in found] == ["A", "B"]


def test_comments_go_with_what_they_stand_above() -> None:
    model = program("# Doubles.\nmodel M {\n  # what comes in\n  input x: real\n  output y = 2 * x\n}")
    assert (model.doc, model.inputs[0].doc) == ("Doubles.", "what comes in")


def test_streaming_is_told_from_the_outputs() -> None:
    assert all(example(name).causal for name in ("charlm", "pendulum", "adding", "amp"))
    speech = example("speech")
    assert not speech.causal and speech.why_not is not None
    assert speech.why_not[1].text == "Both(LSTM(H))"


def test_a_step_that_sees_the_last_one_cannot_stream() -> None:
    model = "model M {{ input x: real[2]  state h: real[2] = {start}  h = 0.5 * prev h + x  output y = {y} }}"
    for start, y, causal in (
        ("0", "last(h over time)", True),  # as far as it has come
        ("0", "x - last(h over time)", False),
        ("0", "sum(x) * tanh(last(h[0] over time))", False),
        ("last(x over time)", "h", False),
    ):
        found = program(model.format(start=start, y=y))
        assert found.causal is causal, y
        assert causal or (found.why_not is not None and "`last` over time" in found.why_not[0])


TRAINED = (
    CELLS
    + OPTIM
    + """
fn warm(update: int) = min(real(update) / 100, 1)
model M {
  input x: real[2]
  layer net = Dense(3)
  y = x |> net |> Dense(1)
  output y
  loss = mean(sum(stop(net(x)) ^ 2) + sum(y) over time, batch)
}
train M { %s }
"""
)


def test_bare_numbers_of_an_optimizer_are_hypers() -> None:
    model = program(TRAINED % "update = Adam(lr = 2e-3)  clip = norm(5.0)")
    assert [(each.name, each.value) for each in model.hypers][:2] == [("clip", 5.0), ("Adam.lr", 2e-3)]
    assert list(model.rules["net.W"].states) == ["m", "v"]
    assert list(model.rules["net.W"].flow.roots) == ["w", "m", "v", "init.m", "init.v"]


def test_a_schedule_is_part_of_the_rule() -> None:
    model = program(TRAINED % "update = Adam(lr = 0.1 * warm(step))")
    assert "Adam.lr" not in [each.name for each in model.hypers]
    assert any(value.op == "step" for value in model.rules["net.b"].flow.values)


def test_the_later_optimizer_wins_and_frozen_parameters_have_none() -> None:
    model = program(TRAINED % "update = [Adam(), SGD(lr = 0.1, only = net)]  freeze = y.dense.b")
    assert {name: rule.optimizer for name, rule in model.rules.items()} == {
        "net.W": "SGD",
        "net.b": "SGD",
        "y.dense.W": "Adam",
    }
    assert model.train is not None and model.train.freeze == ("y.dense.b",)


def test_what_no_gradient_reaches_has_no_rule() -> None:
    text = "model M { input x: real[2]  param w: real[2] = ones  output y = w * x\n loss = mean(sum(stop(w) * x) over time, batch) }\ntrain M { update = SGD() }"
    assert not program(OPTIM + text).rules


def test_deploy_records_are_read() -> None:
    found = {each.name: each for each in example("amp").deploys}
    pedal, server = found["pedal"], found["server"]
    assert (pedal.mode, pedal.batch, pedal.heap, pedal.ram) == ("streaming", (1,), False, 8192)
    assert pedal.weights == "int8(per = row)"
    assert (server.batch, server.weights, server.emit) == ((1, 8, 32), "bf16", ("shared", "header", "exe"))
    assert dict(pedal.spans)["mode"].text == "streaming"


def test_names_may_be_redefined_and_files_imported(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "nets.seq").write_text('use "more.seq": k\nfn softmax(x: real) = k * x\n')
    (tmp_path / "mine" / "more.seq").write_text("const k = 3.0\n")
    text = 'use "mine/nets.seq": softmax\nmodel M { input x: real  output step = softmax(x) }'
    (found,) = programs(text, folder=tmp_path)
    assert [value.attr("value") for value in found.flow.values if value.op == "const"] == [3.0]
