"""What lies in the lanes: rows where equations have few numbers, elements where rows are long."""

from __future__ import annotations

import pytest

from seqc.passes import flow_for
from seqc.plan import plan
from seqc.plan.chain import Chain
from seqc.plan.lanes import runs_on_rows
from seqc.plan.types import Plan, Pointwise, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
model M {{
  input x: real[{size}]
  state s: real[{size}] = 1
  turn = sin(prev s[0]) * cos(prev s[1])
  s = prev s + 0.1 * softmax(x * turn)
  output s
}}
"""


def planned(size: int, entry: str) -> Plan:
    """The plan of a state of `size` numbers that two of them turn."""
    program = lower_text(MODEL.format(size=size))
    return plan(flow_for(program, entry), program, entry, TARGET)


def on_rows(made: Plan) -> list[bool]:
    """For each loop of the plan whether rows lie in its lanes."""
    found = []
    for node in made.nodes:
        for each in node.kernels if isinstance(node, Scan) else (node,):
            if isinstance(each, Pointwise | Chain):
                found.append(runs_on_rows(made, each, TARGET.lanes))
    return found


def test_rows_of_few_numbers_lie_in_lanes() -> None:
    assert any(on_rows(planned(2, "infer")))


@pytest.mark.parametrize(("size", "entry"), [(2, "step"), (33, "infer")])
def test_a_single_row_and_long_rows_do_not(size: int, entry: str) -> None:
    """A chain of long rows keeps them; numbers of a row alone may still go side by side."""
    made = planned(size, entry)
    loops = [each for node in made.nodes for each in (node.kernels if isinstance(node, Scan) else (node,))]
    long = [each for each in loops if isinstance(each, Chain) and max(s.size for s in each.sweeps) == size]
    assert long and not any(runs_on_rows(made, each, TARGET.lanes) for each in long)
