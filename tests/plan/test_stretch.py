"""Stretches of time: what goes along with a loop, what stays before it, and how large they are."""

from __future__ import annotations

from seqc.passes import flow_for
from seqc.plan import Plan, PlanOptions, plan
from seqc.plan.types import Product, Scan
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
}}
"""


def planned(size: int, text: str, options: PlanOptions | None = None) -> Plan:
    """The plan of inference."""
    program = lower_text(MODEL.format(size=size, text=text))
    return plan(flow_for(program, "infer"), program, "infer", TARGET, options)


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
        assert scan.stretch == TARGET.l2_bytes // 4 // (4 * 64 * TARGET.real_bytes) // 16 * 16


def test_narrow_layers_need_none() -> None:
    assert before(planned(8, "y = x |> first |> second")) == [0, 0]
    assert before(planned(8, "y = x |> first |> second", PlanOptions(stretch=6))) == [1, 1]


def test_none_are_made_if_none_are_wanted() -> None:
    assert before(planned(64, "y = x |> first", PlanOptions(stretch=0))) == [0]
