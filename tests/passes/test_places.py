"""Elements and vectors that are placed side by side, zero elsewhere, and added: one vector, and no copies in its plan."""

from __future__ import annotations

import numpy as np

from seqc.flow.types import STREAM, Flow, Kind, Type
from seqc.ops.build import Builder
from seqc.ops.evaluate import evaluate
from seqc.passes import flow_for
from seqc.passes.prune import prune
from seqc.passes.simplify import simplify
from seqc.plan import plan
from seqc.plan.types import Move, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET, compare

SYSTEM = """
model M {
  input  start: real[3] once
  param  w: real[3] = normal(0.5)
  state  x = start
  a, b, c = prev x
  x = prev x + 0.1 * [sin(b) * w[0], a * c, cos(a) - w[2] * b]
  output x
  loss = mean(sum(x ^ 2) over time, batch)
}
"""


def placed(*pieces: tuple[int, ...]) -> tuple[Flow, Flow]:
    """A sum of placed pieces of a vector of five, before and after; a piece of one element is one that was dropped."""
    b = Builder()
    total = b.add("input", type=Type(Kind.REAL, (5,), STREAM), name="x")
    for number, indices in enumerate(pieces):
        dims = (len(indices),) if len(indices) > 1 else ()
        part = b.add("input", type=Type(Kind.REAL, dims, STREAM), name=f"p{number}")
        whole = b.add("place", part, dim=0, indices=indices, size=5, drop=not dims)
        total = b.plus(total, whole)
    flow = b.finish({"output.y": total})
    return flow, prune(simplify(flow))


def agree(before: Flow, after: Flow) -> None:
    rng = np.random.default_rng(5)
    leaves = {}
    for value in before.values:
        if value.op == "input":
            leaves["input", str(value.attr("name"))] = rng.normal(size=(3, 2, *value.type.dims))
    wanted, found = (evaluate(each, leaves, 3, 2, np.float64)["output.y"] for each in (before, after))
    np.testing.assert_array_equal(found, wanted)


def ops(flow: Flow) -> list[str]:
    return sorted(value.op for value in flow.values if value.op != "input")


def test_single_elements_become_one_vector() -> None:
    before, after = placed((4,), (3,), (2,), (1,), (0,))
    assert ops(after) == ["add", "stack"]
    agree(before, after)


def test_elements_beside_vectors() -> None:
    before, after = placed((0, 1), (2,), (3, 4))
    assert ops(after) == ["add", "concat", "stack"]
    agree(before, after)


def test_a_part_of_a_vector_is_placed_once() -> None:
    before, after = placed((3,), (2,))
    assert ops(after) == ["add", "place", "stack"]
    agree(before, after)


def test_what_lies_apart_stays() -> None:
    before, after = placed((0,), (2,))
    assert ops(after) == ["add", "add", "place", "place"]
    agree(before, after)


def test_slopes_of_a_closed_loop_are_written_where_they_belong() -> None:
    program = lower_text(SYSTEM)
    flow = flow_for(program, "gradients")
    compare(flow, program, "gradients")
    scans = [node for node in plan(flow, program, "gradients", TARGET).nodes if isinstance(node, Scan)]
    assert len(scans) == 2
    assert not any(isinstance(kernel, Move) for scan in scans for kernel in scan.kernels)
