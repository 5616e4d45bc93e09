"""Gradients side by side: which are summed together, and which stay by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from seqc.passes import flow_for
from seqc.plan import Plan, PlanOptions, plan
from seqc.plan.buffers import Operand
from seqc.plan.types import Outer, Outers, Reduce, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: {cell}
model M {{
  input x: real[{inputs}]
  layer first = {cell}({size})
  y = x |> first
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}}
"""


def planned(cell: str, size: int, inputs: int = 3, options: PlanOptions | None = None) -> Plan:
    """The plan of the gradients of one layer."""
    program = lower_text(MODEL.format(cell=cell, size=size, inputs=inputs))
    return plan(flow_for(program, "gradients"), program, "gradients", TARGET, options)


def sums(made: Plan) -> Iterator[Outer | Outers | Reduce]:
    """What is summed over all steps and rows."""
    for node in made.nodes:
        for each in node.after if isinstance(node, Scan) else (node,):
            if isinstance(each, Outer | Outers) or (isinstance(each, Reduce) and len(each.summed) == 2):
                yield each


def test_gates_of_a_small_layer_are_summed_together() -> None:
    (all_,) = (each for each in sums(planned("LSTM", 5)) if isinstance(each, Outers))
    assert all_.slices == 4 and all_.left.size == 20
    assert [(right.operand.size, len(right.outs)) for right in all_.rights] == [(5, 4), (3, 4)]
    assert len(all_.sums) == 4
    assert not any(isinstance(each, Outer) for each in sums(planned("LSTM", 5)))


def test_wide_matrices_stay_by_themselves() -> None:
    kinds = {type(each) for each in sums(planned("LSTM", 64))}
    assert kinds >= {Outer} and Outers not in kinds


def test_a_product_of_its_own_input_is_left_out() -> None:
    """The candidate of a GRU is multiplied by a state of its own; its two gates share theirs."""
    found = [each for each in sums(planned("GRU", 5)) if isinstance(each, Outers)]
    assert found and all(each.slices >= 2 for each in found)


def test_one_by_one_where_asked_for() -> None:
    kinds = [type(each) for each in sums(planned("LSTM", 5, options=PlanOptions(beside=False)))]
    assert kinds.count(Outer) == 8 and Outers not in kinds
    assert kinds.count(Reduce) == 5, "four gates, and the loss"


def test_no_bias_is_summed_twice() -> None:
    """Gates that share the input but not the state: two kernels could sum the biases of the gates of both."""
    for size in (4, 5, 16):
        written: list[Operand] = []
        for each in sums(planned("GRU", size)):
            if isinstance(each, Outers):
                written += [*each.sums, *(out for right in each.rights for out in right.outs)]
            else:
                written.append(each.out)
        assert len(set(written)) == len(written)
