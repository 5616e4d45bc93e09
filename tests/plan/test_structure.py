"""What plans look like: scans, products, what is hoisted, kept, written in place; and the text form."""

from __future__ import annotations

import pytest

from seqc.flow.types import ONCE, STREAM, Axis, Kind, Type
from seqc.passes import apply_flow, flow_for, initial_optimizer
from seqc.plan import PlanOptions, StrategyError, counts, pack_layout, plain_layout, plan, print_plan
from seqc.plan.types import Gather, Outer, Pack, Plan, Pointwise, Product, Reduce, Scan
from tests.numeric.hand_models import MODELS, Maker
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET, compare


def plan_of(name: str, entry: str, options: PlanOptions | None = None) -> Plan:
    program = MODELS[name]()
    flow = apply_flow(program) if entry == "apply" else flow_for(program, entry)
    return plan(flow, program, entry, TARGET, options)


def scans(made: Plan) -> list[Scan]:
    return [node for node in made.nodes if isinstance(node, Scan)]


def test_two_stacked_lstms() -> None:
    """Two scans each way with one stacked product forward and one chained product back; all else outside."""
    made = plan_of("stacked", "gradients")
    found = counts(made)
    assert found["scan"] == 4 and found["product"] == 12
    assert found["outer"] == 5 and found["outers"] == 2, (
        "the gates of a layer by all that they were multiplied by"
    )
    for kernels in (scans(made)[0].kernels, scans(made)[1].kernels):
        assert len(kernels) == 1, "the equations of the gates run on their sums"
        assert isinstance(kernels[0], Product) and kernels[0].epilogue is not None
    for scan in scans(made)[2:]:
        assert len(scan.kernels) == 2 and isinstance(scan.kernels[1], Product)
    gates = [made.packs[kernel.segments[0].pack].gates for scan in scans(made)[:2] for kernel in scan.kernels
             if isinstance(kernel, Product)]  # fmt: skip
    assert gates == [4, 4]
    assert found["kept"] == 12, "gates, tanh(c) and c of both layers, nothing else"


def test_gates_go_back_through_one_segment() -> None:
    """What the backward loops compute for four gates lies in one buffer, whose packed matrices stand one below another."""
    made = plan_of("stacked", "gradients")
    back = [scan.kernels[1] for scan in scans(made)[2:]]
    for kernel in back:
        assert isinstance(kernel, Product) and len(kernel.segments) == 1
        pack = made.packs[kernel.segments[0].pack]
        assert pack.sources is not None and len(pack.sources) == 4 and pack.depth == 4 * pack.units


def test_the_table_meets_the_weights_once() -> None:
    """Products of the first layer run over the rows of the table, forwards, backwards and for the weights' gradients."""
    made = plan_of("stacked", "gradients")
    rows = [node.rows for node in made.nodes if isinstance(node, Product | Outer) and node.rows > 1]
    assert rows == [5] * 9, "four products forwards, four gradients of weights, one of the table"


def test_updates_write_states_once_and_square_in_one_pass() -> None:
    made = plan_of("trainable", "apply")
    squares = [node for node in made.nodes if isinstance(node, Reduce) and node.how == "squares"]
    assert squares and all(made.buffers[node.out.buffer].kind is Kind.F64 for node in squares)
    for node in made.nodes:
        if isinstance(node, Pointwise) and any(
            made.buffers[operand.buffer].home.role == "plain" for _, operand in node.stores
        ):
            assert all(made.buffers[operand.buffer].home.role != "workspace" for _, operand in node.stores)


def test_weight_gradients_lie_behind_the_loops() -> None:
    made = plan_of("closed_loop", "gradients")
    assert len(scans(made)) == 2
    assert not any(isinstance(kernel, Outer) for scan in scans(made) for kernel in scan.kernels)
    first = scans(made)[0]
    products = [kernel for kernel in first.kernels if isinstance(kernel, Product)]
    assert len(products[0].segments) == 2, "W @ x and U @ h are one product"


def test_states_of_inference_are_rings() -> None:
    made = plan_of("stacked", "infer")
    names = {buffer.name: buffer.ring for buffer in made.buffers if buffer.slots}
    assert names == {"one.h": 0, "one.c": 2, "two.h": 0, "two.c": 2}


def test_update_writes_in_place_behind_the_guard() -> None:
    made = plan_of("trainable", "apply")
    text = print_plan(made)
    after = text.split("guard", 1)[1]
    in_place = {n for n, buffer in enumerate(made.buffers) if buffer.home.role in ("plain", "optimizer")}
    written = [
        operand.buffer for node in made.nodes if isinstance(node, Pointwise) for _, operand in node.stores
    ]
    assert in_place <= set(written)
    assert not any(
        isinstance(node, Pointwise) and not node.statements and node.size > 16 for node in made.nodes
    )
    assert "plain" in after


def test_buffers_are_filled_one_by_one() -> None:
    """First states of an optimizer: loops of equal bodies, not one over as many buffers as there are parameters."""
    program = lower_text(
        """
        use std.cells: LSTM
        use std.optim: Adam
        model Track {
          input x: real[3]
          output y = x |> LSTM(20)
          loss = mean(mean(y ^ 2) over time, batch)
        }
        train Track { update = Adam() }
        """
    )
    nodes = plan(initial_optimizer(program), program, "initial", TARGET).nodes
    sizes = [node.size for node in nodes if isinstance(node, Pointwise) and len(node.stores) == 1]
    assert len(sizes) == len(nodes)
    assert sorted(sizes) == [20] * 12 + [60] * 8 + [400] * 8, "two states of six vectors and eight matrices"


def test_tied_weights_are_packed_at_run_time() -> None:
    m = Maker()
    b = m.b
    x = m.input("x", 3)
    matrix = b.add("tanh", m.param("W", 4, 3))
    m.roots["output.y"] = b.contract("hd,d->h", matrix, x)
    program = m.program()
    flow = flow_for(program, "infer")
    made = compare(flow, program, "infer")
    assert any(isinstance(node, Pack) for node in made.nodes)


def test_transposed_parameter_is_read_by_columns() -> None:
    m = Maker()
    b = m.b
    x = m.input("x", 3)
    table = m.param("E", 3, 5)
    m.roots["output.y"] = b.contract("hd,d->h", b.add("transpose", table, order=(1, 0)), x)
    program = m.program()
    flow = flow_for(program, "infer")
    made = compare(flow, program, "infer")
    assert [pack.form for pack in made.packs] == ["columns"]
    assert counts(made) == {"kept": 0, "product": 1, "scan": 0}


def test_gather_of_rows_of_a_parameter() -> None:
    m = Maker()
    b = m.b
    k = m.input("k", kind=Kind.INDEX, bound=4)
    m.roots["output.y"] = b.add("gather", m.param("E", 4, 3), k)
    program = m.program()
    flow = flow_for(program, "infer")
    made = compare(flow, program, "infer")
    assert [type(node) for node in made.nodes] == [Gather]


def test_delays_swapped_states_and_constants() -> None:
    """States that follow each other, one outside of any loop, and one that stays what it is."""
    m = Maker()
    b = m.b
    x = m.input("x", 2)
    first, a = m.state("first", 2)
    second, c = m.state("second", 2)
    late, d = m.state("late", 2)
    zero = b.broadcast(b.const(0.0, Kind.REAL), Type(Kind.REAL, (2,), ONCE))
    b.define(first, zero, c)
    b.define(second, zero, b.plus(a, x))
    b.define(late, zero, c)
    m.roots["output.y"] = b.plus(d, b.mul(a, 2.0))
    program = m.program()
    for entry in ("infer", "step"):
        compare(flow_for(program, entry), program, entry)


def test_forced_strategies() -> None:
    made = plan_of("gru", "infer", PlanOptions(force=(("product", "plain"),)))
    found = {node.strategy for scan in scans(made) for node in scan.kernels if isinstance(node, Product)}
    assert found == {"plain"}
    with pytest.raises(StrategyError, match="no strategy nothing for scan; there are: loop"):
        plan_of("gru", "infer", PlanOptions(force=(("scan", "nothing"),)))


def test_layouts() -> None:
    program = MODELS["gru"]()
    layout = plain_layout(program.parameters, TARGET)
    assert all(offset % 64 == 0 for offset in layout.offsets.values())
    assert list(layout.offsets) == [each.name for each in program.parameters]
    infer, again = plan_of("gru", "infer"), plan_of("gru", "evaluate")
    (first, second), held, size = pack_layout((infer, again), TARGET)
    assert {pack.offset for pack in first.packs} == {pack.offset for pack in second.packs}
    assert len(held) == len(infer.packs) and size % 64 == 0
    assert all(buffer.axes <= STREAM for buffer in infer.buffers) and Axis.TIME in STREAM


def test_text() -> None:
    m = Maker()
    b = m.b
    state, h = m.state("h", 2)
    y = b.add(
        "tanh", b.plus(m.product(m.param("U", 2, 2), h), m.product(m.param("W", 2, 3), m.input("x", 3)))
    )
    b.define(state, b.const(0.0), y)
    m.roots["output.y"] = y
    text = print_plan(plan(flow_for(m.program(), "infer"), m.program(), "infer", TARGET))
    assert "scan forward loop    # h\n  product rows {batch}" in text, (
        "W @ x is so short that the loop takes it along"
    )
    assert "=quick_tanh " in text and "m1 = rows [1 x 2, 2] U" in text
    assert text.splitlines()[-1].startswith("workspace ")


TWICE = """
use std.cells: RNN
model M {
  input x: real[3]
  param p: real[4] = ones
  param Q: real[3, 2] = ones
  v = x |> RNN(5)
  state s: real[3] = 0
  s = tanh(v[[4, 0, 0]] * (prev s)[[0, 0, 1]] + x)
  output s
  loss = mean(sum(s * p[[1, 1, 0]]) + sum(Q[[1, 1, 2, 1]]) * sum(s) over time, batch)
}
"""


def test_an_element_picked_twice_has_the_sum_of_both_slopes() -> None:
    program = lower_text(TWICE)
    compare(flow_for(program, "gradients"), program, "gradients")
