"""Stretches of time: what goes along with a loop, what stays before it, and how large they are."""

from __future__ import annotations

from dataclasses import replace

from seqc.passes import flow_for
from seqc.plan import Plan, PlanOptions, plan
from seqc.plan.stretch import FEWEST, LARGE, LARGE_FOR_NARROW, LONG, SHARE
from seqc.plan.types import Outer, Product, Reduce, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: LSTM
model M {{
  input x: real[9]
  layer first = LSTM({size})
  layer second = LSTM({size})
  {text}
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}}
"""


def planned(size: int, text: str, options: PlanOptions | None = None, entry: str = "infer") -> Plan:
    """The plan of one entry point."""
    program = lower_text(MODEL.format(size=size, text=text))
    return plan(flow_for(program, entry), program, entry, TARGET, options)


def before(made: Plan) -> list[int]:
    """How many kernels go along with each loop."""
    return [len(node.before) for node in made.nodes if isinstance(node, Scan)]


def test_products_of_inputs_go_along_with_wide_layers() -> None:
    made = planned(64, "y = x |> first |> second")
    assert before(made) == [1, 1]
    scans = [node for node in made.nodes if isinstance(node, Scan)]
    for scan in scans:
        (product,) = scan.before
        assert isinstance(product, Product) and made.buffers[product.out].local
        fitting = TARGET.l2_bytes // SHARE // (4 * 64 * TARGET.real_bytes)
        assert scan.stretch == max(FEWEST, fitting // FEWEST * FEWEST)


def test_narrow_layers_need_none() -> None:
    assert before(planned(8, "y = x |> first |> second")) == [0, 0]
    assert before(planned(8, "y = x |> first |> second", PlanOptions(stretch=6))) == [1, 1]


def test_none_are_made_if_none_are_wanted() -> None:
    assert before(planned(64, "y = x |> first", PlanOptions(stretch=0))) == [0]


def test_gradients_of_weights_are_summed_up_while_their_loop_goes_on() -> None:
    made = planned(64, "y = x |> first", entry="gradients")
    _, back = [node for node in made.nodes if isinstance(node, Scan)]
    assert {type(each) for each in back.after} == {Outer, Reduce}
    assert sum(isinstance(each, Outer) for each in back.after) == 8


def test_what_another_layer_needs_is_kept_for_it() -> None:
    made = planned(64, "y = x |> first |> second", entry="gradients")
    upper = [node for node in made.nodes if isinstance(node, Scan)][2]
    gates = {each.left.buffer for each in upper.after if isinstance(each, Outer)}
    assert gates and not any(made.buffers[each].local for each in gates)


def test_gradients_far_beyond_the_second_cache_are_summed_in_longer_stretches() -> None:
    program = lower_text(MODEL.format(size=64, text="y = x |> first"))
    flow, sums = flow_for(program, "gradients"), 4 * (64 * 64 + 64 * 9) * TARGET.real_bytes
    for vector, second, least in (
        (32, sums, FEWEST),
        (32, sums // LARGE_FOR_NARROW, LONG),
        (64, sums // LARGE_FOR_NARROW, FEWEST),
        (64, sums // LARGE, LONG),
    ):
        made = plan(flow, program, "gradients", replace(TARGET, l2_bytes=second, vector_bytes=vector))
        stretches = [node.stretch for node in made.nodes if isinstance(node, Scan) and node.after]
        assert stretches == [least]
