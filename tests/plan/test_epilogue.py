"""Loops that run on the sums of products: which cells have them, what they may not write, what they store for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.passes import flow_for
from seqc.plan import PlanError, PlanOptions, plan, verify
from seqc.plan.chain import Chain
from seqc.plan.types import Plan, Pointwise, Product, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: {name}
model M {{
  input x: real[9]
  y = x |> {cell}
  output y
}}
"""


def planned(cell: str, options: PlanOptions | None = None) -> Plan:
    """The plan of inference through one cell."""
    program = lower_text(MODEL.format(name=cell.split("(")[0], cell=cell))
    return plan(flow_for(program, "infer"), program, "infer", TARGET, options)


def loops(made: Plan) -> list[Scan]:
    return [node for node in made.nodes if isinstance(node, Scan)]


@pytest.mark.parametrize("cell", ["LSTM(8)", "GRU(8)", "RNN(8)", "PeepholeLSTM(8)", "MGU(8)", "GRUBefore(8)"])
def test_a_loop_over_time_is_its_products(cell: str) -> None:
    (scan,) = loops(planned(cell))
    assert all(isinstance(each, Product) and each.epilogue is not None for each in scan.kernels)


def test_what_sums_over_units_stays_apart() -> None:
    (scan,) = loops(planned("LayerNormLSTM(8)"))
    assert [type(each) for each in scan.kernels] == [Product, Chain]


def test_without() -> None:
    made = planned("LSTM(8)", PlanOptions(epilogues=False))
    assert [type(each) for each in loops(made)[0].kernels] == [Product, Pointwise]


def test_an_epilogue_that_writes_what_its_product_reads_is_no_plan() -> None:
    made = planned("LSTM(8)")
    (scan,) = loops(made)
    product = scan.kernels[-1]
    assert isinstance(product, Product) and product.epilogue is not None
    read = product.segments[-1].operand
    number = product.epilogue.stores[-1][0]
    epilogue = replace(product.epilogue, stores=(*product.epilogue.stores, (number, read)))
    broken = replace(scan, kernels=(*scan.kernels[:-1], replace(product, epilogue=epilogue)))
    nodes = tuple(broken if node is scan else node for node in made.nodes)
    with pytest.raises(PlanError, match="still reads"):
        verify(replace(made, nodes=nodes))


def test_weights_larger_than_the_first_cache_go_to_and_fro() -> None:
    for size, turns in ((16, False), (200, True)):
        kernels = loops(planned(f"LSTM({size})"))[0].kernels
        assert [each.turns for each in kernels if isinstance(each, Product)] == [turns]
