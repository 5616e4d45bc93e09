"""Rows of whole pages: moved apart where products read them, the same results, nothing else moved."""

from __future__ import annotations

from seqc.passes import flow_for
from seqc.plan.apart import LINE, PAGE, sides
from seqc.plan.place import flat
from seqc.plan.types import Outer, Product
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET, compare

MODEL = """
use std.cells: LSTM
model M {{
  input  x: real[3]
  y = x |> LSTM({size})
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}}
"""


def test_slopes_of_whole_pages_lie_apart() -> None:
    size = PAGE // TARGET.real_bytes // 4  # of four gates
    program = lower_text(MODEL.format(size=size))
    made = compare(flow_for(program, "gradients"), program, "gradients", steps=2, batch=2)
    multiplied = {each.buffer for _, node in flat(made.nodes) for each in sides(node)}
    moved = {number for number, buffer in enumerate(made.buffers) if buffer.pad}
    assert moved and moved <= multiplied
    for number in moved:
        buffer = made.buffers[number]
        assert buffer.size * TARGET.real_bytes == PAGE
        assert (buffer.stride - buffer.size) * TARGET.real_bytes == LINE
    read = [node for _, node in flat(made.nodes) if {each.buffer for each in sides(node)} & moved]
    assert {type(node) for node in read} == {Outer, Product}


def test_others_lie_side_by_side() -> None:
    program = lower_text(MODEL.format(size=PAGE // TARGET.real_bytes // 4 - 1))
    made = compare(flow_for(program, "gradients"), program, "gradients", steps=2, batch=2)
    assert not any(buffer.pad for buffer in made.buffers)
